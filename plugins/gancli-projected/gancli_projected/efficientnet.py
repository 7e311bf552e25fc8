"""EfficientNet-Lite (Tan and Le, 2019, "EfficientNet"; the Lite variants have ReLU6 and no squeeze-and-excitation).

Pretrained on ImageNet, batch normalisation folded into the convolutions, without the head that classifies.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn
from torch.nn.functional import conv2d, pad

from gancli_projected.weights import LITE0, LITE1, asset

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BLOCKS", "WIDTHS", "EfficientNetLite", "cached", "pretrained", "three_channels"]

WIDTHS = (24, 40, 112, 320)
"""Channels of the four feature maps, at strides of 4, 8, 16 and 32."""

_STAGES = ((16, 1, 3, 1), (24, 6, 3, 2), (40, 6, 5, 2), (80, 6, 3, 2), (112, 6, 5, 1), (192, 6, 5, 2), (320, 6, 3, 1))
"""Channels, expansion, kernel and stride of the first block of each stage."""
BLOCKS = {LITE0: (1, 2, 2, 3, 3, 4, 1), LITE1: (1, 3, 3, 4, 4, 5, 1)}
"""How many blocks each stage of each network has."""
_OUTPUTS = (1, 2, 4, 6)
"""The stages whose outputs are the feature maps."""
_BN_EPSILON = 1e-3
_FOLDED = {
    LITE0: "70222de53346907090abe53549532fe88a77b000d355523f7b6b4eae6ebf8809",
    LITE1: "b0d906acc4f5ed925fea29256144ac1d513b3591877c5b4aaf43a91454ed1d08",
}
"""SHA-256 of the converted file of each network."""


class Convolution(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": to ceil(side / stride), the odd pixel at the end."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w) -> (n, outputs, ceil(h / stride), ceil(w / stride))``.

        Sides that the stride divides lack an odd number of pixels. With a row and a column of zeros before the kernel all sides
        are padded alike, which the convolution does itself, without a copy of the map.
        """
        kernel, stride = self.kernel_size[0], self.stride[0]
        lacking = [max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in (x.shape[3], x.shape[2])]
        weight, alike = self.weight, {*lacking} == {kernel - 1}
        if {*lacking} == {kernel - 2}:
            weight, alike = pad(weight, (1, 0, 1, 0)), True
        elif not alike:
            x = pad(x, [part for lack in lacking for part in (lack // 2, lack - lack // 2)])
        return conv2d(x, weight, self.bias, stride, kernel // 2 if alike else 0, groups=self.groups)


class Block(nn.Module):
    """An inverted residual: expand, depthwise, project, and the input added where that is possible."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Sequential(Convolution(inputs, hidden, 1), nn.ReLU6()) if expansion > 1 else nn.Identity()
        self.depthwise = nn.Sequential(Convolution(hidden, hidden, kernel, stride, groups=hidden), nn.ReLU6())
        self.project = Convolution(hidden, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w) -> (n, outputs, h / stride, w / stride)``."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


class EfficientNetLite(nn.Module):
    """Colour images ``(n, 3, h, w)`` in [-1, 1] -> four maps ``(n, WIDTHS[i], h / 2^(i+2), w / 2^(i+2))``.

    Args:
        blocks: per stage.
    """

    def __init__(self, blocks: tuple[int, ...]) -> None:
        super().__init__()
        inputs = 32
        self.stem = nn.Sequential(Convolution(3, inputs, 3, 2), nn.ReLU6())
        self.stages = nn.ModuleList()
        for (outputs, expansion, kernel, stride), repeats in zip(_STAGES, blocks, strict=True):
            later = [Block(outputs, outputs, expansion, kernel, 1) for _ in range(repeats - 1)]
            self.stages.append(nn.Sequential(Block(inputs, outputs, expansion, kernel, stride), *later))
            inputs = outputs

    def forward(self, images: Tensor, count: int = len(WIDTHS)) -> list[Tensor]:
        """The first ``count`` of the four maps, fine ones first; no more is computed than they need."""
        x, maps = self.stem(images * (127.5 / 128)), []  # they were trained on (level - 127) / 128
        for number, stage in enumerate(self.stages[: _OUTPUTS[count - 1] + 1]):
            x = stage(x)
            if number in _OUTPUTS:
                maps.append(x)
        return maps


def three_channels(images: Tensor, background: float = 0.0) -> Tensor:
    """Images of 1 to 4 channels as colour: grey three times, transparent ones composited onto a level in [-1, 1]."""
    if images.shape[1] in (2, 4):
        alpha = (images[:, -1:] + 1) / 2
        images = images[:, :-1] * alpha + background * (1 - alpha)
    return images.expand(-1, 3, -1, -1)


def pretrained(name: str) -> EfficientNetLite:
    """``lite0`` or ``lite1``, frozen. The weights are converted once, and then lie in gancli's cache.

    The original file is read by torch's restricted reader, which runs no code of the file; its SHA-256 is checked by gancli,
    as that of every asset, and the converted one's here.
    """
    network = EfficientNetLite(BLOCKS[name])
    network.load_state_dict(cached(name) or _converted(name, network))
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def cached(name: str) -> dict[str, Tensor] | None:
    """The converted weights, unless they are not there, or others than they should be."""
    with suppress(OSError, SafetensorError):
        data = _cache(name).read_bytes()
        if sha256(data).hexdigest() == _FOLDED[name]:
            return load(data)
    return None


def _converted(name: str, network: EfficientNetLite) -> dict[str, Tensor]:
    """The original weights, convolutions and batch norms in the same order, as those of ``network``; kept if that can be.

    In float64, y = (conv(x) - mean) gamma / sqrt(var + eps) + beta is conv'(x) with w' = w gamma / sqrt(var + eps).
    """
    stored = torch.load(asset(name).path, map_location="cpu", weights_only=True)
    tensors = [value for key, value in stored.items() if not key.endswith("num_batches_tracked")]
    starts = [index for index, tensor in enumerate(tensors) if tensor.ndim == 4]  # noqa: PLR2004  (a kernel)
    folded: OrderedDict[str, Tensor] = OrderedDict()
    names = [key.removesuffix(".weight") for key in network.state_dict() if key.endswith(".weight")]
    for layer, start in zip(names, starts, strict=False):  # the last is of the head
        kernel, gamma, beta, mean, variance = (tensor.double() for tensor in tensors[start : start + 5])
        scale = gamma / (variance + _BN_EPSILON).sqrt()
        folded[f"{layer}.weight"] = (kernel * scale.view(-1, 1, 1, 1)).float().contiguous()
        folded[f"{layer}.bias"] = (beta - mean * scale).float()
    path = _cache(name)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_bytes(save(folded))
        part.replace(path)
    return folded


def _cache(name: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    root = os.environ.get("GANCLI_CACHE") or Path(base, "gancli")
    return Path(root, "downloads", "efficientnet-lite", f"{name}.safetensors")
