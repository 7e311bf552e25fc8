"""How close generated images are to real ones, and what a model knows: ``gancli evaluate``, ``project`` and ``directions``."""
