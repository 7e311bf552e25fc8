"""The networks of :mod:`gancli.gan.architectures.dense`.

Centring: a generator whose output bias is artanh(m), m the mean image, starts from the mean image instead of from grey; a
discriminator that is shown x - m sees what varies. On pictures that are mostly black it halves the distance to the data
that is reached in the same time. The mean is a buffer of the discriminator, so that a checkpoint holds it.

Conditional models append an embedding of the class to the latent (generator) and add its projection onto the last hidden
layer to the logit (discriminator; Miyato & Koyama, 2018).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, cat, nn, no_grad, zeros

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gancli.gan.architectures.dense import DenseConfig
    from gancli.plugin import ImageSpec

__all__ = ["DenseDiscriminator", "DenseGenerator"]

_NEAR_END = 0.98
"""tanh has no finite argument for the ends of its range."""


def _hidden(widths: Sequence[int], after: Callable[[], Sequence[nn.Module]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), *after()]
    return nn.Sequential(*layers)


def _initialise(network: nn.Module, scheme: str, negative_slope: float) -> None:
    """``he``: He et al., 2015, normal, for LeakyReLU. ``article``: N(0, 0.02^2) in the first layer, Glorot uniform after it."""
    linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    for position, layer in enumerate(linears):
        if scheme == "he":
            nn.init.kaiming_normal_(layer.weight, a=negative_slope, nonlinearity="leaky_relu")
        elif position == 0:
            nn.init.normal_(layer.weight, std=0.02)
        else:
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


class DenseGenerator(nn.Module):
    """``z (n, latent_dim)`` [, labels ``(n,)``] -> images ``(n, c, h, w)`` in (-1, 1)."""

    def __init__(self, config: DenseConfig, image: ImageSpec, latent_dim: int) -> None:
        super().__init__()
        self.shape = image.shape
        self.embedding = nn.Embedding(image.classes, config.class_dim) if image.classes else None
        inputs = latent_dim + (config.class_dim if image.classes else 0)
        widths = (inputs, *config.generator_widths)
        self.hidden = _hidden(widths, lambda: [nn.LeakyReLU(config.negative_slope)])
        self.output = nn.Linear(widths[-1], image.channels * image.height * image.width)
        self._centred = config.centre
        _initialise(self, config.initialisation, config.negative_slope)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw one picture per latent."""
        if self.embedding is not None:
            z = cat([z, self.embedding(labels)], dim=1)
        pixels: Tensor = self.output(self.hidden(z)).tanh()
        return pixels.reshape(-1, *self.shape)

    @no_grad()
    def centre(self, mean: Tensor) -> None:
        """Let a hidden layer of zeros be the mean image: bias = artanh(mean), kept off the ends of the range."""
        if self._centred:
            self.output.bias.copy_(mean.flatten().clamp(-_NEAR_END, _NEAR_END).atanh())


class DenseDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n,)``."""

    mean: Tensor | None

    def __init__(self, config: DenseConfig, image: ImageSpec) -> None:
        super().__init__()
        widths = (image.channels * image.height * image.width, *config.discriminator_widths)

        def after() -> Sequence[nn.Module]:
            return [nn.LeakyReLU(config.negative_slope), *([nn.Dropout(config.dropout)] if config.dropout else [])]

        self.hidden = _hidden(widths, after)
        self.output = nn.Linear(widths[-1], 1)
        self.embedding = nn.Embedding(image.classes, widths[-1]) if image.classes else None
        self.register_buffer("mean", zeros(widths[0]) if config.centre else None)
        _initialise(self, config.initialisation, config.negative_slope)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge every picture: positive logits mean real."""
        pixels = images.flatten(1)
        features = self.hidden(pixels if self.mean is None else pixels - self.mean)
        logits: Tensor = self.output(features).squeeze(1)
        if self.embedding is not None:
            logits = logits + (self.embedding(labels) * features).sum(1)
        return logits

    @no_grad()
    def centre(self, mean: Tensor) -> None:
        """Show the network differences from ``mean`` from now on."""
        if self.mean is not None:
            self.mean.copy_(mean.flatten())
