"""What a model says about itself: where it came from, and what is needed to build it. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Facts", "MadeBy", "Origin", "Weights"]

Weights = Literal["ema", "raw"]
Size = Annotated[int, Field(ge=1, le=65536)]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model came from.

    Attributes:
        run: name of the run, or of the file.
        checkpoint: path of the checkpoint or file.
        step: training steps behind it.
        digest: SHA-256 of the weights' file.
        weights: ``ema`` or ``raw``.
        facts: what the checkpoint says about itself: architecture, data set, licence, environment.
        notes: sentences that the user should read, such as a plugin of another version.
    """

    run: str
    checkpoint: Path
    step: int
    digest: str
    weights: Weights
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class MadeBy(_Section):
    """The architecture plugin that built a model, with the options it was given."""

    name: str
    distribution: str
    version: str
    options: dict[str, Any]


class Picture(_Section):
    channels: Size
    height: Size
    width: Size


class Named(_Section):
    name: str


class Facts(_Section):
    """What a checkpoint has to say about its model, as far as it is needed to build it. The file may be anybody's."""

    arch: MadeBy
    image: Picture
    classes: list[str]
    latent_dim: Size
    dataset: Named
    step: Annotated[int, Field(ge=0)]
