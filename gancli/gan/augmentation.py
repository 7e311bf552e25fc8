"""Differentiable augmentation, for data sets so small that the discriminator would overfit.

Real and generated images go through the same random changes before D sees them, and gradients flow through the changes into G
(Zhao et al., 2020, "Differentiable augmentation for data-efficient GAN training"). Each kind of change is applied to each
image with the probability p; as long as p stays below 1, G does not learn to generate the changes. p follows how sure D is of
the real images (Karras et al., 2020, "Training generative adversarial networks with limited data"): every 4 steps

    p <- p + sign(r - target) 4 batch / adapt_images,   r = E[sign(D(x))]

All random numbers of an update, for the whole batch, have the address (seed, update, number); a micro-batch takes its images'.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import affine_grid, grid_sample, pad

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.config.schema import AugmentConfig
    from gancli.runtime.micro_batches import MicroBatch

    Network = Callable[..., Tensor]
    Uniform = Callable[..., Tensor]

INTERVAL_STEPS = 4
MOST = 0.8  # largest p: above it the changes begin to leak into generated images (Karras et al., 2020, appendix)
SHIFT = 0.125  # largest translation, as a fraction of the side
SCALE_DEVIATION = 0.2  # standard deviation of the binary logarithm of a scale (Karras et al., 2020, appendix B)
COLOUR = 3  # channels of a colour; alpha comes after them


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

        They are the images of a micro-batch, or several such sets (real and generated); the numbers are the whole batch's.
        """
        sets = len(images) // (part.rows.stop - part.rows.start)
        matrices, moved, others = [], [], []
        for name in self._config.changes:
            chance = uniform(sets, part.batch_size, 4)[:, part.rows].reshape(-1, 4).to(images.device)
            chosen, numbers = (chance[:, 0] < self._state["strength"]).view(-1, 1, 1, 1), chance[:, 1:]
            if name in TRANSFORMS:
                unmoved = torch.eye(2, device=images.device)
                matrices.append(torch.where(chosen[..., 0], TRANSFORMS[name](numbers[:, 0]), unmoved))
                moved.append(chosen)
            else:
                others.append((name, chosen, numbers))
        if matrices:
            images = torch.where(torch.stack(moved).any(0), _transformed(images, reduce(torch.matmul, matrices)), images)
        for name, chosen, numbers in others:
            images = torch.where(chosen, CHANGES[name](images, numbers), images)
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


def _hue(images: Tensor, chance: Tensor) -> Tensor:
    """Colours turn around the grey axis by any angle; what has no colour stays as it is."""
    angle = ((2 * chance[:, 0] - 1) * math.pi).view(-1, 1, 1, 1)
    colour, alpha = images[:, :COLOUR], images[:, COLOUR:]
    if images.shape[1] < COLOUR:
        return images
    grey = colour.mean(1, keepdim=True)
    across = (colour.roll(-1, 1) - colour.roll(-2, 1)) / 3**0.5  # the cross product with (1, 1, 1) / sqrt(3)
    return torch.cat([grey + angle.cos() * (colour - grey) - angle.sin() * across, alpha], 1)


def _saturation(images: Tensor, chance: Tensor) -> Tensor:
    """The distance of colours from grey is multiplied by 2^N(0, 1)."""
    colour, alpha = images[:, :COLOUR], images[:, COLOUR:]
    if images.shape[1] < COLOUR:
        return images
    grey = colour.mean(1, keepdim=True)
    return torch.cat([grey + (2 ** _normal(chance[:, 0])).view(-1, 1, 1, 1) * (colour - grey), alpha], 1)


def _normal(uniform: Tensor) -> Tensor:
    """N(0, 1), cut off at 3, of uniform numbers."""
    return torch.erfinv(2 * uniform - 1).mul(2**0.5).clamp(-3, 3)


def _turn(angle: Tensor) -> Tensor:
    """Rotations ``(n, 2, 2)``."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)


def _scale(chance: Tensor, power: int) -> Tensor:
    """By s = 2^N(0, 0.2^2) in one direction and s^power in the other, ``(n, 2, 2)``."""
    factor = 2 ** (SCALE_DEVIATION * _normal(chance))
    return torch.diag_embed(torch.stack([factor, factor**power], 1))


def _transformed(images: Tensor, matrix: Tensor) -> Tensor:
    """Images around whose middle ``matrix`` ``(n, 2, 2)`` maps a place to the one whose pixel comes there, in pixels.

    Bilinear; beyond the border images are reflected.
    """
    sides = torch.stack([images.new_full((), side) for side in (images.shape[3], images.shape[2])])
    normalised = matrix.to(images.dtype) * sides.view(1, 1, 2) / sides.view(1, 2, 1)
    grid = affine_grid(pad(normalised, (0, 1)), list(images.shape), align_corners=False)
    sampled: Tensor = _Sample.apply(images, grid, False)  # type: ignore[no-untyped-call]
    return sampled


class _Sample(Function):
    """torch's ``grid_sample``, or its transpose: linear in the images, so that it can be differentiated twice, as R1 does."""

    @staticmethod
    def forward(context: Any, images: Tensor, grid: Tensor, transposed: bool) -> Tensor:  # noqa: ANN401, FBT001  (torch's own)
        """``(n, c, h, w)`` at places ``(n, h, w, 2)``; or added up at the pixels that they came from."""
        context.save_for_backward(grid)
        context.transposed = transposed
        if not transposed:
            return grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        like, bilinear, reflected = torch.zeros_like(images), 0, 2
        back = torch.ops.aten.grid_sampler_2d_backward(images, like, grid, bilinear, reflected, False, [True, False])
        spread: Tensor = back[0]
        return spread

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401  (whatever torch passes)
        """The transposed map."""
        back: Tensor = _Sample.apply(gradient, *context.saved_tensors, not context.transposed)  # type: ignore[no-untyped-call]
        return back, None, None


CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "flip": _flip,
    "translation": _translation,
    "cutout": _cutout,
    "colour": _colour,
    "hue": _hue,
    "saturation": _saturation,
}
"""Each takes images ``(n, c, h, w)`` and three uniform numbers for each, ``(n, 3)``."""

TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "rotation90": lambda chance: _turn((4 * chance).floor() * (math.pi / 2)),
    "scale": lambda chance: _scale(chance, 1),
    "rotation": lambda chance: _turn((2 * chance - 1) * math.pi),
    "stretch": lambda chance: _scale(chance, -1),
}
"""Each takes a uniform number for each image, ``(n,)``, and gives matrices ``(n, 2, 2)``, which move the pixels once, first."""
