"""Which trained model a command works with."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gancli.cli import complete
from gancli.cli.options import RunsDir
from gancli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from gancli.generation.model import Model
    from gancli.generation.sample import Recipe

__all__ = ["Source", "told"]

_RUN = typer.Option("--run", metavar="NAME|PATH", help="The run; by default the last.", autocompletion=complete.runs)
_CHECKPOINT = typer.Option(
    "--checkpoint",
    metavar="best|latest|PATH",
    help="The best of the run (by default) or its latest; or a checkpoint or .safetensors file instead of a run.",
)
_WEIGHTS = typer.Option("--weights", help="The averaged generator (by default), or the one that was trained.")
_ARCH = typer.Option("--arch", metavar="FILE.py:CLASS", help="The architecture, if it was a file.")
_DEVICE = typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute.")


@dataclass(frozen=True)
class Source:
    """The options that choose a model."""

    run: Annotated[str | None, _RUN] = None
    checkpoint: Annotated[str | None, _CHECKPOINT] = None
    weights: Annotated[Literal["ema", "raw"] | None, _WEIGHTS] = None
    runs_dir: RunsDir = Path("runs")
    arch: Annotated[str | None, _ARCH] = None
    device: Annotated[str, _DEVICE] = "auto"

    def check(self) -> None:
        """Refuse what can be refused before torch is loaded."""
        if self.run and self.checkpoint not in {None, "best", "latest"}:
            both = f"--run {self.run} and --checkpoint {self.checkpoint}"
            raise UsageError(f"{both} exclude each other.", "Leave one of them out.")
        _check_device(self.device)

    def load(self, recipe: "Recipe | None" = None) -> "Model":
        """The model; with a recipe, the one that made that picture, unless another is chosen.

        Raises:
            GancliError: there is none, it is broken, or it is not the recipe's.
        """
        from gancli.generation.loading import load

        made_by = None if self.run or self.checkpoint else recipe
        model = load(
            made_by.run if made_by else self.run,
            checkpoint=self.checkpoint,
            step=made_by.step if made_by else None,
            weights=self.weights or _stored_weights(recipe),
            device=self.device,
            runs_dir=self.runs_dir,
            arch=self.arch,
        )
        if made_by and not self.weights and model.origin.digest != made_by.digest:
            raise CheckpointError(
                f"The picture was made by other weights than those of step {made_by.step} of '{made_by.run}'.",
                "Name the model that made it with --run or --checkpoint, or this one to draw the same seeds with it.",
            )
        return model


def _check_device(device: str) -> None:
    from pydantic import ValidationError

    from gancli.config import RuntimeConfig

    try:
        RuntimeConfig(device=device)
    except ValidationError:
        raise UsageError(f"--device {device} is unknown.", "Choose auto, cpu, cuda, cuda:N or mps.") from None


def told(model: "Model") -> str:
    """Which model it is: ``20261123-120431-mnist-dense, step 9,380, ema weights``."""
    origin = model.origin
    return f"{origin.run}, step {origin.step:,}, {origin.weights} weights"


def _stored_weights(recipe: "Recipe | None") -> Literal["ema", "raw"]:
    return "raw" if recipe is not None and recipe.weights == "raw" else "ema"
