"""A recording of operations on the CPU, in place of a CUDA graph: it repeats their tensors, and runs no Python of theirs.

What a graph refuses, it refuses too: waiting for a number, constants that come from the host, numbers of a host's generator.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

REFUSED = {"aten::_local_scalar_dense", "aten::nonzero", "aten::lift_fresh"}


class Recorder(TorchDispatchMode):
    """Notes every operation that is done, with its tensors, and what these were before."""

    def __init__(self):
        super().__init__()
        self.operations, self.before, self._own = [], {}, set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = operation._schema.name
        if name in REFUSED or kwargs.get("generator") is not None:
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        for storage in storages((args, kwargs)):
            if storage._cdata not in self._own:
                self.before.setdefault(storage._cdata, (storage, storage.clone()))
        result = operation(*args, **kwargs)
        self._own |= {storage._cdata for storage in storages(result)} - self.before.keys()
        self.operations.append((operation, args, kwargs, result))
        return result


def storages(tree):
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class Recordings:
    """As on a GPU nothing is computed while it is recorded: tensors are afterwards what they were."""

    def __init__(self, device):
        assert device.type == "cpu"

    def warm_up(self, compute):
        return compute()

    def record(self, compute):
        with Recorder() as recorder, torch.random.fork_rng(devices=[]):
            result = compute()
        for storage, content in recorder.before.values():
            storage.copy_(content)
        return result, lambda: replay(recorder.operations)


@torch.no_grad()
def replay(operations):
    """The same operations on the same tensors, into the same places."""
    for operation, args, kwargs, places in operations:
        values = operation(*args, **kwargs)
        for place, value in zip(tree_leaves(places), tree_leaves(values), strict=True):
            if isinstance(place, torch.Tensor) and place.data_ptr() != value.data_ptr():
                place.copy_(value)
