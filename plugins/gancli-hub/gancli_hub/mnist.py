"""Data sets like MNIST that are found on the disk or downloaded.

A file of a published data set is known by its hash, wherever it comes from: that of the gzip file as it was
published, or that of the IDX in it, since distributions compress again.
"""

from __future__ import annotations

import os
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gancli.data import cache
from gancli.data.arrays import digest, read_idx
from gancli.data.mnist import MnistLike
from gancli.data.paths import open_regular, quoted
from gancli.errors import DatasetError
from gancli_hub.fetching import Remote, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray


class Published(MnistLike):
    """Four gzip files, in a folder of some name or from a mirror."""

    other_folders: ClassVar[tuple[str, ...]] = ()  # how the folder is called elsewhere
    mirrors: ClassVar[tuple[str, ...]]  # where the files can be downloaded, the best first
    published: ClassVar[Mapping[str, tuple[int, str]]]  # name -> bytes and SHA-256 of the published .gz
    contents: ClassVar[Mapping[str, str]] = {}  # name -> SHA-256 of the IDX in it, as far as known

    def places(self) -> Iterator[Path]:
        """Where the files may lie: Debian's folder, those of Keras and torchvision, and gancli's own cache."""
        home = Path(os.path.expanduser("~"))  # noqa: PTH111  (Path.home raises where there is none)
        for name in (self.folder, *self.other_folders):
            yield Path("/usr/share/datasets") / name
            yield home / ".keras" / "datasets" / name
            yield Path("data") / name / "raw"
        yield cache.root() / "downloads" / self.folder

    def _array(self, name: str) -> NDArray[np.uint8]:
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
        return read_idx(fetch(Remote(f"{name}.gz", self.mirrors, size, packed), cache.root() / "downloads" / self.folder))


class FashionMnist(Published):
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


class Kmnist(Published):
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
