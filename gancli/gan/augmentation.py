"""Differentiable augmentation, for data sets so small that the discriminator would overfit.

Real and generated images go through the same random changes before D sees them, in every update, and gradients
flow through the changes into G (Zhao et al., 2020, "Differentiable augmentation for data-efficient GAN training"). Each kind
of change is applied to each image with the probability p; as long as p stays below 1, G can tell the changes from the data
and does not learn to generate them. p follows how sure D is of the real images (Karras et al., 2020, "Training generative
adversarial networks with limited data"): every 4 steps

    p <- p + sign(r - target) 4 batch / adapt_images,   r = E[sign(D(x))]

All random numbers of an update come from the address (seed, update, number), for the whole batch; a micro-batch takes those
of its own images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gancli.randomness.seeds import generator_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor

    from gancli.config.schema import AugmentConfig
    from gancli.runtime.micro_batches import MicroBatch

    Network = Callable[..., Tensor]
    Change = Callable[[Tensor, Tensor, Tensor], Tensor]

INTERVAL_STEPS = 4
MOST = 0.8
"""Largest p: above it the changes begin to leak into generated images (Karras et al., 2020, appendix)."""

_SIGN = "real_sign"

SHIFT = 0.125
"""Largest translation, as a fraction of the side."""


class NoAugmentation:
    """No augmentation, and what the trainer needs of one."""

    def before(self, network: Network, update: str, step: int, part: MicroBatch) -> Network:  # noqa: ARG002  (the null object)
        """``network`` behind the augmentation of this micro-batch of this update."""
        return network

    def observe(self, real_logits: Tensor) -> dict[str, Tensor]:  # noqa: ARG002  (likewise)
        """What the strength adapts to, from D's logits of real images; averaged over micro-batches."""
        return {}

    def adapt(self, report: dict[str, Tensor], batch_size: int, step: int) -> dict[str, Tensor]:  # noqa: ARG002  (likewise)
        """Adapt to the means of what was observed; returns the report with the strength in their place."""
        return report


class Augmentation(NoAugmentation):
    """Changes images on their way to D.

    Args:
        config: which changes, and how strong.
        seed: of the run.
        state: where p and the mean of the signs are kept; changed in place, so that a checkpoint holds them.
        device: of the images.
    """

    def __init__(self, config: AugmentConfig, seed: int, state: dict[str, Tensor], device: torch.device) -> None:
        self._changes = [CHANGES[name] for name in config.changes]
        self._adapts = config.strength is None
        self._target, self._adapt_images = config.target, config.adapt_images
        self._seed = seed
        self._state = state
        state["strength"] = torch.tensor(config.strength or 0.0, device=device)
        state["signs"] = torch.tensor(0.0, device=device)

    def before(self, network: Network, update: str, step: int, part: MicroBatch) -> Network:
        """``network`` behind the augmentation of this micro-batch of this update."""
        generator = generator_at(self._seed, f"augmentation of the {update}'s turn", step)
        return lambda images, *labels: network(self.change(images, generator, part), *labels)

    def change(self, images: Tensor, generator: Generator, part: MicroBatch) -> Tensor:
        """Change float images ``(n, c, h, w)`` in [-1, 1], each image on its own; in float32, differentiable.

        They are the images of a micro-batch, or several such sets (real and generated ones).
        """
        strength = self._state["strength"]
        sets = len(images) // (part.rows.stop - part.rows.start)
        for change in self._changes:
            chance = torch.rand(sets, part.batch_size, 4, generator=generator)[:, part.rows].reshape(-1, 4).to(images.device)
            images = change(images, chance[:, 0] < strength, chance[:, 1:])
        return images

    def observe(self, real_logits: Tensor) -> dict[str, Tensor]:
        """E[sign(D(x))]."""
        return {_SIGN: real_logits.detach().sign().mean()}

    def adapt(self, report: dict[str, Tensor], batch_size: int, step: int) -> dict[str, Tensor]:
        """Move p every few updates; nothing waits for the device."""
        sign = report.pop(_SIGN, None)
        if sign is not None and self._adapts:
            signs, strength = self._state["signs"], self._state["strength"]
            signs += sign / INTERVAL_STEPS
            if (step + 1) % INTERVAL_STEPS == 0:
                pace = INTERVAL_STEPS * batch_size / self._adapt_images
                strength.add_((signs - self._target).sign() * pace).clamp_(0, MOST)
                signs.zero_()
        return {**report, "augmentation": self._state["strength"].clone()}


def augmentation_for(
    config: AugmentConfig, count: int, *, seed: int, state: dict[str, Tensor], device: torch.device
) -> NoAugmentation:
    """What the configuration asks for on a data set of ``count`` images."""
    if config.mode == "off" or (config.mode == "auto" and count >= config.below_images):
        return NoAugmentation()
    return Augmentation(config, seed, state, device)


def _flip(images: Tensor, chosen: Tensor, chance: Tensor) -> Tensor:
    """Half of the chosen are mirrored."""
    mirrored = (chosen & (chance[:, 0] < 0.5)).view(-1, 1, 1, 1)  # noqa: PLR2004  (a half)
    return torch.where(mirrored, images.flip(3), images)


def _translation(images: Tensor, chosen: Tensor, chance: Tensor) -> Tensor:
    """The chosen are moved by up to an eighth of each side; what comes in is the border, repeated."""
    for axis in (2, 3):
        size = images.shape[axis]
        shift = ((2 * chance[:, axis - 2] - 1) * SHIFT * size).round().long() * chosen
        places = (torch.arange(size, device=images.device) + shift.unsqueeze(1)).clamp(0, size - 1)
        shape = [len(images), 1, 1, 1]
        shape[axis] = size
        images = images.gather(axis, places.view(shape).expand_as(images))
    return images


def _cutout(images: Tensor, chosen: Tensor, chance: Tensor) -> Tensor:
    """A square of half the side, or what of it lies within the image, is made mid-grey in the chosen."""
    inside = chosen.view(-1, 1, 1)
    for axis in (2, 3):
        size = images.shape[axis]
        centre = (chance[:, axis - 2] * size).unsqueeze(1)
        near = (torch.arange(size, device=images.device) + 0.5 - centre).abs() < size / 4
        inside = inside & (near.unsqueeze(2) if axis == 2 else near.unsqueeze(1))  # noqa: PLR2004  (rows)
    return images * ~inside.unsqueeze(1)


def _colour(images: Tensor, chosen: Tensor, chance: Tensor) -> Tensor:
    """The chosen change in brightness by up to 1/2, in saturation by a factor up to 2, in contrast by 1/2 to 3/2."""
    brightness, saturation, contrast = (part.view(-1, 1, 1, 1) for part in (chance - 0.5).mul(chosen.unsqueeze(1)).unbind(1))
    images = images + brightness
    images = images + 2 * saturation * (images - images.mean(1, keepdim=True))
    return images + contrast * (images - images.mean((1, 2, 3), keepdim=True))


CHANGES: dict[str, Change] = {"flip": _flip, "translation": _translation, "cutout": _cutout, "colour": _colour}
"""Each takes images ``(n, c, h, w)``, which of them are chosen ``(n,)``, and three uniform numbers for each, ``(n, 3)``."""
