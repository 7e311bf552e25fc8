"""Signals keep their variance at the start, at any size and depth."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gancli.plugin import ImageSpec, Networks
from gancli_resnet import ResNet, ResNetConfig

LATENT_DIM = 12
TINY = {"channels": 4, "growth": 2, "max_channels": 16, "group_size": 4}


def build(image: ImageSpec, options: dict[str, Any] | None = None, seed: int = 0) -> Networks:
    torch.manual_seed(seed)
    return ResNet().build(ResNetConfig.model_validate(TINY | (options or {})), image, LATENT_DIM)


@pytest.mark.parametrize("side", [8, 28, 96])
def test_variance_survives_the_discriminator_at_any_size(side: int) -> None:
    """Of smooth pictures, such as real ones: averaging over pixels takes nothing from them."""
    pictures = torch.randn(64, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, side, side)
    variances = []
    for seed in range(5):
        discriminator = build(ImageSpec(3, side, side), {"channels": 16, "max_channels": 64}, seed).discriminator
        with torch.no_grad():
            variances.append(discriminator.trunk(discriminator.input(pictures)).var(0).mean())
    assert 0.5 < torch.stack(variances).mean() < 2
