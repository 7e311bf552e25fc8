"""The options that choose a trained model."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gancli.cli import complete
from gancli.cli.options import RunsDir
from gancli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from gancli.images import Images
    from gancli.models.model import Model
    from gancli.models.sampler import Sampler
    from gancli.sampling.sample import Recipe

__all__ = ["Source", "StoredModel", "told"]

_RUN = typer.Option("--run", metavar="NAME|PATH", help="The run; by default the last.", autocompletion=complete.runs)
_CHECKPOINT = typer.Option(
    "--checkpoint",
    metavar="best|latest|PATH",
    help="best (by default) or latest of the run; or, instead of a run, a checkpoint, a .safetensors or .onnx file, "
    "hf:USER/NAME[@revision], or mnist, a small model that gancli brings along.",
)
_WEIGHTS = typer.Option("--weights", help="The EMA of the generator (by default), or the raw weights.")
_ARCH = typer.Option("--arch", metavar="FILE.py:CLASS", help="The architecture, if it was a file.")
_DEVICE = typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to run.")


@dataclass(frozen=True)
class StoredModel:
    """The options that choose a model, for a command that always runs on the CPU."""

    run: Annotated[str | None, _RUN] = None
    checkpoint: Annotated[str | None, _CHECKPOINT] = None
    weights: Annotated[Literal["ema", "raw"] | None, _WEIGHTS] = None
    runs_dir: RunsDir = Path("runs")
    arch: Annotated[str | None, _ARCH] = None

    def check(self) -> None:
        """Refuse what can be refused before torch is loaded."""
        if self.run and self.checkpoint not in {None, "best", "latest"}:
            both = f"--run {self.run} and --checkpoint {self.checkpoint}"
            raise UsageError(f"{both} exclude each other.", "Leave one of them out.")
        from gancli.models.stored import is_elsewhere

        path = Path(self.checkpoint or "latest")
        named = str(path) in {"best", "latest"} or is_elsewhere(str(self.checkpoint))
        if not named and not os.path.lexists(os.path.expanduser(path)):  # noqa: PTH111  (no RuntimeError)
            raise CheckpointError(
                f"There is no file or folder '{path}'.",
                "Give --checkpoint best, latest, or the path of a checkpoint, .safetensors or .onnx file.",
            )

    def load(self, recipe: "Recipe | None" = None) -> "Model":
        """The model; with a recipe, the one that made that image, unless another is chosen.

        Raises:
            GancliError: there is none, it is broken, or it is not the recipe's.
        """
        return self._load(recipe, "cpu")

    def _load(self, recipe: "Recipe | None", device: str, *, back: bool = False) -> "Model":
        from gancli.models.loading import load

        made_by = None if self.run or self.checkpoint else recipe
        model = load(
            made_by.run if made_by else self.run,
            checkpoint=self.checkpoint,
            step=made_by.step if made_by else None,
            weights=self.weights or self._stored_weights(recipe),
            device=device,
            runs_dir=self.runs_dir,
            arch=self.arch,
            back=back,
        )
        if made_by and not self.weights and model.origin.digest != made_by.digest:
            raise CheckpointError(
                f"The image was made by other weights than those of step {made_by.step} of '{made_by.run}'.",
                "Name the model that made it with --run or --checkpoint, or this one to use the same seeds with it.",
            )
        return model

    def _stored_weights(self, recipe: "Recipe | None") -> Literal["ema", "raw"] | None:
        """The weights that made the image; a file has only one kind."""
        if recipe is None or (self.checkpoint or "").lower().endswith(".safetensors"):
            return None
        return "raw" if recipe.weights == "raw" else "ema"


@dataclass(frozen=True)
class Source(StoredModel):
    """The options that choose a model and its device."""

    device: Annotated[str, _DEVICE] = "auto"

    def check(self) -> None:
        """Refuse what can be refused before torch is loaded."""
        super().check()
        _check_device(self.device)
        if self._is_export and (self.arch or self.device not in {"auto", "cpu"}):
            needless = f"--arch {self.arch}" if self.arch else f"--device {self.device}"
            raise UsageError(
                f"{needless} has no effect on '{self.checkpoint}', which runs without PyTorch, on the CPU.", "Leave it out."
            )

    def load(self, recipe: "Recipe | None" = None) -> "Model":
        """The model, on its device; see :meth:`StoredModel.load`."""
        return self._load(recipe, self.device)

    def sampler(self, recipe: "Recipe | None" = None, *, back: bool = False) -> "Sampler[Images]":
        """What generates the images: the model, or an exported one, for which torch is not imported.

        Args:
            recipe: as for :meth:`load`.
            back: take the translation back, of a model that translates both ways.

        Raises:
            GancliError: as for :meth:`load`.
        """
        if self.checkpoint is None or not self._is_export:
            return self._load(recipe, self.device, back=back)
        if back:
            raise UsageError(f"'{self.checkpoint}' holds one generator, without a way back.", "Give the run, by --run.")
        from gancli.models.exported import load_export

        model = load_export(Path(self.checkpoint))
        if self.weights and self.weights != model.origin.weights:
            raise CheckpointError(
                f"'{self.checkpoint}' holds the {model.origin.weights} weights, not the {self.weights} ones.",
                "Leave --weights out, or give a run.",
            )
        return model

    @property
    def _is_export(self) -> bool:
        from gancli.models.stored import is_export

        return is_export(self.checkpoint)


def _check_device(device: str) -> None:
    from pydantic import ValidationError

    from gancli.config.schema import RuntimeConfig

    try:
        RuntimeConfig(device=device)
    except ValidationError:
        raise UsageError(f"--device {device} is unknown.", "Choose auto, cpu, cuda, cuda:N or mps.") from None


def told(model: "Sampler[Images]") -> str:
    """A model in words: ``20261123-120431-mnist-dense, step 9,380, ema weights``."""
    origin = model.origin
    return f"{origin.run}, step {origin.step:,}, {origin.weights} weights"
