"""MNIST in bold: what the digits can be translated into without a download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gancli.data.mnist import Mnist
from gancli.plugin import Dataset, ImageSet

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MnistBold"]

PEN = 3
"""Pixels across the square pen that follows each stroke."""


class MnistBold(Dataset):
    """The digits of MNIST, in their order, each dilated: a pixel is as bright as the brightest of 3 x 3 around it."""

    api = 1
    summary = "The digits of MNIST in bold, 28x28, to translate into: gancli train --dataset mnist --to mnist-bold"
    licence = Mnist.licence
    defaults: ClassVar[Mapping[str, Any]] = Mnist.defaults

    def load(self, split: str = "train") -> ImageSet:
        """Images ``(n, 1, 28, 28)``, labels 0 to 9.

        Raises:
            DatasetError: there is no such split, or the files in the package are not the canonical ones.
        """
        import torch
        from torch.nn.functional import max_pool2d

        digits = Mnist().load(split)
        bold = [max_pool2d(part.float(), PEN, 1, PEN // 2).byte() for part in torch.split(digits.images, 1000)]
        return ImageSet(torch.cat(bold), digits.labels, digits.class_names)
