"""The version of this gancli."""

__version__ = "0.1.0"
