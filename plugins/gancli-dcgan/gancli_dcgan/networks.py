"""The networks of :mod:`gancli_dcgan`.

Radford et al., 2015, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks". All
resampling is learnt, by convolutions of kernel 4 and stride 2: the kernel is a multiple of the stride, so that equally many
weights reach every pixel. What differs from the paper:

- The discriminator has no batch normalisation unless asked for, so that its gradient at an image depends on that image
  alone; and its last convolution is written as the linear layer that it equals.
- There is no bias that nothing could move: none before a normalisation, which would subtract it again, and none at the
  logit, since the relativistic and the Wasserstein loss see differences of logits only.
- Without a normalisation to rescale them, weights of N(0, 0.02^2) would let a deep or narrow network fade out. Such a
  network starts from He's instead.
- Self-modulation (option ``modulation``; Chen et al., 2019, "On Self Modulation for Generative Adversarial Networks"): the
  latent reaches every hidden layer of the generator, not only the first.
- A dense layer (option ``hidden``) behind the latent and one before the logit: at 28 pixels a logit without it is a sum over
  patches of 10x10 pixels, each of which may be right while the image is wrong.
- The generator may end without tanh (option ``output_activation``), whose gradient vanishes where a pixel is saturated.
- Minibatch standard deviation (option ``group_size``; Karras et al., 2018, "Progressive Growing of GANs", section 3): the
  discriminator sees how much the images of a group differ, so that a generator of too few kinds of images is found out.

Conditional models append an embedding of the class to the latent (generator) and add its projection onto the sum of the
last feature map to the logit (discriminator; Miyato & Koyama, 2018).
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, cast

from torch import Tensor, cat, channels_last, nn
from torch.nn.functional import avg_pool2d, conv_transpose2d
from torch.nn.utils.parametrizations import spectral_norm

from gancli_dcgan import halvings

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.plugin import ImageSpec
    from gancli_dcgan import DCGANConfig

__all__ = ["DCGANDiscriminator", "DCGANGenerator"]

STD = 0.02

FOLDED_FROM = 8
"""Shorter side of the map from which on it pays to fold an upsampling into the convolution behind it."""

Transposed = partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1)
Halve = partial(nn.Conv2d, kernel_size=4, stride=2, padding=1)

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity,
    "spectral": nn.Identity,  # acts on the weights instead
    "batch": nn.BatchNorm2d,
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "layer": partial(nn.GroupNorm, 1),
}
"""The layer that each value of the options ``generator_norm`` and ``discriminator_norm`` puts after a convolution."""


class Nearest(nn.Sequential):
    """Every pixel four times, then a 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w)`` -> ``(n, outputs, 2h, 2w)``.

        In training as the transposed convolution that it equals, whose 4x4 kernel is the 3x3 one summed over 2x2 pixels: half
        the products, and no enlarged map.
        """
        conv = cast("nn.Conv2d", self[1])
        if not self.training or min(x.shape[2:]) < FOLDED_FROM:
            doubled: Tensor = conv(self[0](x))
            return doubled
        kernel = avg_pool2d(conv.weight, 2, stride=1, padding=1, divisor_override=1).flip(2, 3).transpose(0, 1)
        return conv_transpose2d(x, kernel, conv.bias, stride=2, padding=1)


def _widths(channels: int, config: DCGANConfig, image: ImageSpec) -> list[int]:
    """Channels at 1/2, 1/4, ... of the resolution, down to the base."""
    return [min(channels * 2**level, config.max_channels) for level in range(halvings(image.height, image.width))]


def _base(widths: list[int], image: ImageSpec) -> tuple[int, int, int]:
    """The smallest feature map: ``(channels, height, width)``."""
    return widths[-1], image.height >> len(widths), image.width >> len(widths)


def _dense(inputs: int, config: DCGANConfig) -> list[nn.Module]:
    """The hidden layer that sees the whole latent or the whole image."""
    return [nn.Linear(inputs, config.hidden), nn.LeakyReLU(config.negative_slope)] if config.hidden else []


def _fan_in(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> int:
    """How many inputs reach one output (of a transposed convolution: one in ``stride`` taps per side does)."""
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.in_channels * prod(layer.kernel_size) // prod(layer.stride)
    return layer.weight[0].numel()


def _initialise(network: nn.Module, *, normalised: bool) -> None:
    """N(0, 0.02^2) with normalisations, whose scales are N(1, 0.02^2) (Radford et al., section 4); else N(0, 2 / fan-in).

    He et al., 2015, "Delving Deep into Rectifiers", equation 10. Biases are zero.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=STD if normalised else (2 / _fan_in(layer)) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm):
            nn.init.normal_(layer.weight, mean=1, std=STD)


def _bound_spectrally(network: nn.Module) -> None:
    """Divide every weight by its largest singular value (Miyato et al., 2018, "Spectral Normalization for GANs")."""
    for layer in [*network.modules()]:
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            spectral_norm(layer)


