"""What the players want: losses (two formulas each) and penalties, composed by :class:`gancli.plugin.Objective`."""
