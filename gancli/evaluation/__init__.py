"""How good a model is: generate images, compare them with real ones, and report each metric with its uncertainty."""
