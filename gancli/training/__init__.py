"""Training: the game (trainer), what changes (state), where it runs (runtime), and the use case around them (run)."""
