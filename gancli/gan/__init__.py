"""The GAN itself: losses, penalties, the training step, what it changes, and the built-in architecture."""
