"""``gancli project``: images found in a generator's latent space; ``gancli directions``: what changes its images most."""

from pathlib import Path
from typing import Annotated

from gancli.cli.options import Force, Source, argument, option, output_option, whole
from gancli.cli.output import Output, free_name, refuse_existing
from gancli.errors import UsageError
from gancli.text import shell

MOST_IMAGES, MOST_STEPS = 1_000, 100_000

_IMAGES = argument("IMAGE...", "The images to find, in any format that `train` reads.", show_default=False)
_LATENTS = output_option("FILE.npz", "The latents. Beside them a sheet (.png) shows original, reconstruction and difference.")
_SHEET = output_option(
    "TARGET",
    "A sheet (.png) with a row per direction and columns from -3 to 3 standard deviations, or the vectors (.npz). "
    "By default directions.png, or the next free name.",
)
_CLASS = option("K", "Class of the images in the sheet (conditional models).", "--class")


def project(
    output: Output,
    images: Annotated[list[Path], _IMAGES],
    *,
    target: Annotated[str, _LATENTS] = "latents.npz",
    steps: Annotated[int, whole("Optimisation steps per image.")] = 200,
    seed: Annotated[int, whole("First seed of the candidates that the search starts from.")] = 0,
    force: Force = False,
    source: Source,
) -> None:
    """Find images in a generator's latent space: the latents whose images are closest to them."""
    source.check()
    path = refuse_target(target, force=force)
    if not 1 <= steps <= MOST_STEPS or not 1 <= len(images) <= MOST_IMAGES:
        most = f"Give 1 to {MOST_IMAGES:,} and 1 to {MOST_STEPS:,}."
        raise UsageError(f"{len(images)} images in {steps} steps are out of range.", most)
    with output.progress() as counter:
        model = source.load()
        from gancli.data.decoding import load_files
        from gancli_evaluate.projection import project as find
        from gancli_evaluate.sheets import write_projection

        model.refuse_translator()
        originals = load_files(images, model.image, model.origin.provenance.config)
        found = find(model, originals, steps=steps, seed=seed, progress=counter)
        sheet = write_projection(model, originals, found, path)
    errors = [round(error, 6) for error in found.error.tolist()]
    labels = None if found.labels is None else found.labels.tolist()
    for number, (image, error) in enumerate(zip(images, errors, strict=True)):
        as_class = "" if labels is None else f", as class {model.class_names[labels[number]]}"
        output.note(f"{image}: mean squared error {error:.4f}{as_class}")
    output.note(f"found with {model.origin}", *model.origin.notes, f"look    {sheet}")
    if len(images) > 1:
        output.note(f"next    {shell('gancli', 'interpolate', '--latents', path, *source.repeated())}")
    facts = {"images": [str(image) for image in images], "errors": errors, "classes": labels, "steps": steps}
    output.result(path, {"path": str(path), "sheet": str(sheet), **facts, "model": str(model.origin)})


def refuse_target(target: str | Path, *, force: bool) -> Path:
    """The path for the latents; refused if it is no .npz, or if it or the sheet beside it would replace something."""
    path = Path(target)
    if path.suffix.lower() != ".npz":
        raise UsageError(f"'{target}' is not an .npz file.", "Name it for instance latents.npz.")
    for written in (path, path.with_suffix(".png")):
        refuse_existing(written, force=force, folders=True)
    return path


def directions(
    output: Output,
    *,
    count: Annotated[int, whole("Number of directions.", "-n", "--count")] = 8,
    target: Annotated[str | None, _SHEET] = None,
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
        from gancli_evaluate.sheets import write_directions

        labels = None if class_ is None else [model.class_number(class_)]
        found = find_directions(model, count, progress=counter)
        write_directions(model, found, path, seed=seed, labels=labels)
    about = f"{count} direction{'s' if count > 1 else ''} in {found.space} ({found.method}), of {model.origin}"
    follow = shell("gancli", "interpolate", "--direction", "1", *source.repeated())
    output.note(about, *model.origin.notes, f"next    {follow}")
    strengths = [round(strength, 6) for strength in found.strengths.tolist()]
    facts = {"space": found.space, "method": found.method, "strengths": strengths, "model": str(model.origin)}
    output.result(path, {"path": str(path), **facts})
