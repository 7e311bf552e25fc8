"""How close generated images are to real ones: ``gancli evaluate``, and the extractors of papers."""
