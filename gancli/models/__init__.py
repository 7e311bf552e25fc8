"""A trained generator: load it, sample it, interpolate between its latents."""
