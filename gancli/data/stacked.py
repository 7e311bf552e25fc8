"""Stacked-MNIST: three digits as the channels of one picture, so that there are a thousand modes to find or to drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gancli.data.mnist import Mnist
from gancli.plugin import Dataset, ImageSet
from gancli.randomness.seeds import generator_at

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StackedMnist"]

DIGITS = 3
COUNTS = {"train": 60_000, "test": 10_000}
"""Pictures of each split. Papers train on 128,000 and more triples; these 60,000 take 141 MB and show every mode 60 times."""


class StackedMnist(Dataset):
    """60,000 pictures of three MNIST digits each to train on and 10,000 to test with, 3 x 28 x 28, 1000 classes.

    Channel j of picture i is a digit drawn at the address (seed 0, split), independently of all others (Metz et al., 2017;
    Srivastava et al., 2017): everybody's set is the same. Digits a, b, c are the class 100 a + 10 b + c, named ``abc``.
    """

    api = 1
    summary = "Three MNIST digits as channels, 3x28x28, 1000 classes: what a GAN drops is seen; 60,000 to train, 10,000 to test"
    licence = Mnist.licence
    defaults: ClassVar[Mapping[str, Any]] = {"train.epochs": 15}

    def load(self, split: str = "train") -> ImageSet:
        """Images ``(n, 3, 28, 28)``, labels 0 to 999.

        Raises:
            DatasetError: there is no such split, or the files in the package are not the canonical ones.
        """
        import torch

        digits = Mnist().load(split)
        assert digits.labels is not None  # noqa: S101  (for the type checker)
        shape = (COUNTS[split], DIGITS)
        chosen = torch.randint(len(digits.images), shape, generator=generator_at(0, f"stacked-mnist {split}"))
        labels = digits.labels[chosen] @ torch.tensor([100, 10, 1])
        return ImageSet(digits.images[chosen, 0], labels, tuple(f"{index:03}" for index in range(10**DIGITS)))
