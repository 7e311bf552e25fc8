"""Durable, pickle-free storage of a training's state. It knows no network; nothing in it runs code that a file names."""
