"""Training as a user runs it: start or resume a run, watch it, save it.

run          train a new run, or resume one
setup        from a configuration to a training that can take its first step
plan         how long it is, and which fraction is done
session      process 0: steps, and what is due after each: events, metrics, previews, checkpoints
worker       the other processes of a distributed training
monitoring   evaluation during training: previews, diversity, distance; ``alarms``: signs of trouble
metrics      metrics.jsonl, and the plot of it; ``lines``: log.txt; ``record``: run.json; ``loggers``: TensorBoard and the like
"""
