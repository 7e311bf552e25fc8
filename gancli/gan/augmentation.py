"""Differentiable augmentation, for data sets so small that the discriminator would overfit.

Real and generated images go through the same random changes before D sees them, in every update, and gradients
flow through the changes into G (Zhao et al., 2020, "Differentiable augmentation for data-efficient GAN training"). Each kind
of change is applied to each image with the probability p; as long as p stays below 1, G can tell the changes from the data
and does not learn to generate them. p follows how sure D is of the real images (Karras et al., 2020, "Training generative
adversarial networks with limited data"): every 4 steps

    p <- p + sign(r - target) 4 batch / adapt_images,   r = E[sign(D(x))]

Zhao's changes are on by default: translation, cutout, colour. Those of Karras et al. (flips, rotations, scales, hue and
saturation) change what the images show (a flipped letter is none, an emoji lying down is rare), help most with photographs of
which there are few, and are left to the user, since nothing was measured here that would support them.

All random numbers of an update come from the address (seed, update, number), for the whole batch; a micro-batch takes those
of its own images.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import Function
from torch.nn.functional import affine_grid, grid_sample, pad

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

SCALE_DEVIATION = 0.2
"""Standard deviation of the binary logarithm of a scale (Karras et al., 2020, appendix B)."""

COLOUR = 3
"""Channels of a colour."""


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
        self._changes = config.changes
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
        chances = {}
        for name in self._changes:
            chance = torch.rand(sets, part.batch_size, 4, generator=generator)[:, part.rows].reshape(-1, 4).to(images.device)
            chances[name] = chance[:, 0] < strength, chance[:, 1:]
        if moved := [TRANSFORMS[name](*given) for name, given in chances.items() if name in TRANSFORMS]:
            chosen = torch.stack([chances[name][0] for name in chances if name in TRANSFORMS]).any(0)
            images = torch.where(chosen.view(-1, 1, 1, 1), _transformed(images, reduce(torch.matmul, moved)), images)
        for name, given in chances.items():
            if name in CHANGES:
                images = CHANGES[name](images, *given)
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


def _hue(images: Tensor, chosen: Tensor, chance: Tensor) -> Tensor:
    """The colours of the chosen turn around the grey axis by any angle; what has no colour stays as it is."""
    angle = (2 * chance[:, 0] - 1) * math.pi * chosen
    cos, sin = angle.cos().view(-1, 1, 1, 1), angle.sin().view(-1, 1, 1, 1)

    def turned(colour: Tensor) -> Tensor:
        grey = colour.mean(1, keepdim=True)
        across = (colour.roll(-1, 1) - colour.roll(-2, 1)) / 3**0.5  # the cross product with (1, 1, 1) / sqrt(3)
        return torch.where(chosen.view(-1, 1, 1, 1), grey + cos * (colour - grey) - sin * across, colour)

    return _on_colour(images, turned)


def _saturation(images: Tensor, chosen: Tensor, chance: Tensor) -> Tensor:
    """The distance of the chosen's colours from grey is multiplied by 2^N(0, 1)."""
    factor = 2 ** (_normal(chance[:, 0]) * chosen).view(-1, 1, 1, 1)

    def multiplied(colour: Tensor) -> Tensor:
        grey = colour.mean(1, keepdim=True)
        return torch.where(chosen.view(-1, 1, 1, 1), grey + factor * (colour - grey), colour)

    return _on_colour(images, multiplied)


def _on_colour(images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change the first three channels of images in colour; alpha is none of them."""
    if images.shape[1] < COLOUR:
        return images
    return torch.cat([change(images[:, :COLOUR]), images[:, COLOUR:]], 1)


def _normal(uniform: Tensor) -> Tensor:
    """N(0, 1), cut off at 3, of uniform numbers."""
    return torch.erfinv(2 * uniform - 1).mul(2**0.5).clamp(-3, 3)


def _turn(angle: Tensor) -> Tensor:
    """Rotations ``(n, 2, 2)``."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)


def _rotation90(chosen: Tensor, chance: Tensor) -> Tensor:
    """By 0, 90, 180 or 270 degrees."""
    return _turn((4 * chance[:, 0]).floor() * (math.pi / 2) * chosen)


def _rotation(chosen: Tensor, chance: Tensor) -> Tensor:
    """By any angle."""
    return _turn((2 * chance[:, 0] - 1) * math.pi * chosen)


def _scale(chosen: Tensor, chance: Tensor) -> Tensor:
    """By 2^N(0, 0.2^2) in both directions."""
    factor = 2 ** (SCALE_DEVIATION * _normal(chance[:, 0]) * chosen)
    return torch.diag_embed(torch.stack([factor, factor], 1))


def _stretch(chosen: Tensor, chance: Tensor) -> Tensor:
    """By s = 2^N(0, 0.2^2) in one direction and 1 / s in the other."""
    factor = 2 ** (SCALE_DEVIATION * _normal(chance[:, 0]) * chosen)
    return torch.diag_embed(torch.stack([factor, 1 / factor], 1))


def _transformed(images: Tensor, matrix: Tensor) -> Tensor:
    """Images around whose middle ``matrix`` ``(n, 2, 2)`` maps a place to the one whose pixel comes there, in pixels.

    Bilinear; beyond the border images are reflected.
    """
    height, width = images.shape[2:]
    sides = images.new_tensor([width, height])
    normalised = matrix.to(images.dtype) * sides.view(1, 1, 2) / sides.view(1, 2, 1)
    grid = affine_grid(pad(normalised, (0, 1)), list(images.shape), align_corners=False)
    sampled: Tensor = _Sample.apply(images, grid)  # type: ignore[no-untyped-call]
    return sampled


class _Sample(Function):
    """torch's ``grid_sample``, which is linear in the images and so can be differentiated twice (R1 does that)."""

    @staticmethod
    def forward(context: Any, images: Tensor, grid: Tensor) -> Tensor:  # noqa: ANN401  (torch's own)
        """``(n, c, h, w)`` at places ``(n, h, w, 2)``."""
        context.save_for_backward(grid)
        return grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """The transposed map."""
        return _Spread.apply(gradient, *context.saved_tensors), None  # type: ignore[no-untyped-call]


class _Spread(Function):
    """The transpose of :class:`_Sample`."""

    @staticmethod
    def forward(context: Any, gradient: Tensor, grid: Tensor) -> Tensor:  # noqa: ANN401
        """``(n, c, h, w)`` at these places, added up at the pixels that they came from."""
        context.save_for_backward(grid)
        like = torch.zeros_like(gradient)
        spread: Tensor = torch.ops.aten.grid_sampler_2d_backward(gradient, like, grid, 0, 2, False, [True, False])[
            0
        ]  # bilinear, reflected
        return spread

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """The transpose of the transpose."""
        return _Sample.apply(gradient, *context.saved_tensors), None  # type: ignore[no-untyped-call]


CHANGES: dict[str, Change] = {
    "flip": _flip,
    "translation": _translation,
    "cutout": _cutout,
    "colour": _colour,
    "hue": _hue,
    "saturation": _saturation,
}
"""Each takes images ``(n, c, h, w)``, which of them are chosen ``(n,)``, and three uniform numbers for each, ``(n, 3)``."""

TRANSFORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "rotation90": _rotation90,
    "scale": _scale,
    "rotation": _rotation,
    "stretch": _stretch,
}
"""Each takes the same but the images, and gives a matrix ``(n, 2, 2)``. All of them together move the pixels once, first."""
