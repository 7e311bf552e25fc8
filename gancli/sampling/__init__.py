"""The use case: images and interpolations of a model, written to files."""
