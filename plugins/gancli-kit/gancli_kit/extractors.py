"""Checks of a feature extractor: features of any images, which depend on nothing but the image."""

from __future__ import annotations

import torch

from gancli.plugin import FeatureExtractor
from gancli.plugins.registry import EXTRACTORS
from gancli_kit.checks import Check, Rules, fail, skip
from gancli_kit.description import IDENTITY, LOADING, refuse_assets
from gancli_kit.subject import Subject


class ExtractorSubject(Subject[FeatureExtractor]):
    """A feature extractor."""

    registry = EXTRACTORS
    section = "extractor"

    def network(self) -> torch.nn.Module:
        """What it builds; the check is skipped where its files are missing or would have to be downloaded."""
        plugin = self.plugin()
        refuse_assets(plugin.assets())

        def refuse(what: str) -> None:
            raise skip(f"It would begin to download: {what}")

        return plugin.build(refuse)


RULES = Rules()


@RULES.check(needs="complete")
def features(subject: ExtractorSubject) -> None:
    """build() returns a network from images of any size and 1 to 4 channels to float features (n, d)
    Why: The same extractor judges grey, colour and transparent images; d has to be the same for all of them.
    Fix: Resize what is too small, repeat grey, composite alpha onto a background, and average over places.
    """
    network, widths = subject.network(), set()
    for shape in ((1, 28, 28), (2, 16, 16), (3, 64, 48), (4, 33, 32)):
        features = network(torch.zeros(2, *shape))
        if features.ndim != 2 or len(features) != 2 or not features.is_floating_point():  # noqa: PLR2004  (n and d; two images)
            raise fail(f"Two images of {shape} have features of {features.dtype} {tuple(features.shape)}, not float (2, d).")
        widths.add(features.shape[1])
    if len(widths) > 1:
        raise fail(f"The number of features depends on the size or the channels: {sorted(widths)}.")


@RULES.check(needs="features")
def by_the_image_alone(subject: ExtractorSubject) -> None:
    """The same image has the same features, alone or among others, and other images have others
    Why: Distances are compared across batches, runs and months.
    Fix: Use eval mode, no randomness, and nothing that is computed over a batch.
    """
    network = subject.network().eval()
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        together, alone = network(images), torch.cat([network(image[None]) for image in images])
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-4 * float(together.abs().max())):
        raise fail(f"Alone an image has features that differ by up to {float((together - alone).abs().max()):.3g}.")
    if torch.allclose(together[0], together[1]):
        raise fail("Two different images have the same features.")


EXTRACTOR_CHECKS: tuple[Check, ...] = (*LOADING, *IDENTITY, *RULES)
"""Every check of a feature extractor; each comes after those that it needs."""
