"""Using a trained generator: load it, sample it, write what it draws."""
