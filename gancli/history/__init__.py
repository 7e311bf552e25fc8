"""What runs have done, read back from their directories: compared, filmed and reported. No torch is needed."""
