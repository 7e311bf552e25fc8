"""Inception's features, for figures that can be compared with papers: FID and KID. Needs the extra ``fid`` (torch-fidelity).

Its weights are downloaded once, by torch-fidelity, to the cache of ``torch.hub``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from gancli.errors import DownloadError, PluginError
from gancli.metrics.extractors import Extractor
from gancli.plugins.installation import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["InceptionExtractor"]

FEATURES = 2048
MEGABYTES = 91
WEIGHTS = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"


class InceptionExtractor(Extractor):
    """2048 features of pictures ``(n, 1 or 3, h, w)``: the pool3 layer of the network that FID was defined with.

    Args:
        tell: is told what will be downloaded, before it is.

    Raises:
        PluginError: torch-fidelity is not installed, or does not fit the installed torch.
        DownloadError: the weights are not here, and GANCLI_OFFLINE forbids fetching them, or fetching failed.
    """

    name: ClassVar[str] = "inception"
    gamma: ClassVar[float] = 1 / FEATURES

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        build = _builder()
        target = Path(torch.hub.get_dir(), "checkpoints", WEIGHTS.rpartition("/")[2])
        if not target.is_file():
            _refuse_offline(target)
            tell(f"downloading Inception's weights: {WEIGHTS} ({MEGABYTES} MB) to '{target}'")
        try:
            self.network = build("inception-v3-compat", [str(FEATURES)]).eval().requires_grad_(False)
        except (OSError, RuntimeError) as error:
            raise DownloadError(f"Inception's weights could not be loaded: {error}.", _by_hand(target)) from error
        self.digest = target.stem.rpartition("-")[2]

    @property
    def distances(self) -> tuple[str, str]:
        """Their usual names, since these are the usual features."""
        return "FID", "KID"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features ``(n, 2048)``; no classes."""
        pixels = (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
        return self.network(pixels.expand(-1, 3, -1, -1) if pixels.shape[1] == 1 else pixels[:, :3])[0].float(), None


def _builder() -> Callable[..., Any]:
    require("fid", "torch_fidelity")
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import (  # type: ignore[import-not-found,unused-ignore]
            FeatureExtractorInceptionV3,
        )
    except (ImportError, RuntimeError) as error:  # a torchvision that was built for another torch
        raise PluginError(
            f"torch-fidelity cannot be loaded: {error}.", "Install the torchvision that fits the installed torch."
        ) from error
    builder: Callable[..., Any] = FeatureExtractorInceptionV3
    return builder


def _refuse_offline(target: Path) -> None:
    if os.environ.get("GANCLI_OFFLINE", "0") not in {"", "0"}:
        raise DownloadError("GANCLI_OFFLINE is set, and Inception's weights are not here.", _by_hand(target))


def _by_hand(target: Path) -> str:
    return f"Download {WEIGHTS} ({MEGABYTES} MB) by other means, and put it at '{target}'."
