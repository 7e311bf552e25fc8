"""``.safetensors``: the weights alone, with metadata in the header as in a checkpoint's ``ema.safetensors``."""

import json
from dataclasses import replace
from pathlib import Path

from gancli.checkpoint.provenance import KEY
from gancli.plugin import ArchConfig, Draw, Exporter, TrainedGenerator

_WHAT = Path("generator.safetensors")  # the name of the file in messages, which is not the scratch file's


class Safetensors(Exporter[ArchConfig]):
    """The weights, by parameter name."""

    api = 2
    summary = "the weights alone, to share and to load again"
    translates = True

    def export(self, generator: TrainedGenerator, path: Path, options: ArchConfig) -> None:  # noqa: ARG002  (it has none)
        """Write all parameters and buffers."""
        from gancli.storage.tensors import encode

        metadata = {"format": "pt", KEY: json.dumps(dict(generator.metadata), sort_keys=True)}
        path.write_bytes(encode(generator.network.state_dict(), metadata))

    def load(self, path: Path, generator: TrainedGenerator) -> Draw:
        """The network, built anew."""
        from gancli.models.loading import from_bytes

        return replace(generator, network=from_bytes(path.read_bytes(), _WHAT, generator.arch_file).generator).draw
