"""A data set in one file: gancli train --dataset ./examples/my_data.py:Rings --conditional"""

from __future__ import annotations

from typing import ClassVar

from gancli.plugin import Dataset, Defaults, ImageSet

SEEDS = {"train": 0, "test": 1}
SIDE, NUMBER = 16, 3_000


class Rings(Dataset):
    """Rings round the middle, in three sizes, generated when they are read."""

    api = 2
    summary = "Rings in grey, 16x16: 3,000 to train, 3,000 to test, in three sizes"
    licence = "CC0-1.0"
    defaults: ClassVar[Defaults] = {"train.batch_size": 64}

    def load(self, split: str = "train") -> ImageSet:
        """Brightness falls from 1 at the radius to 0 a pixel beside it; sizes come in turn, each with some chance."""
        import torch

        chance = torch.Generator().manual_seed(SEEDS[split])
        labels = torch.arange(NUMBER) % 3
        radius = 2.5 + 1.5 * labels + torch.rand(NUMBER, generator=chance)
        place = torch.arange(SIDE) - (SIDE - 1) / 2
        distance = (place.square()[:, None] + place.square()).sqrt()
        brightness = (1 - (distance - radius[:, None, None]).abs()).clamp(min=0)
        images = (255 * brightness).round().to(torch.uint8).unsqueeze(1)
        return ImageSet(images, labels, class_names=("small", "medium", "large"))
