"""Addressed randomness: every random number follows from a seed and a name, so that nothing has to be stored to resume.

Two schemes, for two needs. :mod:`.seeds` addresses what happens in training (order, noise and dropout of step k) through
torch's own generators: fast, and equal on one machine. :mod:`.latents` computes the latent of seed s by counter-based Philox
in NumPy: equal on every machine, device and version, and in the exported page too.
"""
