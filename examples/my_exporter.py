"""An exporter in one file: weights with few digits. gancli plugin check ./examples/my_exporter.py:Rounded --kind exporter"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from gancli.plugin import ArchConfig, Exporter

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.plugin import Draw, TrainedGenerator


class RoundedOptions(ArchConfig):
    """What `gancli export -s digits=4` sets."""

    digits: int = Field(6, ge=1, le=9, description="digits after the point of each weight")


class Rounded(Exporter[RoundedOptions]):
    """The weights by name, rounded, as .safetensors."""

    api = 2
    summary = "rounded weights"
    Options = RoundedOptions

    def export(self, generator: TrainedGenerator, path: Path, options: RoundedOptions) -> None:
        """Write the file."""
        from safetensors.torch import save_file

        state = generator.network.state_dict()
        save_file({name: value.round(decimals=options.digits) for name, value in state.items()}, path)

    def load(self, path: Path, generator: TrainedGenerator) -> Draw:
        """Read it into a network of the same shape: numpy arrays of latents and labels -> images."""
        import copy

        import torch
        from safetensors.torch import load_file

        network = copy.deepcopy(generator.network)
        network.load_state_dict(load_file(path))
        return lambda *inputs: network(*(torch.from_numpy(x) for x in inputs if x is not None)).detach().numpy()

    def tolerance(self, options: RoundedOptions) -> float:
        """Largest difference of a pixel that rounding may make."""
        return 10.0 ** (2 - options.digits)