class Modulation(nn.Module):
    """x -> (1 + A z) x + B z, per channel; A and B start at N(0, 0.02^2)."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Linear(inputs, channels, bias=False), nn.Linear(inputs, channels, bias=False)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """``(n, channels, h, w)``, ``z (n, inputs)`` -> ``(n, channels, h, w)``."""
        modulated: Tensor = x * (1 + self.scale(z))[:, :, None, None] + self.shift(z)[:, :, None, None]
        return modulated


class DCGANGenerator(nn.Module):
    """``z (n, latent_dim)`` [, labels ``(n,)``] -> images ``(n, c, h, w)`` in [-1, 1], or about it without tanh."""

    def __init__(self, config: DCGANConfig, image: ImageSpec, latent_dim: int) -> None:
        super().__init__()
        norm = NORMS[config.generator_norm]
        double = Transposed if config.upsampling == "transposed" else Nearest
        plain = norm is nn.Identity
        widths = _widths(config.channels, config, image)[::-1]
        base = _base(widths[::-1], image)
        self.embedding = nn.Embedding(image.classes, config.class_dim) if image.classes else None
        inputs = latent_dim + (config.class_dim if image.classes else 0)
        layers = [*_dense(inputs, config), nn.Linear(config.hidden or inputs, prod(base), bias=plain)]
        layers += [nn.Unflatten(1, base), norm(widths[0]), nn.ReLU()]
        for wide, narrow in pairwise(widths):
            layers += [double(wide, narrow, bias=plain), norm(narrow), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.output = double(widths[-1], image.channels)
        self.saturates = config.output_activation == "tanh"
        self.modulations = nn.ModuleList(Modulation(inputs, width) for width in widths if config.modulation)
        _initialise(self, normalised=not plain)
        for weight in self.modulations.parameters():
            nn.init.normal_(weight, std=STD)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate one image per latent."""
        return self.synthesis(z if self.embedding is None else cat([z, self.embedding(labels)], dim=1))

    def synthesis(self, w: Tensor) -> Tensor:
        """Images of latents, each with the embedding of its class behind it if there are classes."""
        x, modulations = w, iter(self.modulations)
        for layer in self.hidden:
            if isinstance(layer, nn.ReLU) and self.modulations:
                x = next(modulations)(x, w)
            x = layer(x)
            if isinstance(layer, nn.Unflatten):
                x = x.contiguous(memory_format=channels_last)
        images: Tensor = self.output(x)
        return images.tanh() if self.saturates else images


class DCGANDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n,)``."""

    def __init__(self, config: DCGANConfig, image: ImageSpec) -> None:
        super().__init__()
        norm = NORMS[config.discriminator_norm]
        plain = norm is nn.Identity
        widths = _widths(config.discriminator_channels or config.channels, config, image)
        layers = [Halve(image.channels, widths[0]), nn.LeakyReLU(config.negative_slope)]
        for narrow, wide in pairwise(widths):
            layers += [Halve(narrow, wide, bias=plain), norm(wide), nn.LeakyReLU(config.negative_slope)]
        self.hidden = nn.Sequential(*layers)
        channels, *size = _base(widths, image)
        self.group_size = config.group_size
        inputs = (channels + (self.group_size > 1)) * prod(size)
        logit = nn.Linear(config.hidden or inputs, 1, bias=False)
        self.output = nn.Sequential(*_dense(inputs, config), logit) if config.hidden else logit
        self.embedding = nn.Embedding(image.classes, widths[-1]) if image.classes else None
        _initialise(self, normalised=not plain)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=STD)  # it meets a sum over the whole map
        if config.discriminator_norm == "spectral":
            _bound_spectrally(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits of images: positive ones mean real."""
        features = self.hidden(images)
        seen = cat([features, deviation(features, self.group_size)], 1) if self.group_size > 1 else features
        logits: Tensor = self.output(seen.flatten(1)).squeeze(1)
        if self.embedding is not None:
            logits = logits + (self.embedding(labels) * features.sum((2, 3))).sum(1)
        return logits


def deviation(x: Tensor, group_size: int, *, per_pixel: bool = False) -> Tensor:
    """Minibatch standard deviation: of each feature over a group of neighbours, averaged; ``(n, 1, h, w)``.

    ``per_pixel`` averages over the channels alone, and so shows where the images of a group are alike. A group never holds
    both real and generated images, where one half of the batch is real and the other generated.
    """
    n, channels, height, width = x.shape
    kind = n // 2 if n % 2 == 0 else n
    group = next(size for size in range(min(group_size, kind), 0, -1) if kind % size == 0)
    groups = x.float().reshape(n // group, group, -1)
    variance = (groups - groups.mean(1, keepdim=True)).square().mean(1)  # thirty times as fast as var(1) on a CPU
    spread = (variance + 1e-8).sqrt().view(-1, channels, height, width)
    average = spread.mean(1 if per_pixel else (1, 2, 3), keepdim=True)
    return average.repeat_interleave(group, 0).expand(n, 1, height, width).to(x.dtype)
