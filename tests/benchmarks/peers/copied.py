"""The dense GAN that is copied most in PyTorch, re-stated: what a search for "GAN MNIST PyTorch" leads to.

G 100-128-256-512-1024-784 with batch normalisation (its epsilon is 0.8, the momentum that was meant having become the second
positional argument) after every layer but the first and last; D 784-512-256-1; LeakyReLU 0.2, tanh, sigmoid. Batch 64, Adam
with 2e-4 and (0.5, 0.999), binary cross-entropy of probabilities, PyTorch's initial weights. G moves first; D then sees the
same fakes, in a pass of its own, and half of the sum of both losses. What is measured is drawn as the script draws its samples:
in training mode.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from distance import Milestones
from serving import Turns, options, serve
from torch import Tensor, nn

from gancli.config.schema import DataConfig
from gancli.data import load_images
from gancli.data.batches import normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

LATENT, BATCH, SIDE = 100, 64, 28


def generator() -> nn.Sequential:
    """Latents ``(n, 100)`` to pixels ``(n, 784)``."""
    layers: list[nn.Module] = [nn.Linear(LATENT, 128), nn.LeakyReLU(0.2)]
    for fan_in, fan_out in pairwise((128, 256, 512, 1024)):
        layers += [nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out, eps=0.8), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(1024, SIDE * SIDE), nn.Tanh())


def discriminator() -> nn.Sequential:
    """Pixels ``(n, 784)`` to probabilities ``(n, 1)``."""
    hidden = [nn.Linear(SIDE * SIDE, 512), nn.LeakyReLU(0.2), nn.Linear(512, 256), nn.LeakyReLU(0.2)]
    return nn.Sequential(*hidden, nn.Linear(256, 1), nn.Sigmoid())


class Training:
    """Both networks and their optimisers."""

    def __init__(self) -> None:
        self.generator, self.discriminator = generator(), discriminator()
        self.g_adam, self.d_adam = (
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.generator, self.discriminator)
        )
        self.loss = nn.BCELoss()
        self.valid, self.fake = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)

    def step(self, real: Tensor) -> None:
        """One update of each."""
        self.g_adam.zero_grad()
        fakes = self.generator(torch.randn(BATCH, LATENT))
        g_loss = self.loss(self.discriminator(fakes), self.valid)
        g_loss.backward()
        self.g_adam.step()

        self.d_adam.zero_grad()
        real_loss = self.loss(self.discriminator(real), self.valid)
        fake_loss = self.loss(self.discriminator(fakes.detach()), self.fake)
        ((real_loss + fake_loss) / 2).backward()
        self.d_adam.step()

    @torch.no_grad()
    def draw(self, n: int) -> Iterator[Tensor]:
        """Batches of images."""
        for start in range(0, n, 256):
            yield self.generator(torch.randn(min(256, n - start), LATENT)).view(-1, 1, SIDE, SIDE)


def main() -> None:
    """Steps on request."""
    told = options()
    torch.set_num_threads(told["threads"])
    torch.manual_seed(told["seed"])
    images = normalise(load_images(DataConfig(dataset="mnist")).images.images).flatten(1)
    turns, training = Turns(), Training()
    milestones = Milestones(turns)

    def batches() -> Iterator[Tensor]:
        while True:
            yield from torch.randperm(len(images))[: len(images) // BATCH * BATCH].split(BATCH)

    chosen = batches()

    def step() -> None:
        training.step(images[next(chosen)])
        milestones.pass_by(lambda: training.draw(told["images"]))

    serve(step, turns)


if __name__ == "__main__":
    main()
