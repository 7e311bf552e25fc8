"""``gancli sample``: new images from a trained generator."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gancli.cli.console.counter import Counter
from gancli.cli.farewell import free_name
from gancli.cli.model_options import Source, told
from gancli.cli.options import Force, Json, expand, named, number, whole
from gancli.cli.output import Output, refuse_existing
from gancli.cli.signals import interrupting
from gancli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from gancli.images import Images
    from gancli.models.sampler import Sampler
    from gancli.sampling.sample import Recipe

__all__ = ["Pictures", "Target", "Truncation", "class_number", "sample"]

DEFAULT_COUNT = 64

_SEEDS = typer.Option("--seeds", metavar="LIST", help="The seed of each image, such as 0-63,99.")
_CLASS = typer.Option("--class", metavar="K", help="The class of all images, by number or name (conditional models).")
_LIKE = typer.Option("--like", metavar="IMAGE.png", help="Generate this image, made by gancli, again.")
_TARGET = typer.Option(
    "-o",
    "--output",
    metavar="TARGET",
    help="A grid (.png), a folder (folder/), an array archive (.npz), or - for a PNG on stdout. "
    "By default grid.png, or the next free name.",
    parser=named,
)
Truncation = Annotated[
    float | None,
    number("--truncation", text="Truncate latents at X: 2 is weak, 0.5 gives typical images only."),
]


@dataclass(frozen=True)
class Pictures:
    """The options that say which images."""

    count: Annotated[int | None, whole("-n", "--count", text=f"Number of images; {DEFAULT_COUNT} by default.")] = None
    seed: Annotated[int | None, whole("--seed", text="Seed of the first, 0 by default; the others count up.")] = None
    seeds: Annotated[str | None, _SEEDS] = None
    class_: Annotated[str | None, _CLASS] = None
    truncation: Truncation = None
    like: Annotated[Path | None, _LIKE] = None

    def recipe(self) -> "Recipe | None":
        """How the image that is to be generated again was made."""
        if self.like is None:
            return None
        from gancli.sampling.sample import like

        return like(self.like)

    def seed_list(self, recipe: "Recipe | None") -> Sequence[int]:
        """One seed per image.

        Raises:
            UsageError: the options exclude each other, or ask for too few, too many or impossible ones.
        """
        from gancli.randomness.latents import MAX_SEED
        from gancli.sampling.sample import MAX_IMAGES, parse_seeds

        if self.seeds is not None:
            if self.count is not None or self.seed is not None:
                raise UsageError(f"--seeds {self.seeds} excludes -n and --seed.", "The list says how many, and which.")
            return parse_seeds(self.seeds)
        if recipe is not None and self.count is None and self.seed is None:
            return recipe.seeds
        count = DEFAULT_COUNT if self.count is None else self.count
        if not 1 <= count <= MAX_IMAGES:
            raise UsageError(f"-n {count} is out of range.", f"Choose 1 to {MAX_IMAGES:,} images.")
        seed = self.seed or 0
        last = MAX_SEED - count + 1
        if not 0 <= seed <= last:
            raise UsageError(f"--seed {seed} is out of range.", f"Choose 0 to {last}.")
        return range(seed, seed + count)

    def labels(self, model: "Sampler[Images]", count: int, recipe: "Recipe | None") -> list[int] | None:
        """The class of each image; None leaves it to the model."""
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
        raise UsageError(f"--class {text}: this model is not conditional.", "Train one with --conditional.")
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    near = "" if text.lstrip("-").isdecimal() else f" {did_you_mean(text, names)}"  # no typo, but too large
    raise UsageError(f"--class {text}: there is no such class.", f"Give 0 to {len(names) - 1}.{near}")


@dataclass(frozen=True)
class Target:
    """The options that say where to."""

    target: Annotated[str | None, _TARGET] = None
    columns: Annotated[int | None, whole("--columns", text="Images per row of a grid.")] = None
    no_metadata: Annotated[bool, typer.Option("--no-metadata", help="Do not store how the images were made.")] = False
    force: Force = False

    def check(self, *, as_json: bool) -> str:
        """The target, if it can be one.

        Raises:
            UsageError: it cannot.
            StorageError: a file that gancli did not make is there, or its folder is missing.
        """
        target = self.target or free_name("grid.png")
        if target == "-" and as_json:
            raise UsageError("-o - and --json both write to stdout.", "Leave one of them out.")
        if target == "-" and sys.stdout.isatty():
            raise UsageError("-o - would write a PNG to the terminal.", "Redirect it (> grid.png), or name a file.")
        if self.columns is not None and self.columns < 1:
            raise UsageError(f"--columns {self.columns} is out of range.", "Give at least 1.")
        if target != "-":
            refuse_existing(target, force=self.force)
        return target


@expand
def sample(context: typer.Context, *, pictures: Pictures, where: Target, source: Source, json: Json = False) -> None:
    """Generate new images with a trained generator. The same seed always gives the same image."""
    output = Output.of(context)
    source.check()
    target = where.check(as_json=json)
    recipe = pictures.recipe()
    seeds = pictures.seed_list(recipe)
    truncation = pictures.threshold(recipe)
    with interrupting(), Counter(sys.stderr, quiet=output.quiet) as counter:
        model = source.sampler(recipe)
        from gancli.sampling.sample import Request, write

        labels = pictures.labels(model, len(seeds), recipe)
        columns = where.columns or (recipe.columns if recipe else None)
        request = Request(seeds, target, labels, columns, not where.no_metadata, truncation)
        written = write(model, request, counter)
    drawn_by = f"generated by {told(model)}"
    if pictures.class_ is not None and labels:
        drawn_by += f", class {labels[0]} ({model.class_names[labels[0]]})"
    for note in (drawn_by, *model.origin.notes):
        output.note(note)
    if json:
        output.document({"path": written.path, "images": written.images, "seeds": written.seeds, "model": told(model)})
    elif target != "-":
        output.result(written.path)
