"""How good a model is: draw from it, read what it drew beside real pictures, and report each figure with its uncertainty."""
