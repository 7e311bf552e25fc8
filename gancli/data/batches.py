"""Images to batches: the order of every epoch has an address, and any step may be asked for at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gancli.randomness.seeds import address, generator_at

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Batches", "normalise"]

WHOLE = slice(None)


def normalise(pixels: Tensor) -> Tensor:
    """(x - 127.5) / 127.5: uint8 of any shape -> float32 in [-1, 1] of the same shape."""
    return pixels.float().sub_(127.5).div_(127.5)


class Batches:
    """The endless sequence of batches of (images, seed): step *k* depends on nothing else, so a resume needs no state.

    Within an epoch every picture is shown once, in an order of its own; the last ``n mod batch_size`` of that order are left
    out. A set smaller than a batch is shown several times per step, each time in another order.

    Args:
        images: uint8 ``(n, c, h, w)``, on the device of the training, or (memory-mapped, perhaps) where there is room for them.
        labels: int64 ``(n,)`` on the same device, or None for batches without labels.
        batch_size: pictures per step, over all processes.
        seed: of the run.
        part: the share of each batch that this process takes, for instance ``slice(0, 64)``.
        device: of the training; by default that of the images.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | None,
        batch_size: int,
        seed: int,
        *,
        part: slice = WHOLE,
        device: torch.device | None = None,
    ) -> None:
        self._device = device or images.device
        self._tensors = (images,) if labels is None else (images, labels)
        self._batch_size = batch_size
        self._seed = seed
        self._part = part
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def steps_per_epoch(self) -> int:
        """``max(1, n // batch_size)``."""
        return max(1, len(self._tensors[0]) // self._batch_size)

    def __getitem__(self, step: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Real images, float32 ``(b, c, h, w)`` in [-1, 1], and ``(labels (b,),)``, or ``()`` without labels.

        Raises:
            IndexError: ``step`` is negative.
        """
        if step < 0:
            raise IndexError(f"Steps count from 0, not {step}.")
        epoch, place = divmod(step, self.steps_per_epoch)
        start = place * self._batch_size
        chosen = self._order_of(epoch)[start : start + self._batch_size][self._part]
        pixels, *labels = (tensor.index_select(0, chosen).to(self._device) for tensor in self._tensors)
        return normalise(pixels), tuple(labels)

    def _order_of(self, epoch: int) -> Tensor:
        """The order of ``epoch``, at least one batch long, on the images' device; only the newest is kept."""
        if epoch != self._epoch:
            images = self._tensors[0]
            passes = -(-self._batch_size // len(images))
            start = address(self._seed, "order", epoch)
            orders = [torch.randperm(len(images), generator=generator_at(start, "pass", j)) for j in range(passes)]
            self._order = torch.cat(orders).to(images.device)
            self._epoch = epoch
        return self._order
