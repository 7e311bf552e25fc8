"""What runs have done, read back from their directories: for lists, films and comparisons. No torch is needed."""
