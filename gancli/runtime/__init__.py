"""Where a training runs: the device and its precision, one process or several, micro-batches."""
