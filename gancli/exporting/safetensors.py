"""``.safetensors``: the weights alone, with metadata in the header as in a checkpoint's ``ema.safetensors``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.checkpoint.provenance import KEY, stored_origin
from gancli.exporting.formats import PARITY
from gancli.plugin import ArchConfig, Draw, Exporter, TrainedGenerator

if TYPE_CHECKING:
    from collections.abc import Mapping


_WHAT = Path("generator.safetensors")  # the name of the file in messages, which is not the scratch file's


class Safetensors(Exporter[ArchConfig]):
    """The weights, by parameter name."""

    api = 2
    summary = "the weights alone, to share and to load again"
    translates = True

    def export(self, generator: TrainedGenerator, path: Path, options: ArchConfig) -> None:  # noqa: ARG002  (it has none)
        """Write all parameters and buffers."""
        _write(path, generator.network.state_dict(), generator.metadata)

    def load(self, path: Path, generator: TrainedGenerator) -> Draw:
        """The network, built anew."""
        from gancli.models.loading import from_bytes

        return replace(generator, network=from_bytes(path.read_bytes(), _WHAT, generator.arch_file).generator).draw

    def stamp(self, path: Path, difference: float) -> None:
        """Add the difference to the header."""
        from gancli.storage.tensors import decode, read_metadata

        data = path.read_bytes()
        stored = stored_origin(read_metadata(data, f"'{_WHAT}'").get(KEY), data, _WHAT).provenance
        _write(path, decode(data, f"'{_WHAT}'"), stored.document() | {PARITY: difference})


def _write(path: Path, tensors: dict[str, Any], metadata: Mapping[str, Any]) -> None:
    from gancli.storage.tensors import encode

    path.write_bytes(encode(tensors, {"format": "pt", KEY: json.dumps(dict(metadata), sort_keys=True)}))
