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

Conditional models append an embedding of the class to the latent (generator) and add its projection onto the sum of the
last feature map to the logit (discriminator; Miyato & Koyama, 2018).
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from torch import Tensor, cat, nn
from torch.nn.utils.parametrizations import spectral_norm

from gancli_dcgan import halvings

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.plugin import ImageSpec
    from gancli_dcgan import DCGANConfig

__all__ = ["DCGANDiscriminator", "DCGANGenerator"]

STD = 0.02

Double = partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1)
Halve = partial(nn.Conv2d, kernel_size=4, stride=2, padding=1)

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": nn.Identity,
    "spectral": nn.Identity,  # acts on the weights instead
    "batch": nn.BatchNorm2d,
    "instance": partial(nn.InstanceNorm2d, affine=True),
    "layer": partial(nn.GroupNorm, 1),
}
"""The layer that each value of the options ``generator_norm`` and ``discriminator_norm`` puts after a convolution."""


def _widths(config: DCGANConfig, image: ImageSpec) -> list[int]:
    """Channels at 1/2, 1/4, ... of the resolution, down to the base."""
    return [min(config.channels * 2**level, config.max_channels) for level in range(halvings(image.height, image.width))]


def _base(config: DCGANConfig, image: ImageSpec) -> tuple[int, int, int]:
    """The smallest feature map: ``(channels, height, width)``."""
    widths = _widths(config, image)
    return widths[-1], image.height >> len(widths), image.width >> len(widths)


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


class DCGANGenerator(nn.Module):
    """``z (n, latent_dim)`` [, labels ``(n,)``] -> images ``(n, c, h, w)`` in [-1, 1]."""

    def __init__(self, config: DCGANConfig, image: ImageSpec, latent_dim: int) -> None:
        super().__init__()
        norm = NORMS[config.generator_norm]
        plain = norm is nn.Identity
        widths = _widths(config, image)[::-1]
        base = _base(config, image)
        self.embedding = nn.Embedding(image.classes, config.class_dim) if image.classes else None
        inputs = latent_dim + (config.class_dim if image.classes else 0)
        layers = [nn.Linear(inputs, prod(base), bias=plain), nn.Unflatten(1, base), norm(widths[0]), nn.ReLU()]
        for wide, narrow in pairwise(widths):
            layers += [Double(wide, narrow, bias=plain), norm(narrow), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        self.output = Double(widths[-1], image.channels)
        _initialise(self, normalised=not plain)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw one picture per latent."""
        if self.embedding is not None:
            z = cat([z, self.embedding(labels)], dim=1)
        images: Tensor = self.output(self.hidden(z)).tanh()
        return images


class DCGANDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n,)``."""

    def __init__(self, config: DCGANConfig, image: ImageSpec) -> None:
        super().__init__()
        norm = NORMS[config.discriminator_norm]
        plain = norm is nn.Identity
        widths = _widths(config, image)
        layers = [Halve(image.channels, widths[0]), nn.LeakyReLU(config.negative_slope)]
        for narrow, wide in pairwise(widths):
            layers += [Halve(narrow, wide, bias=plain), norm(wide), nn.LeakyReLU(config.negative_slope)]
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(prod(_base(config, image)), 1, bias=False)
        self.embedding = nn.Embedding(image.classes, widths[-1]) if image.classes else None
        _initialise(self, normalised=not plain)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=STD)  # it meets a sum over the whole map
        if config.discriminator_norm == "spectral":
            _bound_spectrally(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge every picture: positive logits mean real."""
        features = self.hidden(images)
        logits: Tensor = self.output(features.flatten(1)).squeeze(1)
        if self.embedding is not None:
            logits = logits + (self.embedding(labels) * features.sum((2, 3))).sum(1)
        return logits
