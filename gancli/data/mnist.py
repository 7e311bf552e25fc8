"""MNIST, which lies in the package, and data sets made of it or like it.

A file of a published data set is known by its hash, wherever it comes from: that of the gzip file as it was
published, or that of the IDX in it, since distributions compress again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gancli.data import cache
from gancli.data.fetching import Remote, fetch
from gancli.data.paths import open_regular, quoted
from gancli.errors import DatasetError
from gancli.plugin import Dataset, ImageSet
from gancli.randomness.seeds import generator_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    other_folders: ClassVar[tuple[str, ...]] = ()  # how elsewhere
    mirrors: ClassVar[tuple[str, ...]]  # where they can be downloaded, the best first
    published: ClassVar[Mapping[str, tuple[int, str]]]  # name -> bytes and SHA-256 of the published .gz
    contents: ClassVar[Mapping[str, str]] = {}  # name -> SHA-256 of the IDX in it, as far as known
    classes: ClassVar[tuple[str, ...]]

    def load(self, split: str = "train") -> ImageSet:
        """The images of ``split`` in their canonical order: ``(n, 1, 28, 28)``, and labels 0 to 9."""
        import torch

        if split not in SPLITS:
            raise DatasetError(f"{self.folder} has no split '{split}'.", f"Choose one of {', '.join(SPLITS)}.")
        images, labels = (torch.from_numpy(self._array(name)) for name in SPLITS[split])
        return ImageSet(images.unsqueeze(1), labels.long(), self.classes)

    def places(self) -> Iterator[Path]:
        """Where the files may lie: Debian's folder, those of Keras and torchvision, and gancli's own cache."""
        home = Path(os.path.expanduser("~"))  # noqa: PTH111  (Path.home raises where there is none)
        for name in (self.folder, *self.other_folders):
            yield Path("/usr/share/datasets") / name
            yield home / ".keras" / "datasets" / name
            yield Path("data") / name / "raw"
        yield cache.downloads(self.folder)

    def _array(self, name: str) -> NDArray[np.uint8]:
        from hashlib import file_digest

        from gancli.data.arrays import digest, read_idx

        (size, packed), content = self.published[name], self.contents.get(name)
        for path in filter(Path.is_file, (place / f"{name}.gz" for place in self.places())):
            with open_regular(path) as file:
                as_published = file_digest(file, "sha256").hexdigest() == packed
            if not (as_published or content):
                continue
            array = read_idx(path)
            if not as_published and digest(array) != content:
                wrong = f"{quoted(path)} is not {self.folder}'s {name}: its hash differs."
                raise DatasetError(wrong, "Remove or replace it.")
            return array
        return read_idx(fetch(Remote(f"{name}.gz", self.mirrors, size, packed), cache.downloads(self.folder)))


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
    defaults: ClassVar[Mapping[str, Any]] = {"train.epochs": 18}

    def load(self, split: str = "train") -> ImageSet:
        """Images ``(n, 3, 28, 28)``, labels 0 to 999; see :meth:`MnistLike.load`."""
        import torch

        digits = super().load(split)
        assert digits.labels is not None  # noqa: S101  (for the type checker)
        address = generator_at(0, f"stacked-mnist {split}")
        chosen = torch.randint(len(digits.images), (COUNTS[split], 3), generator=address)
        labels = digits.labels[chosen] @ torch.tensor([100, 10, 1])
        return ImageSet(digits.images[chosen, 0], labels, tuple(f"{index:03}" for index in range(1000)))


class FashionMnist(MnistLike):
    """Zalando's images of articles."""

    summary = "Articles of clothing in grey, 28x28: 60,000 to train, 10,000 to test (Xiao et al., 2017); found or downloaded"
    licence = "MIT, Zalando SE"
    folder = "fashion-mnist"
    other_folders = ("FashionMNIST",)
    mirrors = (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    )
    classes = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    published: ClassVar[Mapping[str, tuple[int, str]]] = {
        "train-images-idx3-ubyte": (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        "train-labels-idx1-ubyte": (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        "t10k-images-idx3-ubyte": (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        "t10k-labels-idx1-ubyte": (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    }
    contents: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }


class Kmnist(MnistLike):
    """Kuzushiji-MNIST: hiragana of old Japanese books."""

    summary = "Cursive hiragana in grey, 28x28: 60,000 to train, 10,000 to test (Clanuwat et al., 2018); found or downloaded"
    licence = "CC BY-SA 4.0, ROIS-DS Center for Open Data in the Humanities; doi:10.20676/00000341"
    folder = "kmnist"
    other_folders = ("KMNIST",)
    mirrors = ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/")
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    published: ClassVar[Mapping[str, tuple[int, str]]] = {
        "train-images-idx3-ubyte": (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        "train-labels-idx1-ubyte": (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        "t10k-images-idx3-ubyte": (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        "t10k-labels-idx1-ubyte": (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    }
