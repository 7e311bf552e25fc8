"""The networks of :mod:`gancli_resnet`.

Huang et al., 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline", section 3: what a GAN needs once its loss is
sound. Both networks are a linear trunk with residual blocks beside it; resampling is bilinear and belongs to the trunk;
nothing is normalised. What keeps the variance in place instead is the start: every block is the identity, and a network of
L blocks scales their inner weights by L^(-1/4) (:class:`Block`).

The generator begins with learnt maps that the latent weighs (:class:`Synthesis`); the discriminator ends with the mirror
image of that, a weighted sum over its last maps (:class:`Analysis`). The paper's generator ends linearly; this one ends in
tanh, since an image of gancli is in [-1, 1]. There is no bias at the logit, since the relativistic loss sees differences
of logits only.

Conditional models append an embedding of the class to the latent (generator) and add its projection onto the features to
the logit (discriminator; Miyato & Koyama, 2018).
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, cat, channels_last, empty, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from gancli_resnet import resolutions

if TYPE_CHECKING:
    from gancli.plugin import ImageSpec
    from gancli_resnet import ResNetConfig

__all__ = ["ResNetDiscriminator", "ResNetGenerator"]

Pointwise = partial(nn.Conv2d, kernel_size=1)


class Block(nn.Module):
    """x -> x + W3 f(W2 * f(W1 x)): 1x1, grouped 3x3 and 1x1 convolution, f(t) = LeakyReLU(t + bias).

    Zhang et al., 2019, "Fixup Initialization": W3 = 0, and the m - 1 other layers of a block are scaled by
    L^(-1/(2m - 2)), here with m = 3; once W3 has grown to the usual size, L blocks multiply the variance by (1 + 1/L)^L at
    most, however many they are.

    Args:
        channels: of input and output.
        config: expansion, group size and slope.
        depth: L, how many blocks the network has.
    """

    def __init__(self, channels: int, config: ResNetConfig, depth: int) -> None:
        super().__init__()
        groups = -(-channels * config.expansion // config.group_size)
        hidden = groups * config.group_size
        self.negative_slope = config.negative_slope
        self.expand = Pointwise(channels, hidden)
        self.mix = nn.Conv2d(hidden, hidden, kernel_size=3, padding=1, groups=groups)
        self.project = Pointwise(hidden, channels, bias=False)
        for layer in (self.expand, self.mix):
            _initialise(layer, gain=nn.init.calculate_gain("leaky_relu", config.negative_slope) * depth**-0.25)
        nn.init.zeros_(self.project.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, h, w) -> (n, channels, h, w)``."""
        hidden = leaky_relu(self.expand(x), self.negative_slope)
        change: Tensor = self.project(leaky_relu(self.mix(hidden), self.negative_slope))
        return x + change


class Upsample(nn.Module):
    """To ``channels`` and ``size``: a 1x1 convolution, then bilinear interpolation (which commute)."""

    def __init__(self, inputs: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.convert = Pointwise(inputs, channels, bias=False)
        _initialise(self.convert)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w) -> (n, channels, *size)``."""
        return interpolate(self.convert(x), self.size, mode="bilinear")


class Downsample(nn.Module):
    """To ``channels`` and half the size, rounded up: means of 2x2, which is bilinear there, then a 1x1 convolution."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.convert = Pointwise(inputs, channels, bias=False)
        _initialise(self.convert)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w) -> (n, channels, h/2, w/2)``; a last odd row or column is its own mean."""
        halved: Tensor = self.convert(avg_pool2d(x, 2, ceil_mode=True))
        return halved


class Synthesis(nn.Module):
    """y_c = (W z)_c B_c: every channel is a learnt map B_c, weighed by the latent."""

    def __init__(self, inputs: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.basis = nn.Parameter(empty(channels, *size).normal_())
        self.linear = nn.Linear(inputs, channels, bias=False)
        _initialise(self.linear)

    def forward(self, z: Tensor) -> Tensor:
        """``(n, inputs) -> (n, channels, *size)``."""
        weights: Tensor = self.linear(z)
        return weights[:, :, None, None] * self.basis


class Analysis(nn.Module):
    """y_c = <B_c, x_c>: a depthwise convolution as large as the map."""

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        height, width = size
        self.basis = nn.Parameter(empty(channels, *size).normal_(std=(height * width) ** -0.5))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, *size) -> (n, channels)``."""
        return (x * self.basis).sum((2, 3))


