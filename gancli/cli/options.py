"""The options that several commands share, each declared once, and two bundles of them: settings and models."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from gancli.cli import complete
from gancli.cli.output import Output
from gancli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from gancli.config.resolve import Resolved
    from gancli.images import Images
    from gancli.models.model import Model
    from gancli.models.sampler import Sampler
    from gancli.runs import RunDirectory
    from gancli.sampling.sample import Recipe

# plain text, our own error messages and suggestions, and -h
PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "suggest_commands": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
_EVERYWHERE = "Also, as everywhere: -q/--quiet, --no-color, --debug."


def option(metavar: str | None, text: str, *flags: str, **more: Any) -> Any:
    """An option with its help; without flags it has the name of its parameter."""
    return typer.Option(*flags, metavar=metavar, help=text, **more)


def argument(metavar: str, text: str, **more: Any) -> Any:
    """A word that stands without a flag."""
    return typer.Argument(metavar=metavar, help=text, **more)


def whole(text: str, *flags: str, **more: Any) -> Any:
    """An option that takes a whole number; its error shows what was typed, which Typer's own does not."""
    return option("N", text, *flags, parser=partial(_parsed, int, "whole number"), **more)


def _parsed(kind: type[int | float], what: str, text: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a {what}.") from None


def output_option(metavar: str, text: str) -> Any:
    """``-o``: where to write to."""
    return option(metavar, text, "-o", "--output", parser=_named)


def _named(text: str) -> str:
    if not text:  # a shell variable that is not set
        raise typer.BadParameter("the name is empty.")
    return text


def set_option(text: str) -> Any:
    """``-s KEY=VALUE``, with what it is for here."""
    return option("KEY=VALUE", text, "-s", "--set", autocompletion=complete.assignments)


Json = Annotated[bool, option(None, "Print one JSON document on stdout, errors included.", "--json")]
RunsDir = Annotated[Path, option("DIR", "Directory of the runs.")]
Force = Annotated[bool, option(None, "Replace a file that gancli did not make.", "-f", "--force")]
NoMetadata = Annotated[bool, option(None, "Do not store how the images were made.", "--no-metadata")]
_LESS = "Truncation, 0.05 to 1: less gives more typical images, 1 changes nothing."
Truncation = Annotated[float | None, option("X", _LESS, parser=partial(_parsed, float, "number"))]


def expand(function: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer takes it.

    The fields of its bundles (dataclasses) become options of its own; if it takes ``output: Output``, the last is ``--json``.
    """
    signature = inspect.signature(function)
    bundles: dict[str, Any] = {name: p.annotation for name, p in signature.parameters.items() if is_dataclass(p.annotation)}
    if not bundles:
        return function  # such as a plugin's
    makes_output = bundles.pop("output", None)
    parts = {name: inspect.signature(bundle).parameters for name, bundle in bundles.items()}

    @wraps(function)
    def command(**values: Any) -> None:
        if makes_output:
            values["output"] = Output.of(values.pop("context"))
            del values["json"]
        for name, bundle in bundles.items():
            values[name] = bundle(**{part: values.pop(part) for part in parts[name]})
        function(**values)

    parameters = [
        part.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        for part in (parts[name].values() if name in parts else [parameter])
        if name != "output"
    ]
    if makes_output:
        given = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
        parameters = [given("context", annotation=typer.Context), *parameters, given("json", annotation=Json, default=False)]
    setattr(command, "__signature__", signature.replace(parameters=parameters))  # noqa: B010  (unknown to mypy)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


class Typer(typer.Typer):
    """Typer in plain text, whose commands may take bundles of options and an ``Output``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**PLAIN | options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:  # type: ignore[override]
        """Add a command."""
        options["epilog"] = "\n\n".join(filter(None, (options.get("epilog"), _EVERYWHERE)))
        register = super().command(name, **options)
        return lambda function: register(expand(function))


@dataclass(frozen=True)
class Source:
    """The options that choose a trained model and its device."""

    run: Annotated[str | None, option("NAME|PATH", "The run; by default the last one.", autocompletion=complete.runs)] = None
    checkpoint: Annotated[
        str | None,
        option(
            "best|latest|PATH",
            "best (by default) or latest of the run; or, instead of a run, a checkpoint, a .safetensors or .onnx file, "
            "hf:USER/NAME[@revision], or mnist, a small model that gancli brings along.",
        ),
    ] = None
    weights: Annotated[
        Literal["ema", "raw"] | None, option(None, "The EMA of the generator (by default), or the raw weights.")
    ] = None
    runs_dir: RunsDir = Path("runs")
    arch: Annotated[str | None, option("FILE.py:CLASS", "The architecture, if it was a file.")] = None
    device: Annotated[str, option("auto|cpu|cuda|mps", "Device to run on.")] = "auto"

    def check(self) -> None:
        """Refuse what can be refused before torch is loaded."""
        from gancli.models.stored import is_elsewhere, is_export
        from gancli.runs import is_run

        path = os.path.expanduser(self.checkpoint or "latest")  # noqa: PTH111  (Path.expanduser raises RuntimeError)
        if path not in {"best", "latest"}:
            if self.run:
                both = f"--run {self.run} and --checkpoint {self.checkpoint}"
                raise UsageError(f"{both} exclude each other.", "Leave one of them out.")
            if not is_elsewhere(path) and any(is_run(base / path) for base in (self.runs_dir, Path())):
                raise UsageError(f"'{path}' is a run, not a checkpoint.", f"Give it as --run {path}.")
            if not is_elsewhere(path) and not os.path.lexists(path):
                raise CheckpointError(
                    f"There is no file or folder '{path}'.",
                    "Give --checkpoint best, latest, or the path of a checkpoint, .safetensors or .onnx file.",
                )
        if is_export(self.checkpoint) and (self.arch or self.device not in {"auto", "cpu"}):
            needless = f"--arch {self.arch}" if self.arch else f"--device {self.device}"
            raise UsageError(f"{needless} has no effect on '{path}', which runs without PyTorch, on the CPU.", "Leave it out.")

    def repeated(self) -> list[str]:
        """The options that choose the same model in another command."""
        given = {"--run": self.run, "--checkpoint": self.checkpoint, "--weights": self.weights, "--arch": self.arch}
        elsewhere = None if self.runs_dir == Path("runs") else str(self.runs_dir)
        return [part for flag, value in {**given, "--runs-dir": elsewhere}.items() if value for part in (flag, value)]

    def load(self, recipe: "Recipe | None" = None, *, back: bool = False) -> "Model":
        """The model; with a recipe, the one that made that image, unless another is chosen. ``back`` translates back.

        Raises:
            GancliError: there is none, it is broken, or it is not the recipe's.
        """
        from gancli.models.loading import load

        made_by = None if self.run or self.checkpoint else recipe
        one_kind = (self.checkpoint or "").lower().endswith(".safetensors")
        stored = recipe.weights if recipe and not one_kind else None
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
            problem = f"'{path}' holds the {model.origin.weights} weights, not the {self.weights} ones."
            raise CheckpointError(problem, "Leave --weights out, or give a run.")
        return model


@dataclass(frozen=True)
class StoredModel(Source):
    """The same without the device, for a command that always runs on the CPU."""

    device: str = field(default="cpu", init=False)


def _number(text: str) -> object:
    """The number that was typed, else the text, which the configuration refuses with key, bounds and meaning."""
    from gancli.config.layers import parse_value

    return parse_value(text)


def _setting(
    key: str, metavar: str | None, text: str, offered: complete.Callback | None = None, *, flag: str = "", **more: Any
) -> Any:
    """An option that sets this key of the configuration; by default its flag is the last part of the key."""
    flag = flag or f"--{key.rpartition('.')[2].replace('_', '-')}"
    setting = option(metavar, text, flag, show_default=False, autocompletion=offered, **more)
    setting.key = key
    return setting


_value = partial(_setting, parser=_number)

_TO = "Train a translator: from images like those of --dataset to images like these."
_FROM = "Fine-tune a trained model: a run, a checkpoint, a .safetensors file, or mnist."
_NETWORKS = "The networks: a name or FILE.py:CLASS."
_LOSSES = "The losses: non-saturating, hinge, wasserstein, ..."
_LOG = "Also log to tensorboard, trackio, wandb or mlflow."
_FILES = "Read settings from a TOML or JSON file. May be repeated."
_ANY = "Any other setting, such as -s arch.dropout=0.3. May be repeated. `gancli config show` lists the keys."

Text = str | None
Flag = bool | None
Value = Any


@dataclass(frozen=True)
class Settings:
    """What `train` and `config show` take to choose a configuration. A flag sets one key and decides nothing."""

    dataset: Annotated[Text, _setting("data.dataset", "NAME|PATH", "The images to train on.", complete.datasets)] = None
    to: Annotated[Text, _setting("data.to", "NAME|PATH", _TO, complete.datasets)] = None
    paired: Annotated[Flag, _setting("data.paired", None, "With --to: images of the same file name are pairs.")] = None
    image_size: Annotated[Value, _value("data.image_size", "N|HxW", "Resize all images to this size.")] = None
    arch: Annotated[Text, _setting("arch.name", "NAME", _NETWORKS, complete.architectures, flag="--arch")] = None
    objective: Annotated[Text, _setting("objective.name", "NAME", _LOSSES, complete.objectives, flag="--objective")] = None
    epochs: Annotated[Value, _value("train.epochs", "N", "Train for N passes over the images.")] = None
    images: Annotated[Value, _value("train.images", "N", "Train until N real images have been seen.")] = None
    minutes: Annotated[Value, _value("train.minutes", "M", "Train for M minutes.")] = None
    batch_size: Annotated[Value, _value("train.batch_size", "N", "Real images per step.")] = None
    learning_rate: Annotated[Value, _value("train.learning_rate", "X", "Learning rate of both networks.")] = None
    latent_dim: Annotated[Value, _value("model.latent_dim", "N", "Dimensions of the latent space.")] = None
    from_: Annotated[Text, _setting("model.parent", "RUN|FILE|hf:USER/NAME", _FROM, complete.runs, flag="--from")] = None
    conditional: Annotated[Flag, _setting("model.conditional", None, "Train on the labels, for `sample --class K`.")] = None
    seed: Annotated[Value, _value("train.seed", "N", "Seed of everything random.")] = None
    device: Annotated[Text, _setting("runtime.device", "auto|cpu|cuda|mps", "Device to train on.")] = None
    precision: Annotated[Text, _setting("runtime.precision", "auto|fp32|bf16", "Floating-point precision.")] = None
    deterministic: Annotated[Flag, _setting("runtime.deterministic", None, "On a GPU: deterministic algorithms only.")] = None
    log: Annotated[list[str] | None, _setting("log.to", "NAME", _LOG, complete.loggers, flag="--log")] = None
    config: Annotated[list[Path] | None, option("FILE", _FILES, "-c", "--config")] = None
    assignments: Annotated[list[str] | None, set_option(_ANY)] = None

    @property
    def flags(self) -> dict[str, object]:
        """The keys that were set by flags of their own."""
        given = [(get_args(field.type)[1], getattr(self, field.name)) for field in fields(self)]
        return {option.key: value for option, value in given if value is not None and hasattr(option, "key")}

    @property
    def _given(self) -> dict[str, Any]:
        return {"files": self.config or (), "assignments": self.assignments or (), "flags": self.flags}

    def resolve(self, runs_dir: Path = Path("runs"), *, fetch: bool = False) -> "Resolved":
        """The configuration of a new run; a parent is looked for in ``runs_dir`` first.

        What is left open is chosen for the images, which may be fetched for that if ``fetch`` says so.
        """
        from gancli.config.resolve import resolve
        from gancli.data.choice import choose
        from gancli.data.source import has_domains
        from gancli.models.parent import inherit

        suits = partial(choose, fetch=fetch)
        return resolve(**self._given, inherit=inherit(runs_dir), has_domains=has_domains, choose=suits)

    def resolve_upon(self, run: "RunDirectory") -> "Resolved":
        """The configuration of ``run`` with what was given on top."""
        from gancli.config.resolve import resolve
        from gancli.runs import refuse_missing_architecture

        given = self._given | {"files": [run.config_path, *self._given["files"]]}
        return resolve(**given, environment={}, preferences=False, made_by=refuse_missing_architecture(run))

    def changes(self, run: "RunDirectory", *, allowed: bool = False) -> dict[str, object]:
        """The keys by which :meth:`resolve_upon` differs from what is stored.

        Raises:
            ConfigError: one of them may not change, or only if that is ``allowed``.
        """
        from gancli.config.resolve import flatten, refuse_changes, refuse_other_choice

        stored = flatten(Settings().resolve_upon(run).config)
        refuse_other_choice(stored, **self._given)
        given = flatten(self.resolve_upon(run).config)
        refuse_changes(stored, given, allowed=allowed)
        return {key: value for key, value in given.items() if stored.get(key) != value}
