"""Training as a user runs it: start or resume a run, watch it, save it.

run          train a new run, or resume one
setup        from a configuration to a training that can take its first step
plan         how long it is, and which fraction is done
session      process 0: steps, and what is due after each: events, metrics, previews, checkpoints
worker       the other processes of a distributed training
record       what a run is and how it ended, for run.json and for events
monitoring   evaluation during training: previews, diversity, distance
alarms       signs of trouble
metrics      metrics.jsonl, and the plot of it
lines        events as lines of text, for log.txt and plain terminals
loggers      TensorBoard and the like, each in a thread of its own
"""
