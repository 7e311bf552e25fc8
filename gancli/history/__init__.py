"""What runs have done, read back from their directories: for lists and comparisons. No torch is needed."""
