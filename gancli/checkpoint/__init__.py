"""Durable, pickle-free storage of a training's state: the checkpoints of a run, and what each says about itself.

This package moves bytes and knows no network, optimiser or configuration. Nothing in it runs code that a file names.
"""
