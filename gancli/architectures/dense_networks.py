"""The networks of :mod:`gancli.architectures.dense`.

Initial weights: N(0, 0.02^2) in the first layer of each network, Glorot uniform in the others, biases zero.
Conditional models append an embedding of the class to the latent (generator) and add its projection onto the last hidden
layer to the logit (discriminator; Miyato & Koyama, 2018).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, cat, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gancli.architectures.dense import DenseConfig
    from gancli.plugin import ImageSpec

__all__ = ["DenseDiscriminator", "DenseGenerator"]


def _hidden(widths: Sequence[int], after: Callable[[], Sequence[nn.Module]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), *after()]
    return nn.Sequential(*layers)


def _initialise(network: nn.Module) -> None:
    linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    for position, layer in enumerate(linears):
        if position == 0:
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
        _initialise(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Draw one picture per latent."""
        if self.embedding is not None:
            z = cat([z, self.embedding(labels)], dim=1)
        return self.output(self.hidden(z)).tanh().unflatten(1, self.shape)


class DenseDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n,)``."""

    def __init__(self, config: DenseConfig, image: ImageSpec) -> None:
        super().__init__()
        widths = (image.channels * image.height * image.width, *config.discriminator_widths)

        def after() -> Sequence[nn.Module]:
            return [nn.LeakyReLU(config.negative_slope), *([nn.Dropout(config.dropout)] if config.dropout else [])]

        self.hidden = _hidden(widths, after)
        self.output = nn.Linear(widths[-1], 1)
        self.embedding = nn.Embedding(image.classes, widths[-1]) if image.classes else None
        _initialise(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Judge every picture: positive logits mean real."""
        features = self.hidden(images.flatten(1))
        logits = self.output(features).squeeze(1)
        if self.embedding is not None:
            logits = logits + (self.embedding(labels) * features).sum(1)
        return logits
