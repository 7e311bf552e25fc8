"""The options that several commands share, each declared once, and two bundles of them: settings and models."""

import inspect
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer
from typer.models import OptionInfo

from gancli.cli import complete
from gancli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from gancli.config.resolve import Resolved
    from gancli.images import Images
    from gancli.models.model import Model
    from gancli.models.sampler import Sampler
    from gancli.runs import RunDirectory
    from gancli.sampling.sample import Recipe

PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "suggest_commands": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""Plain text, our own error messages and suggestions, and -h."""

EVERYWHERE = "Also, as everywhere: -q/--quiet, --no-color, --debug."


def expand(function: Callable[..., None]) -> Callable[..., None]:
    """The same command with the fields of its bundles, dataclasses of options, as options of its own."""
    signature = inspect.signature(function)
    bundles: dict[str, Any] = {name: p.annotation for name, p in signature.parameters.items() if is_dataclass(p.annotation)}
    parts = {name: inspect.signature(bundle).parameters for name, bundle in bundles.items()}

    @wraps(function)
    def command(**values: object) -> None:
        for name, bundle in bundles.items():
            values[name] = bundle(**{part: values.pop(part) for part in parts[name]})
        function(**values)

    parameters = [
        part.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        for part in (parts[name].values() if name in parts else [parameter])
    ]
    setattr(command, "__signature__", signature.replace(parameters=parameters))  # noqa: B010  (unknown to mypy)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a whole number.") from None


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a number.") from None


def _named(text: str) -> str:
    if not text:  # a shell variable that is not set
        raise typer.BadParameter("the name is empty.")
    return text


def whole(*flags: str, text: str) -> Any:
    """An option that takes a whole number; its error shows what was typed, which Typer's own does not."""
    return typer.Option(*flags, metavar="N", help=text, parser=_whole)


def output(metavar: str, text: str, *flags: str) -> Any:
    """``-o``: where to write to."""
    return typer.Option(*(flags or ("-o", "--output")), metavar=metavar, help=text, parser=_named)


def set_option(purpose: str) -> OptionInfo:
    """``-s KEY=VALUE``, with what it is for here."""
    option: OptionInfo = typer.Option("-s", "--set", metavar="KEY=VALUE", help=purpose, autocompletion=complete.assignments)
    return option


def arch_option(purpose: str) -> OptionInfo:
    """``--arch NAME``, with what it is for here."""
    option: OptionInfo = typer.Option("--arch", metavar="NAME", help=purpose, autocompletion=complete.architectures)
    return option


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, errors included.")]
RunsDir = Annotated[Path, typer.Option("--runs-dir", metavar="DIR", help="Directory of the runs.")]
Force = Annotated[bool, typer.Option("-f", "--force", help="Replace a file that gancli did not make.")]
NoMetadata = Annotated[bool, typer.Option("--no-metadata", help="Do not store how the images were made.")]
Truncation = Annotated[
    float | None,
    typer.Option(
        "--truncation",
        metavar="X",
        help="Truncation, 0.05 to 1: less gives more typical images, 1 changes nothing.",
        parser=_real,
    ),
]


