"""``.safetensors``: the weights alone. ``gancli`` builds the network again; in plain PyTorch, whoever has its code does.

The facts are JSON in the header, under the key ``gancli``, as in a checkpoint's ``ema.safetensors``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.checkpoint.provenance import KEY, stored_provenance
from gancli.export.facts import PARITY, facts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gancli.export.parity import Draw
    from gancli.models.model import Model

__all__ = ["encode", "reload", "stamp"]

_WHAT = Path("generator.safetensors")
"""The name of the content in messages."""


def encode(model: Model) -> bytes:
    """The content of the file."""
    return _encoded(model.generator.state_dict(), facts_of(model).document())


def stamp(data: bytes, difference: float) -> bytes:
    """The same with the largest difference to the generator among its facts."""
    from gancli.storage.tensors import decode, read_metadata

    stored = stored_provenance(read_metadata(data, f"'{_WHAT}'").get(KEY), _WHAT)
    return _encoded(decode(data, f"'{_WHAT}'"), stored.document() | {PARITY: difference})


def reload(data: bytes, arch: str | None = None) -> Draw:
    """The generator in the content of a file, built anew; ``arch`` is ``FILE.py:CLASS`` where it was a file."""
    from gancli.models.loading import from_bytes

    model = from_bytes(data, _WHAT, arch)

    def draw(z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.float32]:
        import torch

        images: NDArray[np.float32] = model.draw(
            torch.from_numpy(z), None if labels is None else torch.from_numpy(labels)
        ).numpy()
        return images

    return draw


def _encoded(tensors: dict[str, Any], facts: dict[str, Any]) -> bytes:
    from gancli.storage.tensors import encode as encode_tensors

    return encode_tensors(tensors, {"format": "pt", KEY: json.dumps(facts, sort_keys=True)})
