"""Images to batches: the order of every epoch has an address, and any step may be asked for at any time."""

from dataclasses import KW_ONLY, dataclass, field

import torch
from torch import Tensor

from gancli.images import normalise
from gancli.randomness.seeds import address, generator_at


@dataclass(eq=False)
class Batches:
    """The endless sequence of batches of (images, seed): batch *k* depends on nothing else, so a resume needs no state.

    Within an epoch every image is shown once, in its own order, whose last ``n mod batch_size`` are left out. A smaller set
    is shown several times per batch, in other orders. Source images that are not paired have their own order.
    """

    images: Tensor  # uint8 (n, c, h, w), on the training's device, or where there is room for them
    labels: Tensor | None  # int64 (n,) on the same device, or None for batches without labels
    batch_size: int  # images per batch, over all processes
    seed: int  # of the run
    _: KW_ONLY
    part: slice = field(default_factory=lambda: slice(None))  # what this process takes of each batch, such as slice(0, 64)
    device: torch.device | None = None  # of the training; by default that of the images
    sources: Tensor | None = None  # uint8 (m, c, h, w), the input images of a translator
    paired: bool = False  # whether source i belongs to image i; then m = n
    _orders: dict[str, tuple[int, Tensor]] = field(default_factory=dict)

    @property
    def steps_per_epoch(self) -> int:
        """Batches per epoch: ``max(1, n // batch_size)``."""
        return max(1, len(self.images) // self.batch_size)

    def __getitem__(self, step: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Real images, float32 ``(b, c, h, w)`` in [-1, 1], and the conditions: labels, source images, both, or ``()``."""
        if step < 0:
            raise IndexError(f"Steps count from 0, not {step}.")
        device = self.device or self.images.device
        chosen = self._chosen("order", step, self.images)
        conditions = []
        if self.labels is not None:
            conditions.append(self.labels.index_select(0, chosen).to(device))
        if self.sources is not None:
            theirs = self._chosen("order" if self.paired else "source order", step, self.sources)
            conditions.append(normalise(self.sources.index_select(0, theirs).to(device)))
        return normalise(self.images.index_select(0, chosen).to(device)), tuple(conditions)

    def _chosen(self, purpose: str, step: int, images: Tensor) -> Tensor:
        """The numbers of a batch of these images; of each order only the newest epoch is kept."""
        count = len(images)
        epoch, batch = divmod(step, max(1, count // self.batch_size))
        if self._orders.get(purpose, (-1,))[0] != epoch:
            passes = -(-self.batch_size // count)
            start = address(self.seed, purpose, epoch)
            orders = [torch.randperm(count, generator=generator_at(start, "pass", j)) for j in range(passes)]
            self._orders[purpose] = epoch, torch.cat(orders).to(images.device)
        first = batch * self.batch_size
        return self._orders[purpose][1][first : first + self.batch_size][self.part]
