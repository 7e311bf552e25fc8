"""The extractor for handwritten digits that lies in the package: a small classifier, trained on MNIST's training split.

``examples/extractor/train.py`` makes its file. Distances in its features are called ``FD-mnist`` and ``KD-mnist``, never FID,
which means Inception's features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import nn

from gancli.errors import DatasetError
from gancli.metrics.extractor import Extractor
from gancli.metrics.moments import Moments

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CLASSES", "FEATURES", "FILE", "DigitExtractor", "DigitNetwork", "StackedDigitExtractor", "is_mnist"]

FEATURES = 64
CLASSES = 10
SIZE = 28
STACKED = 3
FILE = "mnist-extractor.safetensors"


class DigitNetwork(nn.Module):
    """Three convolutions and two dense layers, 61,000 parameters, 2.2 million multiplications per picture.

    The features are the inputs of the last rectifier: what it would cut off tells pictures apart as well.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.MaxPool2d(3, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 3 * 3, FEATURES),
        )
        self.classifier = nn.Linear(FEATURES, CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Grey digits ``(n, 1, 28, 28)`` in [-1, 1] -> features ``(n, 64)``, logits ``(n, 10)``."""
        features: Tensor = self.layers(images)
        return features, self.classifier(features.relu())


@dataclass(frozen=True, slots=True)
class _Stored:
    """The file: the weights, the training pictures' moments in its features, the SHA-256 of these pictures and of the file."""

    weights: dict[str, Tensor]
    moments: Moments
    pictures: str
    digest: str


@cache
def _stored() -> _Stored:
    from hashlib import sha256
    from importlib.resources import as_file, files

    from safetensors import SafetensorError, safe_open

    with as_file(files("gancli.metrics") / "files" / FILE) as path:
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata()
                tensors = {name: file.get_tensor(name).double() for name in file.keys()}  # noqa: SIM118  (it is no mapping)
            moments = Moments(int(about["count"]), tensors.pop("mean"), tensors.pop("covariance"))
            DigitNetwork().load_state_dict(tensors)
            digest = sha256(path.read_bytes()).hexdigest()
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"'{path}', a part of gancli, is damaged: {error}.", "Install gancli again.") from error
    return _Stored(tensors, moments, about["pictures"], digest)


class DigitExtractor(Extractor):
    """64 features and the class of grey digits ``(n, 1, 28, 28)``."""

    name = "mnist"

    def __init__(self) -> None:
        super().__init__()
        stored = _stored()
        self.classes = CLASSES
        self.digest = stored.digest
        self.network = DigitNetwork()
        self.network.load_state_dict(stored.weights)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it; twice as fast
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features ``(n, 64)`` and classes ``(n,)`` of digits ``(n, 1, 28, 28)``."""
        features, logits = self.network(images)
        return features, logits.argmax(1)

    def training_moments(self) -> Moments:
        """Of MNIST's 60,000 training pictures: they are stored with the extractor."""
        return _stored().moments


class StackedDigitExtractor(DigitExtractor):
    """192 features and the class, 0 to 999, of three digits as the channels of ``(n, 3, 28, 28)``: each channel by itself."""

    name = "stacked-mnist"

    def __init__(self) -> None:
        super().__init__()
        self.classes = CLASSES**STACKED

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features ``(n, 192)`` and classes ``(n,)``; digits a, b, c are class 100 a + 10 b + c."""
        features, logits = self.network(images.flatten(0, 1).unsqueeze(1))
        digits = logits.argmax(1).view(-1, STACKED)
        return features.view(len(images), -1) / STACKED**0.5, digits @ digits.new_tensor([100, 10, 1])

    def training_moments(self) -> Moments:
        """Of three independent draws from MNIST's training pictures, which is what Stacked-MNIST consists of."""
        one = super().training_moments()
        covariance = torch.kron(torch.eye(STACKED, dtype=torch.float64), one.covariance) / STACKED
        return Moments(one.count, one.mean.repeat(STACKED) / STACKED**0.5, covariance)


def is_mnist(images: Tensor) -> bool:
    """Whether uint8 ``(n, c, h, w)`` are MNIST's training pictures, in their order."""
    from hashlib import sha256

    if tuple(images.shape) != (_stored().moments.count, 1, SIZE, SIZE):
        return False
    return sha256(images.cpu().contiguous().numpy().data).hexdigest() == _stored().pictures
