"""Models of any shape that need no training."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gancli.generation.facts import Origin
from gancli.generation.model import Model


class Smooth(nn.Module):
    """``tanh(W z)``, which may fail at its n-th batch."""

    def __init__(self, image, fails_at):
        super().__init__()
        self.image, self.fails_at, self.calls = image, fails_at, 0
        self.linear = nn.Linear(3, image.channels * image.height * image.width)

    def forward(self, z):
        self.calls += 1
        if self.calls == self.fails_at:
            raise RuntimeError("drawing failed")
        return self.linear(z).tanh().unflatten(1, self.image.shape)


@pytest.fixture(scope="session")
def smooth_model():
    """``(image, fails_at)`` -> a model whose pictures change smoothly with the latent."""

    def make(image, fails_at=None):
        facts = {"arch": {"name": "smooth"}, "dataset": {"name": "none"}}
        torch.manual_seed(0)
        return Model(Smooth(image, fails_at), 3, image, (), Origin("run", Path("run"), 1, "0" * 64, "ema", facts))

    return make
