"""``gancli directions``: what changes a generator's images most."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gancli.cli.console.counter import Counter
from gancli.cli.farewell import free_name
from gancli.cli.model_options import Source, told
from gancli.cli.options import Force, Json, expand, named, whole
from gancli.cli.output import Output, refuse_existing
from gancli.cli.signals import interrupting
from gancli.errors import UsageError

__all__ = ["directions"]

_TARGET = typer.Option(
    "-o",
    "--output",
    metavar="TARGET",
    help="A sheet (.png) with a row per direction and columns from -3 to 3 standard deviations, or the vectors (.npz). "
    "By default directions.png, or the next free name.",
    parser=named,
)
_CLASS = typer.Option("--class", metavar="K", help="The class of the images in the sheet (conditional models).")


@expand
def directions(
    context: typer.Context,
    *,
    count: Annotated[int, whole("-n", "--count", text="Number of directions.")] = 8,
    target: Annotated[str | None, _TARGET] = None,
    seed: Annotated[int, whole("--seed", text="Seed of the image in the middle of the sheet.")] = 0,
    class_: Annotated[str | None, _CLASS] = None,
    force: Force = False,
    source: Source,
    json: Json = False,
) -> None:
    """Find the directions in latent space that change images most, ordered by their effect."""
    output = Output.of(context)
    source.check()
    path = Path(target or free_name("directions.png"))
    if path.suffix.lower() not in {".png", ".npz"}:
        raise UsageError(f"'{path}' is neither .png nor .npz.", "Give for instance -o directions.png, or -o directions.npz.")
    if count < 1 or seed < 0:
        raise UsageError(f"-n {count} --seed {seed} is out of range.", "Give at least 1 direction, and a seed from 0.")
    refuse_existing(path, force=force)
    with interrupting(), Counter(sys.stderr, quiet=output.quiet) as counter:
        model = source.load()
        from gancli.models.directions import find_directions
        from gancli.sampling.sheets import write_directions

        labels = None if class_ is None else [model.class_number(class_)]
        found = find_directions(model, count, progress=counter)
        write_directions(model, found, path, seed=seed, labels=labels)
    for note in (f"{count} directions in {found.space}, of {told(model)}", *model.origin.notes):
        output.note(note)
    output.note("next    gancli interpolate --direction 1")
    if json:
        strengths = [round(strength, 6) for strength in found.strengths.tolist()]
        output.document({"path": str(path), "space": found.space, "strengths": strengths, "model": told(model)})
    else:
        output.result(str(path))
