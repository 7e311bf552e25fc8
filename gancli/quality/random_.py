"""The extractor for pictures of any kind: convolutions that were never trained.

Random weights lose little of what tells sets of pictures apart, and bring no bias of somebody else's data with them (Naeem et
al., 2020, section 4, found such embeddings of use where ImageNet's are not; Ulyanov et al., 2018, and Jarrett et al., 2009,
on what the structure alone does). Distances in its features are called ``FD-random`` and ``KD-random``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, conv2d, interpolate

from gancli.latents import latents
from gancli.quality.extractor import TOTAL_VARIANCE, Extractor, batches, read, some_of
from gancli.quality.moments import Moments
from gancli.seeds import address

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FEATURES", "RandomExtractor"]

VERSION = 1
FEATURES = 128
LARGEST = 64
"""Pixels of the longer side of what is looked at; larger pictures are reduced to it by area."""

WIDTHS = (16, 32, 64)
CELLS = (4, 4, 2)
"""Each layer's outputs are averaged over so many cells, squared, and the averages of all layers are mixed."""

SMALLEST_HALVED = 8
CALIBRATION = 2048


class RandomExtractor(Extractor):
    """128 features of pictures ``(n, c, h, w)``.

    Three layers relu(W * x), He-initialised, each followed by halving; of each layer's outputs the averages over a grid of
    cells; of all of these 128 random combinations, moved and scaled to mean 0 and the common total variance on the data.

    Args:
        calibration: pictures of the training data, uint8 ``(n, c, h, w)``, at least 2, on the CPU.
    """

    name: ClassVar[str] = "random"

    def __init__(self, calibration: Tensor) -> None:
        super().__init__()
        widths = (calibration.shape[1], *WIDTHS)
        kernels = [
            _normal((rows, columns, 3, 3), f"layer {i}") * (2 / (9 * columns)) ** 0.5
            for i, (columns, rows) in enumerate(zip(widths, WIDTHS, strict=False))
        ]
        self.kernels = nn.ParameterList(kernels)
        averages = sum(width * cells**2 for width, cells in zip(WIDTHS, CELLS, strict=True))
        self.mixture = nn.Parameter(_normal((averages, FEATURES), "mixture") * averages**-0.5)
        self.offset = nn.Parameter(torch.zeros(FEATURES))
        self.requires_grad_(False)
        self.digest = _digest([*kernels, self.mixture, calibration])
        self._calibrate(calibration)

    @classmethod
    def for_data(cls, images: Tensor) -> RandomExtractor:
        """The extractor for data whose training pictures are uint8 ``(n, c, h, w)``; it looks at 2,048, always the same."""
        return cls(some_of(images, CALIBRATION).cpu())

    def _calibrate(self, pictures: Tensor) -> None:
        moments = Moments.of([read(self, batches(pictures)).features])
        factor = (TOTAL_VARIANCE / moments.total_variance) ** 0.5 if moments.total_variance > 0 else 1.0
        self.mixture.mul_(factor)
        self.offset.copy_(moments.mean * factor)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features ``(n, 128)``; no classes."""
        layer, averages = _reduced(images).contiguous(memory_format=torch.channels_last), []
        for kernel, cells in zip(self.kernels, CELLS, strict=True):
            layer = conv2d(layer, kernel, padding=1).relu_()
            averages.append(adaptive_avg_pool2d(layer, cells).flatten(1))
            if min(layer.shape[2:]) >= SMALLEST_HALVED:
                layer = avg_pool2d(layer, 2)
        return torch.cat(averages, dim=1) @ self.mixture - self.offset, None


def _reduced(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    if max(height, width) <= LARGEST:
        return images
    factor = LARGEST / max(height, width)
    return interpolate(images, size=[max(1, round(height * factor)), max(1, round(width * factor))], mode="area")


def _normal(shape: tuple[int, ...], purpose: str) -> Tensor:
    """N(0, 1) from the address of ``purpose``: the same on every machine and in every version of torch."""
    numbers = latents([address(0, f"random extractor {VERSION}, {purpose}")], math.prod(shape))
    return torch.from_numpy(numbers).view(shape)


def _digest(tensors: list[Tensor]) -> str:
    from hashlib import sha256

    state = sha256()
    for tensor in tensors:
        state.update(tensor.contiguous().numpy().data)
    return state.hexdigest()
