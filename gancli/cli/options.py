"""Options that several commands share."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from gancli.cli import complete

if TYPE_CHECKING:
    from gancli.config.resolve import Resolved
    from gancli.runs import RunDirectory

__all__ = ["Json", "RunsDir", "Settings", "set_option"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, errors included.")]
RunsDir = Annotated[Path, typer.Option("--runs-dir", metavar="DIR", help="Where the runs are.")]


@dataclass(frozen=True, slots=True)
class Key:
    """The key of the configuration that a flag sets."""

    name: str


def _number(flag: str, metavar: str, text: str) -> Any:  # noqa: ANN401  (a class of Typer's own)
    return typer.Option(flag, metavar=metavar, help=text, parser=_parsed)


def _parsed(text: str) -> Any:  # noqa: ANN401  (whatever was typed)
    """The number that was typed, else the text, which the configuration refuses with the key, the bounds and the meaning."""
    try:
        return json.loads(text)
    except ValueError:
        return text


_DATASET = typer.Option("--dataset", metavar="NAME|PATH", help="The pictures to learn from.", autocompletion=complete.datasets)
_ARCH = typer.Option(
    "--arch", metavar="NAME", help="The networks: a name or FILE.py:CLASS.", autocompletion=complete.architectures
)
_CONDITIONAL = typer.Option("--conditional", help="Learn the classes, for `sample --class K`.", show_default=False)
_DEVICE = typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute.")
_PRECISION = typer.Option("--precision", metavar="auto|fp32|bf16", help="How precisely to compute.")
_DETERMINISTIC = typer.Option(
    "--deterministic", help="On a GPU: only algorithms whose result is the same every time.", show_default=False
)
_LOG = typer.Option(
    "--log", metavar="NAME", help="Also log to tensorboard, trackio, wandb or mlflow.", autocompletion=complete.loggers
)
_FILES = typer.Option("-c", "--config", metavar="FILE", help="Read settings from a TOML or JSON file. May be repeated.")


def set_option(purpose: str) -> OptionInfo:
    """``-s KEY=VALUE``, with what it is for here."""
    option: OptionInfo = typer.Option("-s", "--set", metavar="KEY=VALUE", help=purpose, autocompletion=complete.assignments)
    return option


@dataclass(frozen=True)
class Settings:
    """What `train` and `config show` take to choose a configuration. A flag sets one key and decides nothing."""

    dataset: Annotated[str | None, Key("data.dataset"), _DATASET] = None
    image_size: Annotated[Any, Key("data.image_size"), _number("--image-size", "N|HxW", "Make every picture this large.")] = (
        None
    )
    arch: Annotated[str | None, Key("arch.name"), _ARCH] = None
    epochs: Annotated[Any, Key("train.epochs"), _number("--epochs", "N", "How long, in passes over the pictures.")] = None
    images: Annotated[Any, Key("train.images"), _number("--images", "N", "How long, in pictures seen.")] = None
    minutes: Annotated[Any, Key("train.minutes"), _number("--minutes", "M", "How long, in minutes.")] = None
    batch_size: Annotated[Any, Key("train.batch_size"), _number("--batch-size", "N", "Pictures per step.")] = None
    learning_rate: Annotated[Any, Key("train.learning_rate"), _number("--learning-rate", "X", "Step size of both players.")] = (
        None
    )
    latent_dim: Annotated[Any, Key("model.latent_dim"), _number("--latent-dim", "N", "Dimensions of the latent space.")] = None
    conditional: Annotated[bool | None, Key("model.conditional"), _CONDITIONAL] = None
    seed: Annotated[Any, Key("train.seed"), _number("--seed", "N", "Seed of everything random.")] = None
    device: Annotated[str | None, Key("runtime.device"), _DEVICE] = None
    precision: Annotated[str | None, Key("runtime.precision"), _PRECISION] = None
    deterministic: Annotated[bool | None, Key("runtime.deterministic"), _DETERMINISTIC] = None
    loggers: Annotated[list[str] | None, Key("log.to"), _LOG] = None
    files: Annotated[list[Path] | None, _FILES] = None
    assignments: Annotated[
        list[str] | None,
        set_option("Set anything else, such as -s arch.dropout=0.3. May be repeated. `gancli config show` lists the keys."),
    ] = None

    @property
    def flags(self) -> dict[str, object]:
        """The keys that were set by flags of their own."""
        hints = get_type_hints(Settings, include_extras=True)
        keys = {name: part.name for name, hint in hints.items() for part in get_args(hint) if isinstance(part, Key)}
        return {key: getattr(self, name) for name, key in keys.items() if getattr(self, name) is not None}

    def resolve(self) -> "Resolved":
        """The configuration of a new run."""
        from gancli.config.resolve import resolve

        return resolve(files=self.files or (), assignments=self.assignments or (), flags=self.flags)

    def resolve_upon(self, run: "RunDirectory") -> "Resolved":
        """The configuration of ``run`` with what was given on top."""
        from gancli.config.resolve import resolve

        files = [run.config_path, *(self.files or ())]
        return resolve(files=files, assignments=self.assignments or (), flags=self.flags, environment={})

    def changes(self, run: "RunDirectory") -> dict[str, object]:
        """The keys by which :meth:`resolve_upon` differs from what is stored."""
        from gancli.config.resolve import flatten, refuse_other_choice

        stored = flatten(Settings().resolve_upon(run).config)
        refuse_other_choice(stored, files=self.files or (), assignments=self.assignments or (), flags=self.flags)
        asked = flatten(self.resolve_upon(run).config)
        return {key: value for key, value in asked.items() if stored.get(key) != value}
