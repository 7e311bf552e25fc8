"""Find an image in a model: the latent whose image is closest to a given one.

    argmin over p of  |G(p) - x|^2 + |f(G(p)) - f(x)|^2 + prior(p)

p is w where the generator has a mapping network, else z; f are fixed random convolutions at two scales, which see strokes
and textures where pixels see brightness. The prior keeps p where the generator was trained: |z|^2 / d near 1, or w near its
mean. The search starts at the best of many seeds (Abdal et al., 2019, "Image2StyleGAN"; Karras et al., 2020, appendix D).

The model in the package finds 64 of MNIST's test digits with a median squared error of 0.02 per pixel in [-1, 1] (their mean
image is at 0.22), and half of its own images with 0.001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from gancli.errors import UsageError
from gancli.randomness.seeds import normal_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.models.model import Model

CANDIDATES, STEPS = 1024, 200
BATCH_SIZE = 64
LEARNING_RATE = 0.1
PRIOR = 0.02
WIDTHS = (16, 32)


@dataclass(frozen=True, slots=True)
class Projection:
    """Images that were found again: ``points (n, d)``, w or else z, their classes, int64 ``(n,)``, or None, their images,
    float32 ``(n, c, h, w)``, and the mean squared difference of each to its target, pixels in [-1, 1], ``(n,)``.
    """

    points: Tensor
    labels: Tensor | None
    images: Tensor
    error: Tensor


def project(
    model: Model,
    targets: Tensor,
    *,
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Projection:
    """Find images, float32 ``(n, c, h, w)`` in [-1, 1] of the model's shape; ``progress`` gets the steps done, and all.

    Raises:
        UsageError: the images are not of the model's shape, or there are none; or the model translates images.
    """
    model.refuse_translator()
    usable = targets.is_floating_point() and bool(targets.isfinite().all())
    if not usable or not len(targets) or targets.shape[1:] != model.image.shape or steps < 1:
        raise UsageError(
            f"Images of shape {tuple(targets.shape)}, {targets.dtype}, cannot be projected in {steps} steps.",
            f"Give at least one image of {model.image}, of finite floats in [-1, 1], and one step.",
        )
    parts = torch.split(targets.to(model.device, torch.float32), BATCH_SIZE)
    found: list[Projection] = []
    for number, part in enumerate(parts):

        def advance(done: int, before: int = number * steps) -> None:
            progress(before + done, len(parts) * steps)

        found.append(_search(model, part, *_nearest_candidates(model, part, seed), steps, advance))
    points, images, error = (torch.cat([getattr(each, name) for each in found]) for name in ("points", "images", "error"))
    labels = [each.labels for each in found if each.labels is not None]
    return Projection(points, torch.cat(labels) if labels else None, images, error)


@torch.no_grad()
def _nearest_candidates(model: Model, targets: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
    """The point, and class, of the seed whose image is nearest to each target."""
    wanted = torch.cat(_views(targets), 1)
    classes = model.classes(BATCH_SIZE)
    labels = None if classes is None else torch.tensor(list(classes))
    points, distances = [], []
    for start in range(seed, seed + CANDIDATES, BATCH_SIZE):
        points.append(model.points(range(start, start + BATCH_SIZE), classes))
        shown = torch.cat(_views(model.render(points[-1], labels)), 1)
        distances.append(torch.cdist(wanted, shown).cpu())
    which = torch.cat(distances, 1).argmin(1)
    return torch.cat(points)[which], None if labels is None else labels[which % BATCH_SIZE]


def _search(
    model: Model, targets: Tensor, start: Tensor, labels: Tensor | None, steps: int, progress: Callable[[int], None]
) -> Projection:
    """Adam on the points; of each image the best point is kept."""
    given = () if labels is None else (labels.to(model.device),)
    two_stage = model.two_stage
    wanted = _views(targets)
    points = start.to(model.device).clone().requires_grad_()
    best, best_error = points.detach().clone(), torch.full((len(points),), torch.inf, device=model.device)
    optimizer = torch.optim.Adam([points], lr=LEARNING_RATE)
    for step in range(steps + 1):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / (steps + 1))
        with torch.enable_grad():
            if two_stage is None:
                images = model.generator(points, *given).float()
                prior = (points.square().mean(1) - 1).square()
            else:
                shape = (len(points), -1, len(two_stage.mean_w))
                w = points if points.shape[1] == shape[2] else points.reshape(shape)
                images = two_stage.synthesis(w).float()
                prior = (w - two_stage.mean_w).square().flatten(1).mean(1)
            pixels = (images - targets).square().mean((1, 2, 3))
            features = sum((a - b).square().mean(1) for a, b in zip(_views(images)[1:], wanted[1:], strict=True))
            loss = pixels + features + PRIOR * prior
        better = pixels.detach() < best_error
        best_error = torch.where(better, pixels.detach(), best_error)
        best = torch.where(better[:, None], points.detach(), best)
        if step < steps:
            (points.grad,) = torch.autograd.grad(loss.sum(), points)
            optimizer.step()
        progress(min(step + 1, steps))
    images = model.render(best, labels)
    return Projection(best.cpu(), labels, images.cpu(), (images - targets).square().mean((1, 2, 3)).cpu())


def _views(images: Tensor) -> list[Tensor]:
    """What two images are compared by, flattened: pixels, and two layers of random convolutions of unit gain."""
    views, layer = [images.flatten(1)], images
    for number, width in enumerate(WIDTHS):
        shape = (width, layer.shape[1], 3, 3)
        kernel = normal_at(shape, 0, f"projection, layer {number}").to(images) * (2 / (9 * layer.shape[1])) ** 0.5
        layer = functional.conv2d(layer, kernel, padding=1).relu()
        views.append(layer.flatten(1) / width**0.5)
        layer = functional.avg_pool2d(layer, 2) if min(layer.shape[2:]) > 1 else layer
    return views
