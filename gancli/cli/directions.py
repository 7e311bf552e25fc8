"""``gancli directions``: what changes a generator's images most."""

from pathlib import Path
from typing import Annotated

from gancli.cli.options import Force, Source, option, output_option, whole
from gancli.cli.output import Output, free_name, refuse_existing
from gancli.errors import UsageError
from gancli.text import shell

_TARGET = output_option(
    "TARGET",
    "A sheet (.png) with a row per direction and columns from -3 to 3 standard deviations, or the vectors (.npz). "
    "By default directions.png, or the next free name.",
)
_CLASS = option("K", "Class of the images in the sheet (conditional models).", "--class")


def directions(
    output: Output,
    *,
    count: Annotated[int, whole("Number of directions.", "-n", "--count")] = 8,
    target: Annotated[str | None, _TARGET] = None,
    seed: Annotated[int, whole("Seed of the image in the middle of the sheet.")] = 0,
    class_: Annotated[str | None, _CLASS] = None,
    force: Force = False,
    source: Source,
) -> None:
    """Find the directions in latent space that change images most, by the size of their effect."""
    source.check()
    path = Path(target or free_name("directions.png"))
    if path.suffix.lower() not in {".png", ".npz"}:
        raise UsageError(f"'{path}' is neither .png nor .npz.", "Give for instance -o directions.png, or -o directions.npz.")
    if count < 1 or seed < 0:
        raise UsageError(f"-n {count} --seed {seed} is out of range.", "Give at least 1 direction, and a seed from 0.")
    refuse_existing(path, force=force, folders=True)
    with output.progress() as counter:
        model = source.load()
        from gancli.models.directions import find_directions
        from gancli.sampling.sheets import write_directions

        labels = None if class_ is None else [model.class_number(class_)]
        found = find_directions(model, count, progress=counter)
        write_directions(model, found, path, seed=seed, labels=labels)
    about = f"{count} direction{'s' if count > 1 else ''} in {found.space} ({found.method}), of {model.origin}"
    follow = shell("gancli", "interpolate", "--direction", "1", *source.repeated())
    output.note(about, *model.origin.notes, f"next    {follow}")
    strengths = [round(strength, 6) for strength in found.strengths.tolist()]
    facts = {"space": found.space, "method": found.method, "strengths": strengths, "model": str(model.origin)}
    output.result(path, {"path": str(path), **facts})
