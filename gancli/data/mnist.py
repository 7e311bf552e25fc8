"""MNIST, which lies in the package, and data sets made of it. Those that are like it are in the distribution gancli-hub."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from gancli.errors import DatasetError
from gancli.plugin import Dataset, ImageSet
from gancli.randomness.seeds import generator_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

SPLITS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""The files of each split: images, labels."""

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""The canonical hash of each file of MNIST, uncompressed; checked whenever it is loaded."""

PEN = 3  # pixels across the square pen that follows each stroke of MNIST in bold
COUNTS = {"train": 60_000, "test": 10_000}
"""Images of Stacked-MNIST. Papers train on 128,000 triples and more; these take 141 MB and show every mode 60 times."""


class MnistLike(Dataset):
    """A data set of four IDX files, named like MNIST's."""

    api = 1
    folder: ClassVar[str]  # how the folder of the files is called
    classes: ClassVar[tuple[str, ...]]

    def load(self, split: str = "train") -> ImageSet:
        """The images of ``split`` in their canonical order: ``(n, 1, 28, 28)``, and labels 0 to 9."""
        import torch

        if split not in SPLITS:
            raise DatasetError(f"{self.folder} has no split '{split}'.", f"Choose one of {', '.join(SPLITS)}.")
        images, labels = (torch.from_numpy(self._array(name)) for name in SPLITS[split])
        return ImageSet(images.unsqueeze(1), labels.long(), self.classes)

    @abstractmethod
    def _array(self, name: str) -> NDArray[np.uint8]:
        """The content of one file."""


class Mnist(MnistLike):
    """60,000 handwritten digits to train on and 10,000 to test with, grey, 28 x 28, labelled."""

    summary = "Handwritten digits in grey, 28x28: 60,000 to train, 10,000 to test (LeCun & Cortes, 1998); in the package"
    licence = "CC BY-SA 3.0, Yann LeCun and Corinna Cortes; derived from NIST's data sets"
    defaults: ClassVar[Mapping[str, Any]] = {"train.epochs": 18}
    folder = "MNIST"
    classes = tuple("0123456789")

    def _array(self, name: str) -> NDArray[np.uint8]:
        from importlib.resources import as_file, files

        from gancli.data.arrays import digest, read_idx

        with as_file(files("gancli.data") / "files" / f"{name}.xz") as path:
            array = read_idx(path)
        if (actual := digest(array)) != SHA256[name]:
            wrong = f"{name} in the package has the SHA-256 {actual}."
            raise DatasetError(wrong, f"It should be {SHA256[name]}. Install gancli again.")
        return array


class MnistBold(Mnist):
    """The digits of MNIST, in their order, each dilated: a pixel is as bright as the brightest of 3 x 3 around it."""

    summary = "The digits of MNIST in bold, 28x28, to translate into: gancli train --dataset mnist --to mnist-bold"

    def load(self, split: str = "train") -> ImageSet:
        """Images ``(n, 1, 28, 28)``, labels 0 to 9; see :meth:`MnistLike.load`."""
        import torch
        from torch.nn.functional import max_pool2d

        digits = super().load(split)
        bold = [max_pool2d(part.float(), PEN, 1, PEN // 2).byte() for part in torch.split(digits.images, 1000)]
        return ImageSet(torch.cat(bold), digits.labels, digits.class_names)


class StackedMnist(Mnist):
    """Three MNIST digits as the channels of one image, so that there are a thousand modes to find or to drop.

    Channel j of image i is a digit sampled at the address (seed 0, split), independently of all others (Metz et al., 2017;
    Srivastava et al., 2017): everybody's set is the same. Digits a, b, c are the class 100 a + 10 b + c, named ``abc``.
    """

    summary = "Three MNIST digits as channels, 3x28x28, 1000 classes: what a GAN drops is seen; 60,000 to train, 10,000 to test"

    def load(self, split: str = "train") -> ImageSet:
        """Images ``(n, 3, 28, 28)``, labels 0 to 999; see :meth:`MnistLike.load`."""
        import torch

        digits = super().load(split)
        assert digits.labels is not None  # noqa: S101  (for the type checker)
        address = generator_at(0, f"stacked-mnist {split}")
        chosen = torch.randint(len(digits.images), (COUNTS[split], 3), generator=address)
        labels = digits.labels[chosen] @ torch.tensor([100, 10, 1])
        return ImageSet(digits.images[chosen, 0], labels, tuple(f"{index:03}" for index in range(1000)))
