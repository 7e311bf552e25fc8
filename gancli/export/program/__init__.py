"""A generator as a short list of steps: traced from PyTorch, run in NumPy and in a browser."""
