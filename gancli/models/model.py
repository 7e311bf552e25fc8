"""A trained generator, ready to sample.

model = gancli.load()                                # the last run; or a name, a run's path, a checkpoint's path
images = model.sample(64, seed=0)                    # float32 (64, c, h, w) in [-1, 1]
for frame in model.interpolate(60): ...              # float32 (1, c, h, w), from one seed's image to the next one's
model.grid(64).save("grid.png")                      # an image of Pillow
images = model.translate(photos)                     # float32 (n, c, h, w), of a model that translates images
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gancli.data.decoding import load_files
from gancli.errors import UsageError
from gancli.images import grid, to_bytes, to_picture
from gancli.models.sampler import BATCH_SIZE, TRANSLATED, Sampler, check_seeds
from gancli.plugin import ImageSpec, StyledGenerator, TwoStageGenerator
from gancli.plugins.registry import part
from gancli.randomness.latents import latents
from gancli.runtime.device import memory_errors_explained, translate_memory_error

if TYPE_CHECKING:
    from PIL.Image import Image

    from gancli.checkpoint.provenance import Origin
    from gancli.images import Images
    from gancli.metrics.extractors import RandomExtractor
    from gancli.models.interpolation import Method

    Labels = Sequence[int | str] | int | str
    ImageInputs = Images | Sequence[str | Path | Image] | str | Path | Image

TYPICAL_SEED, TYPICAL_IMAGES, NEIGHBOURS = 2**40, 1024, 3


class Model(Sampler["Tensor"]):
    """A generator in evaluation mode, as :func:`gancli.load` makes it.

    >>> import gancli
    >>> model = gancli.load(checkpoint="mnist")
    >>> model.sample(2, seed=7, labels=["3", "8"]).shape, len(list(model.interpolate(4, keyframes=2)))
    (torch.Size([2, 1, 28, 28]), 4)

    Attributes:
        generator: the network, ``(n, latent_dim)`` [, labels] -> ``(n, c, h, w)`` in [-1, 1].
        two_stage: the same network if it has a mapping network, else None.
        styled: the same network if its styles can be mixed, else None.
    """

    def __init__(
        self, generator: nn.Module, latent_dim: int, image: ImageSpec, class_names: tuple[str, ...], origin: Origin
    ) -> None:
        self.generator = generator.eval().requires_grad_(False)
        self.two_stage = generator if isinstance(generator, TwoStageGenerator) else None
        self.styled = generator if isinstance(generator, StyledGenerator) else None
        self.latent_dim = latent_dim
        self.image = image
        self.class_names = class_names
        self.origin = origin
        self.device = next(generator.parameters()).device

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        labels: Labels | None = None,
        truncation: float | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Tensor:
        """Generate images: float32 ``(n, c, h, w)`` in [-1, 1], on the model's device.

        Image *i* is that of seed ``seed + i``: the same whatever n, batch size or device, up to rounding.

        Args:
            n: how many; 64 if neither this nor ``seeds`` is given.
            seed: seed of the first image.
            seeds: the seed of every image, instead of ``n`` and ``seed``.
            labels: the class of every image, or one for all (conditional models), by number or name; by default
                0, 1, 2, ... in turn.
            truncation: 0.05 to 1; less gives more typical images and less variety. With a mapping network it is the
                psi of w <- mean_w + psi (w - mean_w) (Karras et al., 2019); else each seed gets the most typical of
                its round(1 / truncation) latents, see :meth:`chosen_latents`.
            batch_size: images generated at a time.

        Raises:
            UsageError: n, the labels or the truncation are out of range.
        """
        if seeds is None:
            count = 64 if n is None else n
            if count < 1:
                raise UsageError(f"n = {count} images cannot be generated.", "Ask for at least 1.")
            seeds = range(seed, seed + count)
        elif n is not None and n != len(seeds):
            raise UsageError(f"n = {n}, but there are {len(seeds)} seeds.", "Give one of the two.")
        if labels is not None:
            labels = self._numbers(labels) * (1 if np.ndim(labels) else len(seeds))
        return torch.cat(list(self.batches(seeds, labels, batch_size, truncation)))

    def grid(
        self,
        n: int | None = None,
        *,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        labels: Labels | None = None,
        truncation: float | None = None,
        columns: int | None = None,
        scale: int = 1,
    ) -> Image:
        """Generate images side by side, as one of Pillow, which a notebook shows and ``.save(path)`` writes.

        ``columns`` is the number of images per row, by default such that the grid is about square; ``scale`` enlarges each
        pixel to a square; the other arguments are those of :meth:`sample`.

        >>> import gancli
        >>> gancli.load(checkpoint="mnist").grid(8, columns=4).size
        (122, 62)
        """
        images = self.sample(n, seed=seed, seeds=seeds, labels=labels, truncation=truncation)
        return to_picture(grid(to_bytes(images), columns, scale=scale))

    @torch.no_grad()
    def translate(self, sources: Images, *, batch_size: int = TRANSLATED) -> Tensor:
        """Translate images: float32 ``(n, c, h, w)`` in [-1, 1], of any height and width -> images of that size.

        A network that does not take such a size is given images of its own, and its results are scaled back.

        Raises:
            UsageError: the model does not translate images, or not with so many channels.
        """
        images = torch.as_tensor(sources, dtype=torch.float32)
        self.refuse_sources(images.shape)
        with memory_errors_explained():
            return torch.cat([self._translated(part.to(self.device)) for part in torch.split(images, batch_size)])

    def _translated(self, sources: Tensor) -> Tensor:
        size = sources.shape[2:]
        z = torch.zeros(len(sources), self.latent_dim, device=self.device)
        assert self.image.source is not None  # noqa: S101  (it was asked before)
        try:
            images: Tensor = self.generator(z, sources).float()
        except RuntimeError as error:
            if size == self.image.source[1:] or translate_memory_error(error):
                raise
        else:
            if images.shape[2:] == size:
                return images
        scaled = interpolate(sources, self.image.source[1:], mode="bilinear", antialias=True)
        return interpolate(self.generator(z, scaled).float(), size, mode="bilinear", antialias=True)

    def _batch(self, seeds: Sequence[int], classes: Sequence[int] | None, truncation: float | None) -> Tensor:
        points = self.points(seeds, classes, truncation)
        return self.render(points, None if classes is None else torch.tensor(classes))

    def points(self, seeds: Sequence[int], labels: Sequence[int] | None = None, truncation: float | None = None) -> Tensor:
        """Where the images of these seeds are: w ``(n, d)`` if there is a mapping network, else z. See :meth:`render`."""
        self.refuse_translator()
        check_seeds(seeds)
        z = self.chosen_latents(seeds, labels, truncation)
        if self.two_stage is None:
            return z
        with torch.no_grad():
            w = self.two_stage.mapping(z.to(self.device), *self._conditions(labels)).float()
            if truncation is not None:
                w = self.two_stage.mean_w + truncation * (w - self.two_stage.mean_w)
            return w.flatten(1).cpu()

    @torch.no_grad()
    def render(self, points: Tensor, labels: Tensor | None = None) -> Tensor:
        """The images at these points: float32 ``(n, c, h, w)``."""
        if self.two_stage is None:
            return self.draw(points, labels)
        width = self.two_stage.mean_w.shape[-1]
        w = points.to(self.device)
        return self.two_stage.synthesis(w if w.shape[1] == width else w.reshape(len(w), -1, width)).float()

    @torch.no_grad()
    def chosen_latents(
        self, seeds: Sequence[int], labels: Sequence[int] | None = None, truncation: float | None = None
    ) -> Tensor:
        """Z of these seeds, ``(n, latent_dim)``; if truncated in z, of several candidates the most typical one.

        A candidate is typical if its image is near to others of the model, by the mean distance to the three nearest of
        1,024 in the features of random convolutions: what a generator often makes is what it makes well.
        """
        best = torch.from_numpy(latents(seeds, self.latent_dim))
        if truncation is None or self.two_stage:
            return best
        extractor, others = self._typical
        nearest = torch.full((len(best),), torch.inf)
        for attempt in range(round(1 / truncation)):
            z = torch.from_numpy(latents(seeds, self.latent_dim, attempt))
            features = extractor.see(self.generator(z.to(self.device), *self._conditions(labels))).features
            distance = torch.cdist(features, others).topk(NEIGHBOURS, largest=False).values.mean(1)
            closer = distance < nearest
            best, nearest = torch.where(closer[:, None], z, best), torch.where(closer, distance, nearest)
        return best

    @cached_property
    def _typical(self) -> tuple[RandomExtractor, Tensor]:
        """What images are compared by, and the features of those of 1,024 seeds that nobody is likely to look at."""
        from gancli.metrics.extractors import RandomExtractor

        images = torch.cat(list(self.batches(range(TYPICAL_SEED, TYPICAL_SEED + TYPICAL_IMAGES)))).clamp(-1, 1).cpu()
        extractor = RandomExtractor(((images + 1) * 127.5).round().to(torch.uint8)).to(self.device)
        parts = [extractor.see(part.to(self.device)).features for part in torch.split(images, BATCH_SIZE)]
        return extractor, torch.cat(parts)

    def _conditions(self, labels: Tensor | Sequence[int] | None) -> tuple[Tensor, ...]:
        return () if labels is None else (torch.as_tensor(labels, device=self.device),)

    def interpolate(
        self,
        frames: int = 60,
        *,
        keyframes: int | Sequence[int] = 6,
        labels: Labels | None = None,
        method: Method = "slerp",
        loop: bool = True,
        cells: int = 1,
        truncation: float | None = None,
    ) -> Iterator[Tensor]:
        """Interpolate in latent space: ``frames`` times float32 ``(cells, c, h, w)`` in [-1, 1], one after the other.

        Equal steps lead from keyframe to keyframe. The first frame is the first keyframe; a loop's last is a step before it.

        Args:
            frames: in all.
            keyframes: how many latents to pass, those of seeds 0, 1, 2, ...; or the seeds. Keyframe k of cell c has the
                seed at ``k * cells + c``.
            labels: the classes to pass on the way, or the one to keep (conditional models).
            method: ``slerp``, turning, or ``lerp``, straight.
            loop: whether to go back to the first keyframe in the end.
            cells: images per frame, each of which goes its own way.
            truncation: as in :meth:`sample`, of the keyframes.

        Raises:
            UsageError: at once, if anything is out of range.
        """
        from gancli.models.interpolation import Frames, Interpolation

        passed = None if labels is None else self._numbers(labels)
        points = np.atleast_1d(np.asarray(keyframes)).tolist()
        seeds = points if np.ndim(keyframes) else range(points[0] * max(1, cells))
        return iter(Frames(self, Interpolation(seeds, frames, cells, passed, method, loop, truncation)))

    def project(self, images: ImageInputs, *, steps: int = 200, seed: int = 0) -> Any:  # noqa: ANN401  (gancli-evaluate's)
        """Find images, ``(n, c, h, w)`` in [-1, 1], or files and images of Pillow, which are fitted: :func:`gancli.project`."""
        return part("project", "model.project()")(images, self, steps=steps, seed=seed)

    def fitted(self, images: ImageInputs) -> Tensor:
        """Files and images of Pillow as this model saw its training images: float32 ``(n, c, h, w)`` in [-1, 1]."""
        if isinstance(images, torch.Tensor | np.ndarray):
            return torch.as_tensor(images)
        listed = [images] if isinstance(images, str) or not isinstance(images, Sequence) else images
        sources = [Path(each) if isinstance(each, str) else each for each in listed]
        return load_files(sources, self.image, self.origin.provenance.config)

    @torch.no_grad()  # not inference mode, whose tensors nobody could train a classifier on
    def draw(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of given latents ``(n, latent_dim)`` [, labels ``(n,)``]: float32 ``(n, c, h, w)``."""
        images: Tensor = self.generator(z.to(self.device), *self._conditions(labels))
        return images.float()

    def _numbers(self, labels: Labels) -> list[int]:
        """One class or several, given by number or name, as numbers."""
        listed: list[int | str] = np.atleast_1d(np.asarray(labels)).tolist()
        return [self.class_number(each) if isinstance(each, str) else each for each in listed]

    def __repr__(self) -> str:
        origin, count = self.origin, sum(parameter.numel() for parameter in self.generator.parameters())
        given = f"images {'x'.join(map(str, self.image.source))}" if self.image.source else f"z {self.latent_dim}"
        classes = f", {len(self.class_names)} classes" if self.class_names else ""
        return (
            f"<gancli.Model {origin.run}, step {origin.step:,}, {origin.weights} weights: {origin.provenance.arch.name}, "
            f"{given} -> {'x'.join(map(str, self.image.shape))}{classes}, {count:,} parameters, {self.device}>"
        )
