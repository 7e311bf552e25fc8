"""Built-in architectures. They are found through entry points, exactly as a third party's are."""
