"""A trained generator in a file or folder of its own, for other programs and other people."""
