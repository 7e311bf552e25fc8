"""``.pt2``: the generator as a graph of PyTorch's own operations. ``torch.export.load(path).module()`` draws, without gancli.

A ``.pt2`` is a ZIP archive of JSON and raw numbers, and of one pickle: the example inputs of the trace. PyTorch does without
them, so they are left out, and what is written holds no pickle at all. A foreign one may; that is why gancli never loads a
``.pt2`` but its own, fresh from the encoder, to compare it.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from gancli.checkpoint.provenance import KEY
from gancli.export.facts import PARITY, facts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch.export import ExportedProgram

    from gancli.export.parity import Draw
    from gancli.models.model import Model

__all__ = ["encode", "reload", "stamp"]

_FACTS = f"{KEY}.json"


def encode(model: Model) -> bytes:
    """The content of the file. The facts are in its extra file ``gancli.json``."""
    from gancli.export.tracing import trace

    program = trace(model)
    program.example_inputs = None
    return _saved(program, json.dumps(facts_of(model).document(), sort_keys=True))


def stamp(data: bytes, difference: float) -> bytes:
    """The same with the largest difference to the generator among its facts."""
    program, facts = _loaded(data)
    return _saved(program, json.dumps(json.loads(facts) | {PARITY: difference}, sort_keys=True))


def reload(data: bytes) -> Draw:
    """The generator in the content of a file."""
    import torch

    generator = _loaded(data)[0].module()

    def draw(z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.float32]:
        conditions = () if labels is None else (torch.from_numpy(labels),)
        with torch.no_grad():
            images: NDArray[np.float32] = generator(torch.from_numpy(z), *conditions).float().numpy()
        return images

    return draw


def _saved(program: ExportedProgram, facts: str) -> bytes:
    import torch

    from gancli.export.tracing import quietly

    buffer = io.BytesIO()
    with quietly():
        torch.export.save(program, buffer, extra_files={_FACTS: facts})
    return buffer.getvalue()


def _loaded(data: bytes) -> tuple[ExportedProgram, str]:
    import torch

    from gancli.export.tracing import quietly

    extra = {_FACTS: ""}
    with quietly():
        program = torch.export.load(io.BytesIO(data), extra_files=extra)
    return program, extra[_FACTS]
