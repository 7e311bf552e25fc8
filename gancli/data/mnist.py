"""MNIST, which lies in the package: real pictures from the first minute, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gancli.errors import DatasetError
from gancli.plugin import Dataset, ImageSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SHA256", "SPLITS", "Mnist"]

SPLITS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""The files of each split: pictures, labels."""

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""The canonical hash of each file, uncompressed; checked whenever it is loaded."""


class Mnist(Dataset):
    """60,000 handwritten digits to train on and 10,000 to test with, grey, 28 x 28, labelled."""

    api = 1
    summary = "Handwritten digits in grey, 28x28: 60,000 to train, 10,000 to test (LeCun & Cortes, 1998); in the package"
    licence = "CC BY-SA 3.0, Yann LeCun and Corinna Cortes; derived from NIST's data sets"
    defaults: ClassVar[Mapping[str, Any]] = {"train.epochs": 20}

    def load(self, split: str = "train") -> ImageSet:
        """The digits of ``split`` in their canonical order: images ``(n, 1, 28, 28)``, labels 0 to 9.

        Raises:
            DatasetError: there is no such split, or the files in the package are not the canonical ones.
        """
        import torch

        if split not in SPLITS:
            raise DatasetError(f"MNIST has no split '{split}'.", f"Choose one of {', '.join(SPLITS)}.")
        images, labels = (torch.from_numpy(_embedded(name)) for name in SPLITS[split])
        return ImageSet(images.unsqueeze(1), labels.long(), tuple("0123456789"))


def _embedded(name: str) -> NDArray[np.uint8]:
    from importlib.resources import as_file, files

    from gancli.data.arrays import digest, read_idx

    with as_file(files("gancli.data") / "files" / f"{name}.xz") as path:
        array = read_idx(path)
    actual = digest(array)
    if actual != SHA256[name]:
        raise DatasetError(
            f"{name} in the package has the SHA-256 {actual}.", f"It should be {SHA256[name]}. Install gancli again."
        )
    return array
