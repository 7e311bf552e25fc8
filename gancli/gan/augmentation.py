"""Differentiable augmentation, for data sets so small that the discriminator would overfit.

Real and generated images go through the same random changes before D sees them, and gradients flow through the changes into G
(Zhao et al., 2020, "Differentiable augmentation for data-efficient GAN training"). Each kind of change is applied to each
image with the probability p; as long as p stays below 1, G does not learn to generate the changes. p follows how sure D is of
the real images (Karras et al., 2020, "Training generative adversarial networks with limited data"): every 4 steps

    p <- p + sign(r - target) 4 batch / adapt_images,   r = E[sign(D(x))]

All random numbers of an update come from the address (seed, update, number), for the whole batch; a micro-batch takes those
of its own images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from gancli.config.schema import AugmentConfig
    from gancli.runtime.micro_batches import MicroBatch

    Network = Callable[..., Tensor]
    Uniform = Callable[..., Tensor]

INTERVAL_STEPS = 4
MOST = 0.8
"""Largest p: above it the changes begin to leak into generated images (Karras et al., 2020, appendix)."""

SHIFT = 0.125
"""Largest translation, as a fraction of the side."""


class NoAugmentation:
    """No augmentation, and what the trainer needs of one."""

    def before(self, network: Network, uniform: Callable[[], Uniform], part: MicroBatch) -> Network:  # noqa: ARG002  (null object)
        """``network`` behind the augmentation of this micro-batch; ``uniform`` begins its update's random numbers anew."""
        return network

    def observe(self, real_logits: Tensor) -> dict[str, Tensor]:  # noqa: ARG002  (likewise)
        """What the strength adapts to, from D's logits of real images; averaged over micro-batches."""
        return {}

    def adapt(self, report: dict[str, Tensor], batch_size: int, step: int) -> dict[str, Tensor]:  # noqa: ARG002  (likewise)
        """Adapt to the means of what was observed; returns the report with the strength in their place."""
        return report


class Augmentation(NoAugmentation):
    """Changes images on their way to D; p and the mean of the signs are in ``state``, so that a checkpoint holds them."""

    def __init__(self, config: AugmentConfig, state: dict[str, Tensor], device: torch.device) -> None:
        self._config, self._state = config, state
        state["strength"] = torch.tensor(config.strength or 0.0, device=device)
        state["signs"] = torch.tensor(0.0, device=device)

    def before(self, network: Network, uniform: Callable[[], Uniform], part: MicroBatch) -> Network:
        """``network`` behind the augmentation of this micro-batch; ``uniform`` begins its update's random numbers anew."""
        numbers = uniform()
        return lambda images, *labels: network(self.change(images, numbers, part), *labels)

    def change(self, images: Tensor, uniform: Uniform, part: MicroBatch) -> Tensor:
        """Change float images ``(n, c, h, w)`` in [-1, 1], each image on its own; in float32, differentiable.

        They are the images of a micro-batch, or several such sets (real and generated ones); the numbers are
        drawn for the whole batch.
        """
        sets = len(images) // (part.rows.stop - part.rows.start)
        for name in self._config.changes:
            chance = uniform(sets, part.batch_size, 4)[:, part.rows].reshape(-1, 4).to(images.device)
            chosen = (chance[:, 0] < self._state["strength"]).view(-1, 1, 1, 1)
            images = torch.where(chosen, CHANGES[name](images, chance[:, 1:]), images)
        return images

    def observe(self, real_logits: Tensor) -> dict[str, Tensor]:
        """E[sign(D(x))]."""
        return {"real_sign": real_logits.detach().sign().mean()}

    def adapt(self, report: dict[str, Tensor], batch_size: int, step: int) -> dict[str, Tensor]:
        """Move p every few updates; nothing waits for the device."""
        sign = report.pop("real_sign", None)
        signs, strength = self._state["signs"], self._state["strength"]
        if sign is not None and self._config.strength is None:
            signs += sign / INTERVAL_STEPS
            if (step + 1) % INTERVAL_STEPS == 0:
                pace = INTERVAL_STEPS * batch_size / self._config.adapt_images
                strength.add_((signs - self._config.target).sign() * pace).clamp_(0, MOST)
                signs.zero_()
        return {**report, "augmentation": strength.clone()}


def augmentation_for(config: AugmentConfig, count: int, *, state: dict[str, Tensor], device: torch.device) -> NoAugmentation:
    """What the configuration asks for on a data set of ``count`` images."""
    if config.mode == "off" or (config.mode == "auto" and count >= config.below_images):
        return NoAugmentation()
    return Augmentation(config, state, device)


def _flip(images: Tensor, chance: Tensor) -> Tensor:
    """Half of them are mirrored."""
    return torch.where((chance[:, 0] < 0.5).view(-1, 1, 1, 1), images.flip(3), images)  # noqa: PLR2004  (a half)


def _translation(images: Tensor, chance: Tensor) -> Tensor:
    """Moved by up to an eighth of each side; what comes in is the border, repeated."""
    for axis in (2, 3):
        size = images.shape[axis]
        shift = ((2 * chance[:, axis - 2] - 1) * SHIFT * size).round().long()
        places = (torch.arange(size, device=images.device) + shift.unsqueeze(1)).clamp(0, size - 1)
        images = images.gather(axis, places[:, None, :, None].transpose(2, axis).expand_as(images))
    return images


def _cutout(images: Tensor, chance: Tensor) -> Tensor:
    """A square of half the side, or what of it lies within the image, is made mid-grey."""
    height, width = images.shape[2:]
    near = [
        (torch.arange(size, device=images.device) + 0.5 - (chance[:, i] * size).unsqueeze(1)).abs() < size / 4
        for i, size in enumerate((height, width))
    ]
    return images * ~(near[0][:, None, :, None] & near[1][:, None, None, :])


def _colour(images: Tensor, chance: Tensor) -> Tensor:
    """Brightness changes by up to 1/2, saturation by a factor up to 2, contrast by 1/2 to 3/2."""
    brightness, saturation, contrast = (part.view(-1, 1, 1, 1) for part in (chance - 0.5).unbind(1))
    images = images + brightness
    images = images + 2 * saturation * (images - images.mean(1, keepdim=True))
    return images + contrast * (images - images.mean((1, 2, 3), keepdim=True))


def _quarter_turns(images: Tensor, chance: Tensor) -> Tensor:
    """Turned by 0 to 3 quarters; an oblong by 0 or 2."""
    turned = [images.rot90(k, (2, 3)) for k in range(0, 4, 1 if images.shape[2] == images.shape[3] else 2)]
    which = (chance[:, 0] * len(turned)).long()
    return torch.stack(turned)[which, torch.arange(len(images), device=images.device)]


CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "flip": _flip,
    "translation": _translation,
    "cutout": _cutout,
    "colour": _colour,
    "rotation90": _quarter_turns,
}
"""Each takes images ``(n, c, h, w)`` and three uniform numbers for each, ``(n, 3)``."""
