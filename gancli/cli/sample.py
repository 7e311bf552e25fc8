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
from gancli.errors import UsageError

if TYPE_CHECKING:
    from gancli.images import Images
    from gancli.models.sampler import Sampler
    from gancli.sampling.sample import Recipe

__all__ = ["FOREIGN", "Pictures", "Target", "Truncation", "sample"]

DEFAULT_COUNT, STYLE_ROWS = 64, 4
FOREIGN = "These latents were found with other weights than those of this model."

_SEEDS = typer.Option("--seeds", metavar="LIST", help="The seed of each image, such as 0-63,99.")
_CLASS = typer.Option("--class", metavar="K", help="The class of all images, by number or name (conditional models).")
_LIKE = typer.Option("--like", metavar="IMAGE.png", help="Generate this image, made by gancli, again.")
_LATENTS = typer.Option("--latents", metavar="FILE.npz", help="Images of the latents in this file; see `gancli project`.")
_STYLE_SEEDS = typer.Option(
    "--style-seeds",
    metavar="LIST",
    help="Mix styles: a row per seed, which gives the coarse layers, and a column per style seed, which gives the fine ones.",
)
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
    number("--truncation", text="Truncation, 0.05 to 1: less gives more typical images, 1 changes nothing."),
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
    latents: Annotated[Path | None, _LATENTS] = None
    style_seeds: Annotated[str | None, _STYLE_SEEDS] = None
    style_from: Annotated[
        int | None, whole("--style-from", text="With --style-seeds: the first of the fine layers; by default half of them are.")
    ] = None

    def check(self) -> None:
        """Refuse what can be refused before torch is loaded.

        Raises:
            UsageError: two options exclude each other.
        """
        given = {
            "--latents": self.latents,
            "--like": self.like,
            "--style-seeds": self.style_seeds,
            "--seeds": self.seeds,
            "--seed": self.seed,
            "-n": self.count,
        }
        named = [flag for flag, value in given.items() if value is not None]
        if self.latents is not None and len(named) > 1:
            raise UsageError(f"--latents {self.latents} excludes {named[1]}.", "The file says how many images, and which.")
        if self.style_seeds is not None and self.like is not None:
            raise UsageError(f"--style-seeds {self.style_seeds} excludes --like.", "Leave one of them out.")
        if self.style_from is not None and self.style_seeds is None:
            raise UsageError(f"--style-from {self.style_from} needs styles to mix.", "Add --style-seeds, such as 100-103.")

    def placed(self, model: "Sampler[Images]", recipe: "Recipe | None") -> "Placed":
        """The model and the seeds of the images; where these are not made of seeds alone, what they are made of.

        Raises:
            UsageError: the model has no such latents or styles.
        """
        from gancli.sampling.sample import parse_seeds

        if self.latents is None and self.style_seeds is None:
            return Placed(model, self.seed_list(recipe))
        from gancli.models.latents import ModelAtLatents, read_latents, style_mixing
        from gancli.models.model import Model

        if not isinstance(model, Model):
            raise UsageError("An .onnx file takes seeds only.", "Give a run, a checkpoint or a .safetensors file.")
        instead: dict[str, object]
        if self.latents is not None:
            latents, instead, columns = read_latents(self.latents, model), {"latents": self.latents.name}, None
        else:
            seeds = self.seed_list(recipe) if self.seeds or self.count or self.seed else range(STYLE_ROWS)
            styles = parse_seeds(self.style_seeds or "")
            labels = None if self.class_ is None else [model.class_number(self.class_)] * len(seeds)
            latents = style_mixing(model, seeds, styles, self.style_from, labels=labels, truncation=self.threshold(recipe))
            instead = {"coarse_seeds": list(seeds), "style_seeds": styles, "style_from": self.style_from}
            columns = len(styles)
        found = ModelAtLatents(model, latents)
        return Placed(found, range(len(latents.points)), instead, columns, latents.digest not in {"", model.origin.digest})

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
            return [model.class_number(self.class_)] * count
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


@dataclass(frozen=True)
class Placed:
    """A model, the seeds of its images, and what they are made of if not of seeds alone.

    Attributes:
        model: what generates.
        seeds: one per image; rows of a file of latents.
        instead: what the images say in place of the seeds.
        columns: of the grid, if it has a meaning.
        foreign: whether the latents were found for other weights.
    """

    model: "Sampler[Images]"
    seeds: Sequence[int]
    instead: dict[str, object] | None = None
    columns: int | None = None
    foreign: bool = False


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
    pictures.check()
    target = where.check(as_json=json)
    recipe = pictures.recipe()
    truncation = pictures.threshold(recipe)
    if pictures.latents is None and pictures.style_seeds is None:
        pictures.seed_list(recipe)
    with interrupting(), Counter(sys.stderr, quiet=output.quiet) as counter:
        placed = pictures.placed(source.sampler(recipe), recipe)
        from gancli.sampling.sample import Request, write

        model, seeds = placed.model, placed.seeds
        labels = pictures.labels(model, len(seeds), recipe)
        columns = where.columns or placed.columns or (recipe.columns if recipe else None)
        if placed.instead and pictures.style_seeds is not None:
            truncation = None  # the latents are truncated already
        request = Request(seeds, target, labels, columns, not where.no_metadata, truncation, placed.instead)
        written = write(model, request, counter)
    drawn_by = f"generated by {told(model)}"
    if pictures.class_ is not None and labels:
        drawn_by += f", class {labels[0]} ({model.class_names[labels[0]]})"
    for note in (drawn_by, *model.origin.notes, *([FOREIGN] if placed.foreign else [])):
        output.note(note)
    if json:
        made_from = placed.instead or {"seeds": written.seeds}
        output.document({"path": written.path, "images": written.images, **made_from, "model": told(model)})
    elif target != "-":
        output.result(written.path)
