from __future__ import annotations

import pytest

from gancli_kit import ArchitectureContract, ExtractorContract

weights = pytest.importorskip("gancli_projected.weights")
if not weights.asset(weights.LITE0).path.is_file():
    pytest.skip("EfficientNet-Lite0 is not installed", allow_module_level=True)


class TestArchitecture(ArchitectureContract):
    architecture = "projected"
    options = {"channels": 4, "max_channels": 16, "projected_channels": 8, "head_channels": 8, "class_dim": 4}  # noqa: RUF012  (as a plugin writes it)
    images = ("1x32x32", "3x64x32", "4x32x32")


class TestExtractor(ExtractorContract):
    extractor = "lite"
