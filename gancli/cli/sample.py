"""``gancli sample``: new pictures from a trained generator."""

import sys

import typer

from gancli.cli.console.counter import Counter
from gancli.cli.drawing import Pictures, Target
from gancli.cli.expand import expand
from gancli.cli.options import Json
from gancli.cli.output import Output
from gancli.cli.signals import interrupting
from gancli.cli.sources import Source, told

__all__ = ["sample"]


@expand
def sample(context: typer.Context, *, pictures: Pictures, where: Target, source: Source, json: Json = False) -> None:
    """Draw new pictures with a trained generator. The same seed gives the same picture, always."""
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
    if labels and len(set(labels)) == 1:
        output.note(f"class {model.class_names[labels[0]]}")
    for note in (f"drawn by {told(model)}", *model.origin.notes):
        output.note(note)
    if json:
        output.document({"path": written.path, "images": written.images, "seeds": written.seeds, "model": told(model)})
    elif target != "-":
        output.result(written.path)
