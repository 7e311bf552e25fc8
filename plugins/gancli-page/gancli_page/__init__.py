"""``.html``: a trained generator of gancli as one web page that needs nothing else: no network, no installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gancli.plugin import ArchConfig, Draw, Exporter, TrainedGenerator

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Page"]
__version__ = "0.1.0"


class Page(Exporter[ArchConfig]):
    """The page, see :mod:`gancli_page.page`."""

    api = 2
    summary = "a page that samples or translates in any browser, without a network"
    translates = True

    def export(self, generator: TrainedGenerator, path: Path, options: ArchConfig) -> None:  # noqa: ARG002  (it has none)
        """Write the page."""
        from gancli_page.page import encode

        path.write_bytes(encode(generator))

    def load(self, path: Path, generator: TrainedGenerator) -> Draw:  # noqa: ARG002  (the page says all)
        """The program of the page, run by PyTorch: what the page's own kernels are tested against."""
        from gancli_page.page import reload

        return reload(path.read_bytes())

    def tolerance(self, options: ArchConfig) -> float:  # noqa: ARG002  (it has none)
        """Two levels of 8 bits, since weights are rounded."""
        from gancli_page.page import TOLERANCE

        return TOLERANCE