@dataclass(frozen=True)
class Source:
    """The options that choose a trained model and its device."""

    run: Annotated[
        str | None,
        typer.Option("--run", metavar="NAME|PATH", help="The run; by default the last one.", autocompletion=complete.runs),
    ] = None
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint",
            metavar="best|latest|PATH",
            help="best (by default) or latest of the run; or, instead of a run, a checkpoint, a .safetensors or .onnx file, "
            "hf:USER/NAME[@revision], or mnist, a small model that gancli brings along.",
        ),
    ] = None
    weights: Annotated[
        Literal["ema", "raw"] | None,
        typer.Option("--weights", help="The EMA of the generator (by default), or the raw weights."),
    ] = None
    runs_dir: RunsDir = Path("runs")
    arch: Annotated[str | None, typer.Option("--arch", metavar="FILE.py:CLASS", help="The architecture, if it was a file.")] = (
        None
    )
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Device to run on.")] = "auto"

    def check(self) -> None:
        """Refuse what can be refused before torch is loaded."""
        from pydantic import ValidationError

        from gancli.config.schema import RuntimeConfig
        from gancli.models.stored import is_elsewhere, is_export

        path = os.path.expanduser(self.checkpoint or "latest")  # noqa: PTH111  (Path.expanduser raises RuntimeError)
        if path not in {"best", "latest"}:
            if self.run:
                both = f"--run {self.run} and --checkpoint {self.checkpoint}"
                raise UsageError(f"{both} exclude each other.", "Leave one of them out.")
            if not is_elsewhere(path) and not os.path.lexists(path):
                raise CheckpointError(
                    f"There is no file or folder '{path}'.",
                    "Give --checkpoint best, latest, or the path of a checkpoint, .safetensors or .onnx file.",
                )
        try:
            RuntimeConfig(device=self.device)
        except ValidationError:
            raise UsageError(f"--device {self.device} is unknown.", "Choose auto, cpu, cuda, cuda:N or mps.") from None
        if is_export(self.checkpoint) and (self.arch or self.device not in {"auto", "cpu"}):
            needless = f"--arch {self.arch}" if self.arch else f"--device {self.device}"
            raise UsageError(f"{needless} has no effect on '{path}', which runs without PyTorch, on the CPU.", "Leave it out.")

    def load(self, recipe: "Recipe | None" = None, *, back: bool = False) -> "Model":
        """The model; with a recipe, the one that made that image, unless another is chosen.

        Args:
            recipe: how an image was made.
            back: load the translation back, of a model that translates both ways.

        Raises:
            GancliError: there is none, it is broken, or it is not the recipe's.
        """
        from gancli.models.loading import load

        made_by = None if self.run or self.checkpoint else recipe
        stored = recipe.weights if recipe and self._suffix != ".safetensors" else None  # a file has only one kind
        model = load(
            made_by.run if made_by else self.run,
            checkpoint=self.checkpoint,
            step=made_by.step if made_by else None,
            weights=self.weights or stored,
            device=self.device,
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

    def sampler(self, recipe: "Recipe | None" = None, *, back: bool = False) -> "Sampler[Images]":
        """What generates images: the model of :meth:`load`, or an exported one, for which torch is not imported."""
        from gancli.models.stored import is_export

        if not is_export(self.checkpoint):
            return self.load(recipe, back=back)
        path = Path(self.checkpoint or "")
        if back:
            raise UsageError(f"'{path}' holds one generator, without a way back.", "Give the run, by --run.")
        from gancli.models.exported import load_export

        model = load_export(path)
        if self.weights and self.weights != model.origin.weights:
            raise CheckpointError(
                f"'{path}' holds the {model.origin.weights} weights, not the {self.weights} ones.",
                "Leave --weights out, or give a run.",
            )
        return model

    @property
    def _suffix(self) -> str:
        return Path(self.checkpoint or "").suffix.lower()


@dataclass(frozen=True)
class StoredModel(Source):
    """The same without the device, for a command that always runs on the CPU."""

    device: str = field(default="cpu", init=False)


def _number(text: str) -> object:
    """The number that was typed, else the text, which the configuration refuses with key, bounds and meaning."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _setting(key: str, *flags: str, **options: Any) -> Any:
    """An option that sets this key of the configuration."""
    option = typer.Option(*flags, show_default=False, **options)
    option.key = key
    return option


def _text(key: str, flag: str, metavar: str, text: str, offered: complete.Callback | None = None) -> Any:
    return _setting(key, flag, metavar=metavar, help=text, autocompletion=offered)


def _value(key: str, flag: str, metavar: str, text: str) -> Any:
    return _setting(key, flag, metavar=metavar, help=text, parser=_number)


def _flag(key: str, flag: str, text: str) -> Any:
    return _setting(key, flag, help=text)


_TO = "Train a translator: from images like those of --dataset to images like these."
_FROM = "Fine-tune a trained model: a run, a checkpoint, a .safetensors file, or mnist."
_LOSSES = "The losses: non-saturating, hinge, wasserstein, ..."
_FILES = "Read settings from a TOML or JSON file. May be repeated."
_ANY = "Any other setting, such as -s arch.dropout=0.3. May be repeated. `gancli config show` lists the keys."

Text = str | None
Flag = bool | None
List = list[str] | None
Value = Any


@dataclass(frozen=True)
class Settings:
    """What `train` and `config show` take to choose a configuration. A flag sets one key and decides nothing."""

    dataset: Annotated[Text, _text("data.dataset", "--dataset", "NAME|PATH", "The images to train on.", complete.datasets)] = (
        None
    )
    to: Annotated[Text, _text("data.to", "--to", "NAME|PATH", _TO, complete.datasets)] = None
    paired: Annotated[Flag, _flag("data.paired", "--paired", "With --to: images of the same file name are pairs.")] = None
    image_size: Annotated[Value, _value("data.image_size", "--image-size", "N|HxW", "Resize all images to this size.")] = None
    arch: Annotated[
        Text, _text("arch.name", "--arch", "NAME", "The networks: a name or FILE.py:CLASS.", complete.architectures)
    ] = None
    objective: Annotated[Text, _text("objective.name", "--objective", "NAME", _LOSSES, complete.objectives)] = None
    epochs: Annotated[Value, _value("train.epochs", "--epochs", "N", "Train for N passes over the images.")] = None
    images: Annotated[Value, _value("train.images", "--images", "N", "Train until N real images have been seen.")] = None
    minutes: Annotated[Value, _value("train.minutes", "--minutes", "M", "Train for M minutes.")] = None
    batch_size: Annotated[Value, _value("train.batch_size", "--batch-size", "N", "Real images per step.")] = None
    learning_rate: Annotated[
        Value, _value("train.learning_rate", "--learning-rate", "X", "Learning rate of both networks.")
    ] = None
    latent_dim: Annotated[Value, _value("model.latent_dim", "--latent-dim", "N", "Dimensions of the latent space.")] = None
    parent: Annotated[Text, _text("model.parent", "--from", "RUN|FILE|hf:USER/NAME", _FROM, complete.runs)] = None
    conditional: Annotated[
        Flag, _flag("model.conditional", "--conditional", "Train on the labels, for `sample --class K`.")
    ] = None
    seed: Annotated[Value, _value("train.seed", "--seed", "N", "Seed of everything random.")] = None
    device: Annotated[Text, _text("runtime.device", "--device", "auto|cpu|cuda|mps", "Device to train on.")] = None
    precision: Annotated[Text, _text("runtime.precision", "--precision", "auto|fp32|bf16", "Floating-point precision.")] = None
    deterministic: Annotated[
        Flag, _flag("runtime.deterministic", "--deterministic", "On a GPU: deterministic algorithms only.")
    ] = None
    loggers: Annotated[
        List, _text("log.to", "--log", "NAME", "Also log to tensorboard, trackio, wandb or mlflow.", complete.loggers)
    ] = None
    files: Annotated[list[Path] | None, typer.Option("-c", "--config", metavar="FILE", help=_FILES)] = None
    assignments: Annotated[List, set_option(_ANY)] = None

    @property
    def flags(self) -> dict[str, object]:
        """The keys that were set by flags of their own."""
        options = {field.name: get_args(field.type)[1] for field in fields(self)}
        keys = {name: option.key for name, option in options.items() if hasattr(option, "key")}
        return {key: getattr(self, name) for name, key in keys.items() if getattr(self, name) is not None}

    def resolve(self, runs_dir: Path = Path("runs"), *, fetch: bool = False) -> "Resolved":
        """The configuration of a new run; a parent is looked for in ``runs_dir`` first.

        What is left open is chosen for the images, which may be fetched for that if ``fetch`` says so.
        """
        from gancli.config.resolve import resolve
        from gancli.data.choice import choose
        from gancli.data.translation import has_domains
        from gancli.models.parent import inherit

        files, assignments, parent = self.files or (), self.assignments or (), inherit(runs_dir)
        return resolve(
            files=files,
            assignments=assignments,
            flags=self.flags,
            inherit=parent,
            has_domains=has_domains,
            choose=partial(choose, fetch=fetch),
        )

    def resolve_upon(self, run: "RunDirectory") -> "Resolved":
        """The configuration of ``run`` with what was given on top."""
        from gancli.config.resolve import resolve

        files = [run.config_path, *(self.files or ())]
        assignments, flags = self.assignments or (), self.flags
        return resolve(files=files, assignments=assignments, flags=flags, environment={}, preferences=False)

    def changes(self, run: "RunDirectory", *, allowed: bool = False) -> dict[str, object]:
        """The keys by which :meth:`resolve_upon` differs from what is stored.

        Raises:
            ConfigError: one of them may not change, or only if that is ``allowed``.
        """
        from gancli.config.resolve import flatten, refuse_changes, refuse_other_choice

        stored = flatten(Settings().resolve_upon(run).config)
        refuse_other_choice(stored, files=self.files or (), assignments=self.assignments or (), flags=self.flags)
        given = flatten(self.resolve_upon(run).config)
        refuse_changes(stored, given, allowed=allowed)
        return {key: value for key, value in given.items() if stored.get(key) != value}
