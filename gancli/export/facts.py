"""What an exported generator says about itself, whatever the format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gancli.errors import ExportError
from gancli.version import __version__

if TYPE_CHECKING:
    from gancli.models.model import Model

__all__ = ["PARITY", "facts_of"]

PARITY = "parity"
"""The fact that is added last: by how much the exported generator differs from the original."""

_PASSED_ON = ("arch", "image", "classes", "latent_dim", "dataset")
"""Of what a checkpoint knows; the machine that it was made on is nobody's business."""


def facts_of(model: Model) -> dict[str, Any]:
    """The facts of :class:`gancli.checkpoint.provenance.Facts`, as JSON.

    Raises:
        ExportError: the model knows too little about itself, since it was not loaded from a run.
    """
    origin = model.origin
    if missing := [name for name in _PASSED_ON if name not in origin.facts]:
        raise ExportError(f"The model does not say its {missing[0]}.", "Export one that was loaded from a run or checkpoint.")
    return {
        **{name: origin.facts[name] for name in _PASSED_ON},
        "gancli": __version__,
        "run": origin.run,
        "step": origin.step,
        "weights": origin.weights,
        "digest": origin.digest,
    }
