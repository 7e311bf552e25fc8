"""Which pictures to draw: seeds, classes, and where they go."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli.farewell import free_name
from gancli.errors import StorageError, UsageError, did_you_mean

if TYPE_CHECKING:
    from gancli.images import Images
    from gancli.models.sampler import Sampler
    from gancli.sampling.sample import Recipe

__all__ = ["Pictures", "Target", "Truncation", "class_number", "named", "refuse_existing", "whole"]

DEFAULT_COUNT = 64


def whole(*flags: str, text: str) -> Any:  # noqa: ANN401  (a class of Typer's own)
    """An option that takes a whole number."""
    return typer.Option(*flags, metavar="N", help=text, parser=_parsed)


def _parsed(text: str) -> int:
    """A whole number, or an error that names what was typed."""
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a whole number.") from None


def _real(text: str) -> float:
    """A number, or an error that names what was typed."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a number.") from None


def named(text: str) -> str:
    """A target that was typed, or an error: an empty one is a shell variable that is not set."""
    if not text:
        raise typer.BadParameter("the name is empty.")
    return text


_SEEDS = typer.Option("--seeds", metavar="LIST", help="The seed of each picture, such as 0-63,99.")
_CLASS = typer.Option("--class", metavar="K", help="The class of all pictures, by number or name (conditional models).")
_TRUNCATION = typer.Option(
    "--truncation", metavar="X", help="Latents of at most X: 2 is weak, 0.5 gives typical pictures only.", parser=_real
)
Truncation = Annotated[float | None, _TRUNCATION]
_LIKE = typer.Option("--like", metavar="PICTURE.png", help="Draw this picture, made by gancli, again.")
_TARGET = typer.Option(
    "-o",
    "--output",
    metavar="TARGET",
    help="A grid (.png), a folder (folder/), an archive of arrays (.npz), or - for a PNG on stdout. "
    "By default grid.png, or the next free name.",
    parser=named,
)


@dataclass(frozen=True)
class Pictures:
    """The options that say which pictures."""

    count: Annotated[int | None, whole("-n", "--count", text=f"How many; {DEFAULT_COUNT} by default.")] = None
    seed: Annotated[int | None, whole("--seed", text="Seed of the first, 0 by default; the others count on.")] = None
    seeds: Annotated[str | None, _SEEDS] = None
    class_: Annotated[str | None, _CLASS] = None
    truncation: Truncation = None
    like: Annotated[Path | None, _LIKE] = None

    def recipe(self) -> "Recipe | None":
        """How the picture that is to be drawn again was made."""
        if self.like is None:
            return None
        from gancli.sampling.sample import like

        return like(self.like)

    def seed_list(self, recipe: "Recipe | None") -> Sequence[int]:
        """One seed per picture.

        Raises:
            UsageError: the options exclude each other, or ask for too few, too many or impossible ones.
        """
        if self.seeds is not None:
            return self._listed(self.seeds)
        if recipe is not None and self.count is None and self.seed is None:
            return recipe.seeds
        return self._counted()

    def _listed(self, seeds: str) -> list[int]:
        from gancli.sampling.sample import parse_seeds

        if self.count is not None or self.seed is not None:
            raise UsageError(f"--seeds {seeds} excludes -n and --seed.", "The list says how many, and which.")
        return parse_seeds(seeds)

    def _counted(self) -> range:
        from gancli.randomness.latents import MAX_SEED
        from gancli.sampling.sample import MAX_IMAGES

        count = DEFAULT_COUNT if self.count is None else self.count
        if not 1 <= count <= MAX_IMAGES:
            raise UsageError(f"-n {count} pictures cannot be drawn.", f"Ask for 1 to {MAX_IMAGES:,}.")
        seed = self.seed or 0
        last = MAX_SEED - count + 1
        if not 0 <= seed <= last:
            raise UsageError(f"--seed {seed} is out of range.", f"Choose 0 to {last}.")
        return range(seed, seed + count)

    def labels(self, model: "Sampler[Images]", count: int, recipe: "Recipe | None") -> list[int] | None:
        """The class of each picture; None leaves it to the model."""
        if self.class_ is not None:
            return [class_number(self.class_, model)] * count
        same_number = recipe is not None and recipe.labels is not None and len(recipe.labels) == count
        return recipe.labels if recipe is not None and same_number else None

    def threshold(self, recipe: "Recipe | None") -> float | None:
        """Where latents are truncated.

        Raises:
            UsageError: they cannot be truncated there.
        """
        from gancli.models.sampler import check_truncation

        check_truncation(self.truncation)
        return recipe.truncation if self.truncation is None and recipe is not None else self.truncation


def class_number(text: str, model: "Sampler[Images]") -> int:
    """The number of a class that was given by name or by number.

    Raises:
        UsageError: the model has no such class.
    """
    names = model.class_names
    if not model.image.classes:
        raise UsageError(f"--class {text}: this model knows no classes.", "Train one with --conditional.")
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    near = "" if text.lstrip("-").isdecimal() else f" {did_you_mean(text, names)}"  # a number too large is no slip of the pen
    raise UsageError(f"--class {text}: there is no such class.", f"Give 0 to {len(names) - 1}.{near}")


@dataclass(frozen=True)
class Target:
    """The options that say where to."""

    target: Annotated[str | None, _TARGET] = None
    columns: Annotated[int | None, whole("--columns", text="Pictures per row of a grid.")] = None
    no_metadata: Annotated[bool, typer.Option("--no-metadata", help="Do not write into pictures how they were made.")] = False
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False

    def check(self, *, as_json: bool) -> str:
        """The target, if it can be one.

        Raises:
            UsageError: it cannot.
            StorageError: there is such a file already.
        """
        target = self.target or free_name("grid.png")
        if target == "-" and as_json:
            raise UsageError("-o - and --json both want stdout.", "Leave one of them out.")
        if target == "-" and sys.stdout.isatty():
            raise UsageError("-o - would write a PNG to the terminal.", "Redirect it (> grid.png), or name a file.")
        if self.columns is not None and self.columns < 1:
            raise UsageError(f"--columns {self.columns} is no width of a grid.", "Give at least 1.")
        refuse_existing(target, force=self.force)
        return target


def refuse_existing(target: str | Path, *, force: bool, folders: bool = False) -> None:
    """Replace no file unless that is wanted, nor a link to what is not there now.

    Args:
        target: what is to be written.
        force: whether it may be replaced.
        folders: whether a folder counts too, instead of being what to write into.

    Raises:
        StorageError: there is such a file already.
    """
    there = os.path.lexists(target) and (folders or not Path(target).is_dir())
    if there and not force:
        raise StorageError(f"'{target}' is already there.", "Choose another name, or replace it with --force.")
