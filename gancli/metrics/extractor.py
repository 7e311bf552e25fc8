"""What a picture is reduced to before anything is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from gancli.randomness.seeds import generator_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

__all__ = ["TOTAL_VARIANCE", "Extractor", "Reading", "batches", "read", "some_of"]

TOTAL_VARIANCE = 1000.0
"""Trace of the covariance of the features of the training data."""

BATCH_SIZE = 256


@dataclass(frozen=True, slots=True)
class Reading:
    """What an extractor sees in n pictures, on the CPU.

    Attributes:
        features: float32 ``(n, d)``.
        classes: int64 ``(n,)``, the likeliest class of each; None if the extractor knows no classes.
    """

    features: Tensor
    classes: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)


class Extractor(nn.Module, ABC):
    """A fixed function from pictures to features: no randomness, nothing that is trained, float32.

    Attributes:
        digest: SHA-256, in hex, of all numbers that it is made of: equal digests give equal features.
        classes: how many classes it tells apart; 0 if none.
    """

    name: str
    """Part of the name of every figure: ``FD-mnist``."""

    gamma: float = 1 / TOTAL_VARIANCE
    """Factor of the product in the kernel distance."""

    digest: str
    classes: int = 0

    @property
    def distances(self) -> tuple[str, str]:
        """What the Frechet and the kernel distance in these features are called."""
        return f"FD-{self.name}", f"KD-{self.name}"

    @property
    def described(self) -> str:
        """Name and the beginning of the digest, as figures quote it."""
        return f"{self.name} {self.digest[:8]}"

    def see(self, images: Tensor) -> Reading:
        """Read pictures ``(n, c, h, w)`` in [-1, 1] of any float type, on the extractor's device."""
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            features, classes = self.forward(images.float())
        return Reading(features.cpu(), None if classes is None else classes.cpu())

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features ``(n, d)`` and, if it knows classes, the class ``(n,)`` of pictures ``(n, c, h, w)``."""


def read(extractor: Extractor, batches: Iterable[Tensor]) -> Reading:
    """Read pictures batch by batch; ``batches`` holds float tensors ``(b, c, h, w)`` in [-1, 1].

    Raises:
        ValueError: there are none.
    """
    parts = [extractor.see(batch) for batch in batches]
    if not parts:
        raise ValueError("There are no pictures to read.")
    classes = [part.classes for part in parts if part.classes is not None]
    return Reading(torch.cat([part.features for part in parts]), torch.cat(classes) if classes else None)


def some_of(images: Tensor, most: int) -> Tensor:
    """At most ``most`` of the pictures ``(n, c, h, w)``: always the same ones, from all over the set, in their order."""
    if len(images) <= most:
        return images
    chosen = torch.randperm(len(images), generator=generator_at(0, "quality"))[:most].sort().values
    return images[chosen.to(images.device)]


def batches(images: Tensor, device: torch.device | None = None) -> Iterator[Tensor]:
    """uint8 ``(n, c, h, w)`` as float batches in [-1, 1] on the device, by default where they are."""
    for start in range(0, len(images), BATCH_SIZE):
        part = images[start : start + BATCH_SIZE]
        yield part.to(device or images.device).float().sub_(127.5).div_(127.5)
