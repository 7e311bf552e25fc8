"""``gancli translate``: images translated by a model that was trained to."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gancli.cli.console.counter import Counter
from gancli.cli.farewell import free_name
from gancli.cli.model_options import Source, told
from gancli.cli.options import Force, Json, expand, named
from gancli.cli.output import Output, refuse_existing
from gancli.cli.signals import interrupting

__all__ = ["translate"]

_IMAGES = typer.Argument(metavar="IMAGE", help="Images to translate, of any size, or folders of them.", show_default=False)
_TARGET = typer.Option(
    "-o",
    "--output",
    metavar="FILE.png|FOLDER/",
    help="A PNG, or a folder (folder/), where names are kept. By default translated.png, or translated/.",
    parser=named,
)
_BACK = typer.Option("--back", help="Translate the other way, with a model that learnt both (cyclegan).")


@dataclass(frozen=True)
class Into:
    """The options that say where to."""

    output: Annotated[str | None, _TARGET] = None
    no_metadata: Annotated[bool, typer.Option("--no-metadata", help="Do not store how the images were made.")] = False
    force: Force = False

    def target(self, paths: list[Path]) -> str:
        """The file or folder that was named, else the next free name."""
        if self.output is not None:
            return self.output
        one_file = len(paths) == 1 and not paths[0].is_dir()
        return free_name("translated.png") if one_file else f"{free_name('translated')}/"


@expand
def translate(
    context: typer.Context,
    paths: Annotated[list[Path], _IMAGES],
    *,
    into: Into,
    back: Annotated[bool, _BACK] = False,
    source: Source,
    json: Json = False,
) -> None:
    """Translate images with a model that was trained with --to, such as horses into zebras."""
    output = Output.of(context)
    source.check()
    from gancli.sampling import translation

    target = into.target(paths)
    todo = translation.jobs(paths, target)
    for job in todo:
        if job.target.parent.is_dir() or not target.endswith(("/", "\\")):
            refuse_existing(job.target, force=into.force)
    with interrupting(), Counter(sys.stderr, quiet=output.quiet) as counter:
        model = source.sampler(back=back)
        written = translation.translate(model, todo, metadata=not into.no_metadata, progress=counter)
    for name, flaw in written.skipped:
        output.note(f"skipped {name}: {flaw}")
    for note in (f"{written.images:,} of {len(todo):,} translated by {told(model)}", *model.origin.notes):
        output.note(note)
    if json:
        skipped = [{"name": name, "reason": flaw} for name, flaw in written.skipped]
        output.document({"path": target, "images": written.images, "skipped": skipped, "model": told(model)})
    else:
        output.result(target)
