"""The article's networks and game in eager PyTorch, as most people write it.

Real and fake images go through D in a pass each, D is not frozen in G's turn (its gradients are thrown away), Adam is the
plain one, the losses are read with `.item()` after every step. Kinder than most: the images lie in memory as float32,
shuffled by index instead of by a DataLoader.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from serving import Turns, options, serve
from torch import Tensor, nn

LATENT, BATCH, PIXELS = 100, 128, 784
REAL_LABEL = 0.9


def stack(widths: tuple[int, ...], dropout: float = 0.0) -> list[nn.Module]:
    """Hidden layers."""
    modules: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        modules += [nn.Linear(fan_in, fan_out), nn.LeakyReLU(0.2), *([nn.Dropout(dropout)] if dropout else [])]
    return modules


def initialise(network: nn.Sequential) -> None:
    """The first layer N(0, 0.02), the others Glorot uniform, biases zero."""
    for position, layer in enumerate(module for module in network if isinstance(module, nn.Linear)):
        nn.init.normal_(layer.weight, std=0.02) if position == 0 else nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


def noise(device: torch.device) -> Tensor:
    """Latents of a batch."""
    return torch.randn(BATCH, LATENT, device=device)


class Training:
    """Both networks and their optimisers."""

    def __init__(self, device: torch.device, dropout: float = 0.3) -> None:
        self.device = device
        self.generator = nn.Sequential(*stack((LATENT, 256, 512, 1024)), nn.Linear(1024, PIXELS), nn.Tanh()).to(device)
        self.discriminator = nn.Sequential(*stack((PIXELS, 1024, 512, 256), dropout), nn.Linear(256, 1)).to(device)
        for network in (self.generator, self.discriminator):
            initialise(network)
        self.g_adam, self.d_adam = (
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.generator, self.discriminator)
        )
        self.criterion = nn.BCEWithLogitsLoss()

    def step(self, real: Tensor) -> tuple[float, float]:
        """One update of each; the losses of both, D's as the sum of the means over real and over fake."""
        real_label = torch.full((BATCH, 1), REAL_LABEL, device=self.device)
        fake_label = torch.zeros(BATCH, 1, device=self.device)

        self.d_adam.zero_grad()
        fake = self.generator(noise(self.device))
        d_loss = self.criterion(self.discriminator(real), real_label) + self.criterion(
            self.discriminator(fake.detach()), fake_label
        )
        d_loss.backward()
        self.d_adam.step()

        self.g_adam.zero_grad()
        logits = self.discriminator(self.generator(noise(self.device)))
        g_loss = self.criterion(logits, torch.ones(BATCH, 1, device=self.device))
        g_loss.backward()
        self.g_adam.step()
        return d_loss.item(), g_loss.item()


def main() -> None:
    """Steps on request."""
    told = options()
    device = torch.device(told["device"])
    torch.set_num_threads(told["threads"])
    torch.manual_seed(1000)
    pixels = torch.from_numpy(np.load(told["digits"])).to(device).reshape(-1, PIXELS)
    images, training, losses = (pixels.float() - 127.5) / 127.5, Training(device), []

    def settle() -> None:
        turns.facts["d_loss"], turns.facts["g_loss"] = np.mean(losses, axis=0).tolist()
        losses.clear()

    turns = Turns(settle)

    def batches():
        while True:
            yield from torch.randperm(len(images), device=device)[: len(images) // BATCH * BATCH].split(BATCH)

    chosen = batches()

    def step() -> None:
        losses.append(training.step(images[next(chosen)]))

    parameters = {name: sum(p.numel() for p in getattr(training, name).parameters()) for name in ("generator", "discriminator")}
    serve(step, turns, parameters=parameters, software=f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
