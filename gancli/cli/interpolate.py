"""``gancli interpolate``: a walk through a generator's latent space."""

import sys

import typer

from gancli.cli.console.counter import Counter
from gancli.cli.expand import expand
from gancli.cli.options import Json
from gancli.cli.output import Output
from gancli.cli.signals import interrupting
from gancli.cli.sources import Source, told
from gancli.cli.walking import Route, Screen

__all__ = ["interpolate"]

CROSS_FADED = "Between classes the pictures are cross-faded: this generator does not only look labels up in an embedding."


@expand
def interpolate(context: typer.Context, *, route: Route, screen: Screen, source: Source, json: Json = False) -> None:
    """Make a film of a walk through latent space. It changes from picture to picture in equal steps."""
    output = Output.of(context)
    source.check()
    route.check()
    request = screen.request(route.columns)
    with interrupting(), Counter(sys.stderr, quiet=output.quiet) as counter:
        model = source.load()
        from gancli.models.frames import Tour
        from gancli.sampling.animation import write
        from gancli.sampling.sample import format_seeds

        walk = route.walk(model)
        tour = Tour(model, walk)
        written = write(tour, request, counter)
    seconds = float(walk.frames / request.fps)
    seeds = format_seeds(walk.seeds)
    size = f"{written.width}x{written.height}"
    shown = f"of {size}, {seconds:.4g} s" if request.format else f"in {size}" if not request.is_folder else f"of {size}"
    output.note(f"{written.frames:,} frames {shown}; keyframes: seeds {seeds}")
    for note in (f"drawn by {told(model)}", *model.origin.notes, *([CROSS_FADED] if tour.blend == "pixels" else [])):
        output.note(note)
    if not json:
        output.result(written.path)
        return
    output.document(
        {
            "path": written.path,
            "frames": written.frames,
            "width": written.width,
            "height": written.height,
            "scale": written.scale,
            "fps": float(request.fps),
            "seconds": seconds,
            "loop": walk.loop,
            "method": walk.method,
            "seeds": seeds,
            "classes": walk.labels,
            "between_classes": tour.blend,
            "truncation": walk.truncation,
            "model": told(model),
        }
    )
