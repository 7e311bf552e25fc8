"""What an exported generator says about itself, whatever the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gancli.checkpoint.provenance import Provenance
from gancli.version import __version__

if TYPE_CHECKING:
    from gancli.models.model import Model

__all__ = ["PARITY", "facts_of"]

PARITY = "parity"
"""What is added last: by how much the exported generator differs from the original."""


def facts_of(model: Model) -> Provenance:
    """What an export tells: nothing about the machine and the run that the model was made on."""
    origin = model.origin
    known = origin.provenance
    return Provenance(
        arch=known.arch,
        image=known.image,
        classes=known.classes,
        latent_dim=known.latent_dim,
        dataset=known.dataset,
        gancli=__version__,
        run=origin.run,
        step=origin.step,
        weights=origin.weights,
        digest=origin.digest,
    )
