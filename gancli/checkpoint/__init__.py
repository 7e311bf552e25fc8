"""Durable, pickle-free storage of a training's state.

====================  =================================================================================
module                subject
====================  =================================================================================
:mod:`.store`         the directory of all checkpoints of a run: save, choose, load, prune
:mod:`.loading`       one checkpoint directory: everything verified before anything is returned
:mod:`.manifest`      what a checkpoint says about itself
:mod:`.tensors`       named tensors <-> bytes (safetensors)
:mod:`.strict_json`   JSON from untrusted files, within bounds
:mod:`.lock`          one run directory, one writer
====================  =================================================================================

This package moves bytes and knows no network, optimiser or configuration. Nothing in it imports torch before tensors
are encoded or decoded, and nothing in it runs code that a file names.
"""
