"""Between a training's state and the members of a checkpoint.

==========================  ===========================================================
generator.safetensors       weights and buffers of the generator
discriminator.safetensors   of the discriminator
ema.safetensors             of the EMA of the generator: alone, it is the shareable model
optim.safetensors           the optimisers' moments, by network and parameter name
meters.safetensors          running means since the last row of metrics
state.json                  step, images seen, alarms
==========================  ===========================================================

No generator's state is among them, because randomness is addressed, not consumed (:mod:`gancli.randomness.seeds`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gancli.errors import CheckpointError
from gancli.storage.strict_json import parse_object
from gancli.storage.tensors import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gancli.checkpoint.provenance import Provenance
    from gancli.checkpoint.store import Checkpoint
    from gancli.gan.state import TrainingState

_STATE = "state.json"


def pack(state: TrainingState, facts: Provenance | None = None) -> dict[str, bytes]:
    """The members of a checkpoint of this state; ``facts`` also go into the header of the shareable model."""
    header = {"gancli": json.dumps(facts.document() if facts else {}, sort_keys=True)}
    members = {
        f"{group}.safetensors": encode(tensors, header if group == "ema" else None)
        for group, tensors in state.tensors().items()
    }
    members[_STATE] = json.dumps(state.counters()).encode()
    return members


def unpack(checkpoint: Checkpoint, state: TrainingState) -> None:
    """Put a verified checkpoint into ``state``.

    Raises:
        CheckpointError: it belongs to another model.
    """
    unpack_files(checkpoint.files, state, f"the checkpoint '{checkpoint.path}'")
    state.elapsed_seconds = float(checkpoint.manifest.facts.get("elapsed_seconds", 0.0))


def unpack_files(files: Mapping[str, bytes], state: TrainingState, what: str) -> None:
    """The inverse of :func:`pack`; ``what`` names the files' origin.

    Raises:
        CheckpointError: they belong to another model.
    """
    names = state.tensors().keys()
    try:
        tensors = {name: decode(files[f"{name}.safetensors"], f"{name}.safetensors") for name in names}
        state.restore(tensors, parse_object(files[_STATE], f"'{_STATE}' of {what}"))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"A part is missing in {what}: {error}.", "It was written by something else; choose another."
        ) from error