class ResNetGenerator(nn.Module):
    """``z (n, latent_dim)`` [, labels ``(n,)``] -> images ``(n, c, h, w)`` in [-1, 1]."""

    def __init__(self, config: ResNetConfig, image: ImageSpec, latent_dim: int) -> None:
        super().__init__()
        stages = _stages(config, image)[::-1]
        depth = len(stages) * config.blocks
        self.embedding = nn.Embedding(image.classes, config.class_dim) if image.classes else None
        inputs = latent_dim + (config.class_dim if image.classes else 0)
        self.trunk = nn.Sequential(Synthesis(inputs, *stages[0]), *_blocks(stages[0][0], config, depth))
        for (wide, _), (narrow, size) in pairwise(stages):
            self.trunk.extend([Upsample(wide, narrow, size), *_blocks(narrow, config, depth)])
        self.output = Pointwise(stages[-1][0], image.channels)
        _initialise(self.output)
        _lay_out(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate one image per latent."""
        if self.embedding is not None:
            z = cat([z, self.embedding(labels)], dim=1)
        images: Tensor = self.output(self.trunk(z)).tanh()
        return images


class ResNetDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n,)``."""

    def __init__(self, config: ResNetConfig, image: ImageSpec) -> None:
        super().__init__()
        stages = _stages(config, image)
        depth = len(stages) * config.blocks
        first, last = stages[0][0], stages[-1][0]
        self.input = Pointwise(image.channels, first, bias=False)
        self.trunk = nn.Sequential(*_blocks(first, config, depth))
        for (narrow, _), (wide, _) in pairwise(stages):
            self.trunk.extend([Downsample(narrow, wide), *_blocks(wide, config, depth)])
        self.trunk.append(Analysis(*stages[-1]))
        self.output = nn.Linear(last, 1, bias=False)
        self.embedding = nn.Embedding(image.classes, last) if image.classes else None
        for layer in (self.input, self.output):
            _initialise(layer)
        if self.embedding is not None:
            _initialise(self.embedding)  # a class weighs the features as the output layer does
        _lay_out(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits of images: positive ones mean real."""
        features = self.trunk(self.input(images))
        logits: Tensor = self.output(features).squeeze(1)
        if self.embedding is not None:
            logits = logits + (self.embedding(labels) * features).sum(1)
        return logits


def _stages(config: ResNetConfig, image: ImageSpec) -> list[tuple[int, tuple[int, int]]]:
    """Channels and size at every resolution, the image's own first."""
    sizes = resolutions(image.height, image.width)
    return [(min(config.channels * config.growth**level, config.max_channels), size) for level, size in enumerate(sizes)]


def _blocks(channels: int, config: ResNetConfig, depth: int) -> list[nn.Module]:
    return [Block(channels, config, depth) for _ in range(config.blocks)]


def _lay_out(network: nn.Module) -> None:
    """Keep the weights of convolutions as kernels want them, channels last: a step takes .85 of the time, on a CPU too."""
    network.to(memory_format=channels_last)  # type: ignore[call-overload]  # torch's stubs do not know the argument


def _initialise(layer: nn.Conv2d | nn.Linear | nn.Embedding, gain: float = 1.0) -> None:
    """N(0, gain^2 / fan-in), which multiplies the variance by gain^2; biases are zero."""
    nn.init.normal_(layer.weight, std=gain * layer.weight[0].numel() ** -0.5)
    bias = None if isinstance(layer, nn.Embedding) else layer.bias
    if bias is not None:
        nn.init.zeros_(bias)
