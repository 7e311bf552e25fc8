"""The extractors of papers, for figures that can be compared with theirs: Inception's and DINOv2's, by torch-fidelity.

torch-fidelity (the extra ``fid``) downloads the weights once, and DINOv2's code, to the cache of ``torch.hub``.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gancli.errors import DownloadError, PluginError
from gancli.plugin import FeatureExtractor
from gancli.plugins.installation import require
from gancli.text import first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


class _Fidelity(FeatureExtractor):
    """A network of torch-fidelity."""

    api = 2
    module: ClassVar[tuple[str, str]]  # below torch_fidelity, and the name of the class
    arguments: ClassVar[tuple[str, list[str]]]  # of the class: its name, and the features that it returns
    weights: ClassVar[str]  # their URL; the cache names the file after the last part
    code: ClassVar[tuple[str, str]] = ("", "")  # what else is downloaded: address, and a folder of the cache
    size: ClassVar[str]  # of all that

    def build(self, tell: Callable[[str], None]) -> nn.Module:
        """See :meth:`.FeatureExtractor.build`."""
        import torch

        require("fid", "torch_fidelity", of="gancli-evaluate")
        module, name = self.module
        try:
            network = getattr(import_module(f"torch_fidelity.{module}"), name)
        except (ImportError, RuntimeError) as error:  # a torchvision that was built for another torch
            raise PluginError(
                f"torch-fidelity cannot be loaded: {error}.", "Install the torchvision that fits the installed torch."
            ) from error
        address, folder = self.code
        hub = Path(torch.hub.get_dir())
        target = hub / "checkpoints" / self.weights.rpartition("/")[2]
        by_hand = f"Download {self.weights} ({self.size}) by other means, and put it at '{target}'."
        if not target.is_file() or not (hub / folder).exists():
            if os.environ.get("GANCLI_OFFLINE", "0") not in {"", "0"}:
                raise DownloadError(f"GANCLI_OFFLINE is set, and the weights of {name} are not here.", by_hand)
            also = f", and the code that reads them: {address}" if address else ""
            tell(f"downloading weights: {self.weights} ({self.size}) to '{target}'{also}")

        class OnBytes(torch.nn.Module):
            """The network behind what makes float images of 1 to 4 channels into colour images of bytes."""

            def __init__(self, network: nn.Module) -> None:
                super().__init__()
                self.network = network

            def forward(self, images: torch.Tensor) -> torch.Tensor:
                pixels = (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
                grey = pixels.shape[1] <= 2  # noqa: PLR2004  (with alpha or without)
                features: torch.Tensor = self.network(pixels[:, :1].expand(-1, 3, -1, -1) if grey else pixels[:, :3])[0]
                return features

        try:
            return OnBytes(network(*self.arguments))
        except (OSError, RuntimeError) as error:
            raise DownloadError(f"{name} could not be loaded: {first_line(error)}.", by_hand) from error


class Inception(_Fidelity):
    """2048 features: the pool3 layer of the network that FID was defined with (Heusel et al., 2017)."""

    summary = "Inception-v3's pool3: FID and KID as in papers; extra fid"
    distances = ("FID", "KID")
    module = ("feature_extractor_inceptionv3", "FeatureExtractorInceptionV3")
    arguments = ("inception-v3-compat", ["2048"])
    weights = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
    size = "91 MB"


class DINOv2(_Fidelity):
    """1024 features of DINOv2 ViT-L/14, which agree with people better than Inception's (Stein et al., 2023)."""

    summary = "DINOv2 ViT-L/14: FD-DINOv2 as in papers, seconds per image on a CPU; extra fid"
    distances = ("FD-DINOv2", "KD-DINOv2")
    module = ("feature_extractor_dinov2", "FeatureExtractorDinoV2")
    arguments = ("dinov2-vit-l-14", ["dinov2"])
    weights = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth"
    code = ("https://github.com/facebookresearch/dinov2", "facebookresearch_dinov2_main")
    size = "1.2 GB"
