"""A generator in the forms that other programs use."""
