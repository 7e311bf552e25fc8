"""What several commands share: their options, and what makes a group of commands."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from gancli.cli import complete

if TYPE_CHECKING:
    from gancli.config.resolve import Resolved
    from gancli.runs import RunDirectory

__all__ = [
    "EVERYWHERE",
    "PLAIN",
    "Force",
    "Json",
    "RunsDir",
    "Settings",
    "expand",
    "named",
    "number",
    "set_option",
    "whole",
]

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
    """The same command with the fields of its dataclasses in its signature, each where the dataclass stood.

    Options that several commands share are written once, as a dataclass::

        @dataclass(frozen=True)
        class Where:
            runs_dir: Annotated[Path, typer.Option(help="where runs are")] = Path("runs")

        @app.command()
        @expand
        def show(name: str, where: Where) -> None: ...

    makes a command ``show NAME [--runs-dir PATH]``.
    """
    signature = inspect.signature(function, eval_str=True)
    bundles: dict[str, Any] = {p.name: p.annotation for p in signature.parameters.values() if is_dataclass(p.annotation)}

    @wraps(function)
    def command(**values: Any) -> None:  # noqa: ANN401  (Typer has checked them)
        for name, bundle in bundles.items():
            values[name] = bundle(**{field.name: values.pop(field.name) for field in fields(bundle)})
        function(**values)

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        bundle = bundles.get(parameter.name)
        if bundle is None:
            parameters.append(parameter.replace(kind=kind))
            continue
        hints = get_type_hints(bundle, include_extras=True)
        parameters += [inspect.Parameter(f.name, kind, default=f.default, annotation=hints[f.name]) for f in fields(bundle)]
    setattr(command, "__signature__", signature.replace(parameters=parameters))  # noqa: B010  (unknown to mypy)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parsed_number(text: str) -> Any:  # noqa: ANN401  (whatever was typed)
    """The number that was typed, else the text, which the configuration refuses with key, bounds and meaning."""
    try:
        return json.loads(text)
    except ValueError:
        return text


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


def whole(*flags: str, text: str) -> Any:  # noqa: ANN401  (a class of Typer's own)
    """An option that takes a whole number, and names what was typed instead."""
    return typer.Option(*flags, metavar="N", help=text, parser=_whole)


def number(*flags: str, text: str) -> Any:  # noqa: ANN401  (a class of Typer's own)
    """An option that takes a number, and names what was typed instead."""
    return typer.Option(*flags, metavar="X", help=text, parser=_real)


def named(text: str) -> str:
    """An output that was typed, or an error: an empty one is a shell variable that is not set."""
    if not text:
        raise typer.BadParameter("the name is empty.")
    return text


def set_option(purpose: str) -> OptionInfo:
    """``-s KEY=VALUE``, with what it is for here."""
    option: OptionInfo = typer.Option("-s", "--set", metavar="KEY=VALUE", help=purpose, autocompletion=complete.assignments)
    return option


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, errors included.")]
RunsDir = Annotated[Path, typer.Option("--runs-dir", metavar="DIR", help="Directory of the runs.")]
Force = Annotated[bool, typer.Option("-f", "--force", help="Replace a file that gancli did not make.")]


@dataclass(frozen=True, slots=True)
class Key:
    """The key of the configuration that a flag sets."""

    name: str


def _setting(flag: str, metavar: str, text: str) -> Any:  # noqa: ANN401  (a class of Typer's own)
    return typer.Option(flag, metavar=metavar, help=text, parser=_parsed_number)


_DATASET = typer.Option("--dataset", metavar="NAME|PATH", help="The images to train on.", autocompletion=complete.datasets)
_TO = typer.Option(
    "--to",
    metavar="NAME|PATH",
    help="Learn to translate the images of --dataset into images like these.",
    autocompletion=complete.datasets,
)
_PAIRED = typer.Option("--paired", help="With --to: files of the same name belong together.", show_default=False)
_ARCH = typer.Option(
    "--arch",
    metavar="NAME",
    help="The networks: a name or FILE.py:CLASS.",
    autocompletion=complete.architectures,
)
_OBJECTIVE = typer.Option(
    "--objective",
    metavar="NAME",
    help="The losses: non-saturating, hinge, wasserstein, ...",
    autocompletion=complete.objectives,
)
_FROM = typer.Option(
    "--from",
    metavar="RUN|FILE|hf:USER/NAME",
    help="Fine-tune a trained model: a run, a checkpoint, a .safetensors file, or mnist.",
    autocompletion=complete.runs,
)
_CONDITIONAL = typer.Option("--conditional", help="Train on the labels, for `sample --class K`.", show_default=False)
_DETERMINISTIC = typer.Option("--deterministic", help="On a GPU: deterministic algorithms only.", show_default=False)
_LOG = typer.Option(
    "--log", metavar="NAME", help="Also log to tensorboard, trackio, wandb or mlflow.", autocompletion=complete.loggers
)
_FILES = typer.Option("-c", "--config", metavar="FILE", help="Read settings from a TOML or JSON file. May be repeated.")


@dataclass(frozen=True)
class Settings:
    """What `train` and `config show` take to choose a configuration. A flag sets one key and decides nothing."""

    dataset: Annotated[str | None, Key("data.dataset"), _DATASET] = None
    to: Annotated[str | None, Key("data.to"), _TO] = None
    paired: Annotated[bool | None, Key("data.paired"), _PAIRED] = None
    image_size: Annotated[Any, Key("data.image_size"), _setting("--image-size", "N|HxW", "Resize all images to this size.")] = (
        None
    )
    arch: Annotated[str | None, Key("arch.name"), _ARCH] = None
    objective: Annotated[str | None, Key("objective.name"), _OBJECTIVE] = None
    epochs: Annotated[Any, Key("train.epochs"), _setting("--epochs", "N", "Train for N passes over the images.")] = None
    images: Annotated[Any, Key("train.images"), _setting("--images", "N", "Train until N real images have been seen.")] = None
    minutes: Annotated[Any, Key("train.minutes"), _setting("--minutes", "M", "Train for M minutes.")] = None
    batch_size: Annotated[Any, Key("train.batch_size"), _setting("--batch-size", "N", "Real images per step.")] = None
    learning_rate: Annotated[
        Any, Key("train.learning_rate"), _setting("--learning-rate", "X", "Learning rate of both networks.")
    ] = None
    latent_dim: Annotated[Any, Key("model.latent_dim"), _setting("--latent-dim", "N", "Dimensions of the latent space.")] = None
    parent: Annotated[str | None, Key("model.parent"), _FROM] = None
    conditional: Annotated[bool | None, Key("model.conditional"), _CONDITIONAL] = None
    seed: Annotated[Any, Key("train.seed"), _setting("--seed", "N", "Seed of everything random.")] = None
    device: Annotated[
        str | None,
        Key("runtime.device"),
        typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to train."),
    ] = None
    precision: Annotated[
        str | None,
        Key("runtime.precision"),
        typer.Option("--precision", metavar="auto|fp32|bf16", help="Floating-point precision."),
    ] = None
    deterministic: Annotated[bool | None, Key("runtime.deterministic"), _DETERMINISTIC] = None
    loggers: Annotated[list[str] | None, Key("log.to"), _LOG] = None
    files: Annotated[list[Path] | None, _FILES] = None
    assignments: Annotated[
        list[str] | None,
        set_option("Any other setting, such as -s arch.dropout=0.3. May be repeated. `gancli config show` lists the keys."),
    ] = None

    @property
    def flags(self) -> dict[str, object]:
        """The keys that were set by flags of their own."""
        hints = get_type_hints(Settings, include_extras=True)
        keys = {name: part.name for name, hint in hints.items() for part in get_args(hint) if isinstance(part, Key)}
        return {key: getattr(self, name) for name, key in keys.items() if getattr(self, name) is not None}

    def resolve(self, runs_dir: Path = Path("runs")) -> "Resolved":
        """The configuration of a new run; a parent is looked for in ``runs_dir`` first."""
        from gancli.config.resolve import resolve
        from gancli.data.translation import has_domains
        from gancli.models.parent import inherit

        files, assignments, parent = self.files or (), self.assignments or (), inherit(runs_dir)
        return resolve(files=files, assignments=assignments, flags=self.flags, inherit=parent, has_domains=has_domains)

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
        asked = flatten(self.resolve_upon(run).config)
        refuse_changes(stored, asked, allowed=allowed)
        return {key: value for key, value in asked.items() if stored.get(key) != value}
