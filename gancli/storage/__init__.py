"""Bytes on disk: durable writes, locks, bounded JSON, tensors. Knows no network and no configuration."""
