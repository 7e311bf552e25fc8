"""What one update of one micro-batch has computed so far: :class:`gancli.plugin.StepContext`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from gancli.plugin import ImageSpec, ResultT, StepContext


def conditions(labels: Tensor | None = None, sources: Tensor | None = None) -> tuple[Tensor, ...]:
    """What networks are called with last: labels ``(n,)``, source images ``(n, c, h, w)``, both, or nothing."""
    return tuple(each for each in (labels, sources) if each is not None)


def example_conditions(image: ImageSpec, n: int, device: torch.device | None = None) -> tuple[Tensor, ...]:
    """Conditions of n images: classes 0, 1, 2, ... in turn; source images of zeros."""
    labels = torch.arange(n, device=device) % image.classes if image.classes else None
    return conditions(labels, torch.zeros(n, *image.source, device=device) if image.source else None)


def example_inputs(image: ImageSpec, latent_dim: int, n: int, device: torch.device | None = None) -> tuple[Tensor, ...]:
    """Inputs of a generator for n images, that all differ in z: ``(z, *conditions)``."""
    z = torch.linspace(-1, 1, n * latent_dim, device=device).reshape(n, latent_dim)
    return z, *example_conditions(image, n, device)


@dataclass
class Context:
    """See :class:`gancli.plugin.StepContext`, which describes what loss terms read.

    ``generate`` and ``discriminator`` are G and D in their precision, D behind the augmentation; ``trained`` names the
    networks that the update trains; ``joint``: D sees real and fake images in one batch in its own update, which is faster.
    """

    networks: Mapping[str, nn.Module]
    generate: Callable[..., Tensor]
    discriminator: Callable[..., Tensor]
    trained: Collection[str]
    real: Tensor
    z: Tensor
    conditions: tuple[Tensor, ...]
    second_order: bool
    joint: bool
    _results: dict[Callable[..., Any], Any] = field(default_factory=dict)

    @cached_property
    def fake(self) -> Tensor:
        """G(z), float32: with its gradient if G is trained, else a constant."""
        trained = "generator" in self.trained
        with torch.set_grad_enabled(trained):
            fake = self.generate(self.z, *self.conditions).float()
        return fake if trained else fake.requires_grad_(self.second_order)

    @cached_property
    def real_logits(self) -> Tensor:
        """D(x)."""
        return self._both[0] if "discriminator" in self.trained else self.discriminate(self.real)

    @cached_property
    def fake_logits(self) -> Tensor:
        """D(G(z))."""
        return self._both[1] if "discriminator" in self.trained else self.discriminate(self.fake)

    @cached_property
    def _both(self) -> tuple[Tensor, Tensor]:
        if not self.joint:  # batch normalisation in D wants batches of one kind
            return self.discriminate(self.real), self.discriminate(self.fake)
        logits = self.discriminate(torch.cat([self.real, self.fake]))
        return logits[: len(self.real)], logits[len(self.real) :]

    def discriminate(self, images: Tensor) -> Tensor:
        """D's logits of images that belong to the conditions of this micro-batch, once or several times."""
        copies = len(images) // len(self.real)
        conditions = self.conditions if copies == 1 else [torch.cat([each] * copies) for each in self.conditions]
        return self.discriminator(images, *conditions).float()

    def network(self, name: str) -> nn.Module:
        """A network by name."""
        return self.networks[name]

    def once(self, compute: Callable[[StepContext], ResultT]) -> ResultT:
        """``compute(self)``, computed when it is first asked for."""
        if compute not in self._results:
            self._results[compute] = compute(self)
        result: ResultT = self._results[compute]
        return result

    @property
    def has_logits(self) -> bool:
        """Whether D's logits of both real and generated images have been computed."""
        return {"real_logits", "fake_logits"} <= vars(self).keys()
