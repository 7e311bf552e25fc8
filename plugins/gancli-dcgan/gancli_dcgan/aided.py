"""A second discriminator on the features of a pretrained network that is never trained.

Kumari et al., 2022, "Ensembling off-the-shelf models for GAN training": each discriminator of an ensemble, one of which learns
from pixels, has its own logit and its own loss, and the generator minimises the sum. What differs from the paper: one frozen
network, of which only the first maps are used, since the deeper ones cost more than they give in small images; heads bounded
by spectral normalisation instead of label smoothing; penalties on the own discriminator.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from torch import Tensor, cat, channels_last, nn, stack, tensor
from torch.nn.utils.parametrizations import spectral_norm

from gancli_projected.efficientnet import WIDTHS, three_channels

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.plugin import LossTerm, StepContext
    from gancli_dcgan import AidedConfig
    from gancli_projected.efficientnet import EfficientNetLite

__all__ = ["AidedDiscriminator", "aided_term"]


class AidedDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n, 1 + maps)``: the own one, and one of each map.

    Labels are seen by the own one alone.
    """

    def __init__(self, own: nn.Module, features: EfficientNetLite, config: AidedConfig) -> None:
        super().__init__()
        self._frozen = (features,)  # in a tuple it is not a submodule
        self.own = own
        self.heads = nn.ModuleList(_head(width, config.head_channels, config) for width in WIDTHS[: config.maps])
        self.weights = [1.0, *[config.head_weight / config.maps] * config.maps]

    def forward(self, images: Tensor, *labels: Tensor) -> Tensor:
        """Logits of images: positive ones mean real."""
        colour = three_channels(images).contiguous(memory_format=channels_last)
        maps = self._frozen[0](colour, len(self.heads))
        seen = [head(x).mean((1, 2, 3)) for head, x in zip(self.heads, maps, strict=True)]
        return stack([self.own(images, *labels), *seen], 1)


def _head(inputs: int, channels: int, config: AidedConfig) -> nn.Sequential:
    """A map of features to a map of logits."""
    hidden, logit = nn.Conv2d(inputs, channels, 3, padding=1), nn.Conv2d(channels, 1, 1)
    return nn.Sequential(spectral_norm(hidden), nn.LeakyReLU(config.negative_slope), spectral_norm(logit))


@dataclass(frozen=True)
class _Own:
    """What penalties read of a step, of the own discriminator alone and of images as they are, not augmented."""

    real: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    discriminate: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, s: StepContext) -> _Own:
        """One pass over real and generated images."""
        own = cast("AidedDiscriminator", s.network("discriminator")).own
        logits = own(cat([s.real, s.fake]), *(cat([each] * 2) for each in s.conditions)).float()
        n = len(s.real)
        return cls(s.real, s.fake, logits[:n], logits[n:], lambda images: own(images, *s.conditions).float())


def aided_term(term: LossTerm) -> LossTerm:
    """A loss term of an objective for these logits: a loss is the weighted sum of all, a penalty that of the own logit."""

    def loss(s: StepContext) -> Tensor:
        each = term.value(s)
        weights = cast("AidedDiscriminator", s.network("discriminator")).weights
        return (each * tensor(weights, device=each.device)).sum(1)

    def penalty(s: StepContext) -> Tensor:
        return term.value(cast("StepContext", s.once(_Own.of)))

    return replace(term, value=penalty if term.second_order else loss)
