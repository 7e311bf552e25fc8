"""The extractors of plugins: pretrained networks, of which one is never the judge of what was trained against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from gancli.errors import UsageError
from gancli.metrics.distances import TOTAL_VARIANCE
from gancli.metrics.extractors import CALIBRATION, Extractor, batches, some_of
from gancli.plugins.assets import check_asset, installed_extractor
from gancli.storage.tensors import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from gancli.plugin import FeatureExtractor


class PretrainedExtractor(Extractor):
    """Features of a plugin's network, scaled such that those of the training images have a total variance of 1000.

    Features that have usual names for their distances, such as FID, are left as they are. Of the training images, uint8
    ``(n, c, h, w)``, 2,048 are looked at, always the same; ``tell`` is told of downloads.
    """

    def __init__(self, name: str, plugin: FeatureExtractor, images: Tensor, tell: Callable[[str], None]) -> None:
        super().__init__()
        for asset in plugin.assets():
            check_asset(asset)
        self.name, self._usual = name, plugin.distances
        self.network = plugin.build(tell).eval().requires_grad_(False)
        self.digest = digest_of(self.network.state_dict())
        self.factor = nn.Parameter(torch.ones(()), requires_grad=False)
        some = some_of(images, 1 if self._usual else CALIBRATION).cpu()
        features = torch.cat([self.see(batch).features for batch in batches(some)])
        if self._usual is None:
            total = float(features.double().var(0).sum()) if len(features) > 1 else 0.0
            self.factor.fill_((TOTAL_VARIANCE / total) ** 0.5 if total > 0 else 1.0)
        else:
            self.gamma = 1 / features.shape[1]

    @property
    def distances(self) -> tuple[str, str]:
        """See :attr:`.FeatureExtractor.distances`."""
        return self._usual or super().distances

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features ``(n, d)``; no classes."""
        return self.network(images).float() * self.factor, None


def pretrained(
    name: str, images: Tensor, frozen: Iterable[str] = (), tell: Callable[[str], None] = lambda _: None
) -> PretrainedExtractor:
    """A plugin's extractor for these training images, uint8 ``(n, c, h, w)``.

    ``frozen`` are the digests of the frozen networks that the model was trained against.

    Raises:
        PluginError: it is not installed.
        UsageError: the model was trained against this very network.
    """
    extractor = PretrainedExtractor(name, installed_extractor(name), images, tell)
    against = set(frozen)
    if against and not against.isdisjoint(digest_of(part.state_dict()) for part in extractor.network.modules()):
        raise UsageError(
            f"The model was trained against the network of the extractor '{name}', whose verdict would say nothing.",
            "Choose another --extractor, such as random.",
        )
    return extractor
