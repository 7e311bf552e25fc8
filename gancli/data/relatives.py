"""MNIST's relatives by name: found where they usually lie on a disk, else downloaded.

A file is known by its hash, wherever it comes from: that of the gzip file as it was published, or that of the IDX in it,
since distributions compress again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gancli.data import cache
from gancli.data.fetching import Remote, fetch
from gancli.data.mnist import SPLITS
from gancli.data.paths import open_regular, quoted
from gancli.errors import DatasetError
from gancli.plugin import Dataset, ImageSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FashionMnist", "Kmnist", "Relative"]


class Relative(Dataset):
    """A data set of four IDX files, named like MNIST's.

    Attributes:
        folder: how the folder of the files is called.
        mirrors: where they can be downloaded, the best first.
        published: name -> bytes and SHA-256 of the published ``.gz``, and SHA-256 of what is in it, as far as known.
        classes: their names.
    """

    folder: ClassVar[str]
    other_folders: ClassVar[tuple[str, ...]] = ()
    mirrors: ClassVar[tuple[str, ...]]
    published: ClassVar[Mapping[str, tuple[int, str, str]]]
    classes: ClassVar[tuple[str, ...]]

    def load(self, split: str = "train") -> ImageSet:
        """The pictures of ``split`` in their canonical order: ``(n, 1, 28, 28)``, and labels 0 to 9.

        Raises:
            DatasetError: there is no such split.
            DownloadError: the files are nowhere on the disk and cannot be downloaded.
        """
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
        from gancli.data.arrays import read_idx

        for place in self.places():
            path = place / f"{name}.gz"
            if path.is_file():
                array = read_idx(path) if self._is_published(path, name) else self._same_content(path, name)
                if array is not None:
                    return array
        size, digest, _ = self.published[name]
        return read_idx(fetch(Remote(f"{name}.gz", self.mirrors, size, digest), cache.downloads(self.folder)))

    def _is_published(self, path: Path, name: str) -> bool:
        from hashlib import file_digest

        size, expected, _ = self.published[name]
        with open_regular(path) as file:
            return os.fstat(file.fileno()).st_size == size and file_digest(file, "sha256").hexdigest() == expected

    def _same_content(self, path: Path, name: str) -> NDArray[np.uint8] | None:
        from gancli.data.arrays import digest, read_idx

        expected = self.published[name][2]
        if not expected:
            return None
        array = read_idx(path)
        if digest(array) != expected:
            raise DatasetError(f"{quoted(path)} is not {self.folder}'s {name}: its hash differs.", "Remove or replace it.")
        return array


class FashionMnist(Relative):
    """Zalando's pictures of articles."""

    api = 1
    summary = "Articles of clothing in grey, 28x28: 60,000 to train, 10,000 to test (Xiao et al., 2017); found or downloaded"
    licence = "MIT, Zalando SE"
    defaults: ClassVar[Mapping[str, Any]] = {}
    folder = "fashion-mnist"
    other_folders = ("FashionMNIST",)
    mirrors = (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    )
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    published: ClassVar[Mapping[str, tuple[int, str, str]]] = {
        "train-images-idx3-ubyte": (
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        "train-labels-idx1-ubyte": (
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        "t10k-images-idx3-ubyte": (
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        "t10k-labels-idx1-ubyte": (
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    }


class Kmnist(Relative):
    """Kuzushiji-MNIST: hiragana of old Japanese books."""

    api = 1
    summary = "Cursive hiragana in grey, 28x28: 60,000 to train, 10,000 to test (Clanuwat et al., 2018); found or downloaded"
    licence = "CC BY-SA 4.0, ROIS-DS Center for Open Data in the Humanities; doi:10.20676/00000341"
    defaults: ClassVar[Mapping[str, Any]] = {}
    folder = "kmnist"
    other_folders = ("KMNIST",)
    mirrors = ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/")
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    published: ClassVar[Mapping[str, tuple[int, str, str]]] = {
        "train-images-idx3-ubyte": (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4", ""),
        "train-labels-idx1-ubyte": (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17", ""),
        "t10k-images-idx3-ubyte": (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5", ""),
        "t10k-labels-idx1-ubyte": (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c", ""),
    }
