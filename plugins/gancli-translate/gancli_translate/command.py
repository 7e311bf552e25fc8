"""``gancli translate``: images translated by a model that was trained to."""

from pathlib import Path
from typing import Annotated

from gancli.cli.options import Force, NoMetadata, Source, argument, option, output_option
from gancli.cli.output import Output, free_name, refuse_existing

_IMAGES = argument("IMAGE", "Images to translate, of any size, or folders of them.", show_default=False)
_TARGET = output_option(
    "FILE.png|FOLDER/",
    "A PNG, or a folder (folder/) of PNGs under the names of the images. By default translated.png, or translated/.",
)
_BACK = option(None, "Translate back, with a model that was trained in both directions (cyclegan).", "--back")


def translate(
    output: Output,
    paths: Annotated[list[Path], _IMAGES],
    *,
    target: Annotated[str | None, _TARGET] = None,
    no_metadata: NoMetadata = False,
    force: Force = False,
    back: Annotated[bool, _BACK] = False,
    source: Source,
) -> None:
    """Translate images with a model that was trained with --to, such as horses into zebras."""
    source.check()
    from gancli_translate import files

    if target is None:
        one_file = len(paths) == 1 and not paths[0].is_dir()
        target = free_name("translated.png") if one_file else f"{free_name('translated')}/"
    todo = files.jobs(paths, target)
    for job in todo:
        if job.target.parent.is_dir() or not target.endswith(("/", "\\")):
            refuse_existing(job.target, force=force)
    with output.progress() as counter:
        model = source.sampler(back=back)
        skipped = files.translate(model, todo, metadata=not no_metadata, progress=counter)
    count = f"{len(todo) - len(skipped):,} of {len(todo):,} translated by {model.origin}"
    output.note(*(f"skipped {name}: {flaw}" for name, flaw in skipped), count, *model.origin.notes)
    listed = [{"name": name, "reason": flaw} for name, flaw in skipped]
    facts = {"path": target, "images": len(todo) - len(skipped), "skipped": listed, "model": str(model.origin)}
    output.result(target, facts)
