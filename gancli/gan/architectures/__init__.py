"""The architectures in the package: the dense networks of the default."""
