"""Images to batches: the order of every epoch has an address, and any step may be asked for at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gancli.images import normalise
from gancli.randomness.seeds import address, generator_at

if TYPE_CHECKING:
    from torch import Tensor


class Batches:
    """The endless sequence of batches of (images, seed): batch *k* depends on nothing else, so a resume needs no state.

    Within an epoch every image is shown once, in an order of its own; the last ``n mod batch_size`` of
    that order are left out. A set smaller than a batch is shown several times per batch, each time in
    another order. Source images that are not paired have an order of their own.

    Args:
        images: uint8 ``(n, c, h, w)``, on the training's device, or where there is room for them.
        labels: int64 ``(n,)`` on the same device, or None for batches without labels.
        batch_size: images per batch, over all processes.
        seed: of the run.
        part: the images of each batch that this process takes, for instance ``slice(0, 64)``.
        device: of the training; by default that of the images.
        sources: uint8 ``(m, c, h, w)``, the input images of a translator, or None.
        paired: whether source i belongs to image i; then m = n.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None,
        batch_size: int,
        seed: int,
        *,
        part: slice = slice(None),
        device: torch.device | None = None,
        sources: Tensor | None = None,
        paired: bool = False,
    ) -> None:
        self._device = device or images.device
        self._images, self._labels, self._sources = images, labels, sources
        self._source_order = "order" if paired else "source order"
        self._batch_size = batch_size
        self._seed = seed
        self._part = part
        self._orders: dict[str, tuple[int, Tensor]] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch: ``max(1, n // batch_size)``."""
        return max(1, len(self._images) // self._batch_size)

    def __getitem__(self, step: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Real images, float32 ``(b, c, h, w)`` in [-1, 1], and the conditions: labels, source images, both, or ``()``."""
        if step < 0:
            raise IndexError(f"Steps count from 0, not {step}.")
        chosen = self._chosen("order", step, len(self._images), self._images.device)
        conditions = []
        if self._labels is not None:
            conditions.append(self._labels.index_select(0, chosen).to(self._device))
        if self._sources is not None:
            theirs = self._chosen(self._source_order, step, len(self._sources), self._sources.device)
            conditions.append(normalise(self._sources.index_select(0, theirs).to(self._device)))
        return normalise(self._images.index_select(0, chosen).to(self._device)), tuple(conditions)

    def _chosen(self, purpose: str, step: int, count: int, device: torch.device) -> Tensor:
        """The images of a batch out of ``count``; of each order only the newest epoch is kept."""
        epoch, batch = divmod(step, max(1, count // self._batch_size))
        if self._orders.get(purpose, (-1,))[0] != epoch:
            passes = -(-self._batch_size // count)
            start = address(self._seed, purpose, epoch)
            orders = [torch.randperm(count, generator=generator_at(start, "pass", j)) for j in range(passes)]
            self._orders[purpose] = epoch, torch.cat(orders).to(device)
        first = batch * self._batch_size
        return self._orders[purpose][1][first : first + self._batch_size][self._part]
