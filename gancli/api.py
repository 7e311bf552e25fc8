"""gancli from Python and in notebooks: the commands as functions, with the command line's names and messages.

run = gancli.train(dataset="mnist", epochs=2, learning_rate=1e-3, **{"arch.dropout": 0.3})
run.model.grid(64)                       # an image; see gancli.Model
gancli.resume(run, epochs=30)
gancli.evaluate(run)
gancli.project("my-photos/a/0.png", run, output="latents.npz")
gancli.interpolate("walk.gif", run)
gancli.export("demo.html", run)
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from html import escape
from inspect import signature
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, Unpack

import numpy as np
from PIL import Image

from gancli.cli.console import Console, console_for
from gancli.cli.export import ExportOptions, run_export
from gancli.cli.interpolate import InterpolateOptions
from gancli.cli.options import Settings as Flags
from gancli.cli.options import Source
from gancli.cli.output import Output
from gancli.cli.signals import Interrupted
from gancli.cli.train import refuse_early, run_training
from gancli.config.schema import plain
from gancli.errors import UsageError, did_you_mean
from gancli.models.loading import load
from gancli.models.model import Model
from gancli.plugins.registry import part
from gancli.runs import find_run
from gancli.text import distance, duration, html_image
from gancli.training.metrics import draw_losses, rows_with_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gancli.events import Event, RunEnded
    from gancli.exporting.formats import Exported
    from gancli.models.model import ImageInputs


class Settings(TypedDict, total=False):
    """The settings that have a flag of their own, see `gancli train --help`; ``from_`` is ``--from``, ``config`` is ``-c``.

    Every other setting goes by its dotted key, as with ``-s``: ``**{"arch.dropout": 0.3}``. `gancli config show` lists them.
    """

    dataset: str | Path
    to: str | Path
    paired: bool
    image_size: int | str
    arch: str
    objective: str
    epochs: int
    images: int
    minutes: float
    batch_size: int
    learning_rate: float
    latent_dim: int
    from_: str | Path
    conditional: bool
    seed: int
    device: str
    precision: str
    deterministic: bool
    log: str | Sequence[str]
    config: str | Path | Sequence[str | Path]


class From(TypedDict, total=False):
    """Which checkpoint is taken, see `gancli sample --help`."""

    checkpoint: str | Path
    weights: Literal["ema", "raw"]
    device: str
    arch: str
    runs_dir: str | Path


class Best(NamedTuple):
    """The best checkpoint of a run: its step, the metric it was chosen by, and the value of that."""

    step: int
    metric: str
    value: float


class Run:
    """A run: its directory, read when it is asked for, and the model in it.

    >>> import gancli, tempfile
    >>> small = {"arch.generator_widths": [8], "arch.discriminator_widths": [8], "log.quality_every_images": 0}
    >>> where = tempfile.mkdtemp()
    >>> gancli.train(dataset="mnist", images=64, batch_size=64, runs_dir=where, name="a-run", quiet=True, **small)
    <gancli.Run a-run: done, 1 step, 64 images>
    >>> run = gancli.Run(runs_dir=where)
    >>> run.model.grid(4).size, run.plot().size, [row["kind"] for row in run.metrics]
    ((62, 62), (800, 600), ['epoch'])

    Args:
        run: name or path; by default the last run.
        runs_dir: where runs are looked for by name.
        warning: why its images are not usable yet, as reported when training ended; empty if they are.

    Attributes:
        path: its directory.
        warning: as above.

    Raises:
        RunError: there is no such run.
    """

    path: Path
    warning: str

    def __init__(self, run: str | Path | None = None, *, runs_dir: str | Path = "runs", warning: str = "") -> None:
        self._directory = find_run(None if run is None else str(run), Path(runs_dir))
        self.path = self._directory.path
        self.warning = warning

    @property
    def model(self) -> Model:
        """The generator of the checkpoint that is the best now; :func:`gancli.load` loads others."""
        return load(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Rows of ``metrics.jsonl``, each with its seconds of training: ``pandas.DataFrame(run.metrics)``."""
        return rows_with_seconds(self._directory)

    @property
    def best(self) -> Best | None:
        """The best checkpoint so far; None if no distance was measured."""
        stored = self._directory.info().get("best")
        return Best(stored["step"], stored["figure"], stored["value"]) if stored else None

    @property
    def previews(self) -> list[Path]:
        """Images of the same latents over the training, oldest first."""
        return self._directory.previews()

    def plot(self) -> Image.Image:
        """Losses, scores and the distance to the data over the epochs."""
        return Image.open(BytesIO(draw_losses(self.metrics)))

    def __repr__(self) -> str:
        info, best = self._directory.info(), self.best
        step, seen = info.get("step") or 0, info.get("images_seen") or 0
        steps = f"{step:,} step{'' if step == 1 else 's'}"
        measured = f", {best.metric} {distance(best.value)} at step {best.step:,}" if best else ""
        return f"<gancli.Run {self.path.name}: {info.get('status')}, {steps}, {seen:,} images{measured}>"

    def _repr_html_(self) -> str:
        """What it is, the newest preview and the curves."""
        spent = duration(float(self._directory.info().get("elapsed_seconds") or 0))
        shown = f"<p><code>{escape(repr(self))}</code> in {spent}, <code>{escape(str(self.path))}</code></p>"
        if self.warning:
            shown += f"<p><b>{escape(self.warning)}</b></p>"
        for preview in self.previews[-1:]:
            shown += html_image(preview.read_bytes(), f"step {int(preview.stem):,}")
        return shown + html_image(draw_losses(self.metrics), "losses")


def train(
    *,
    name: str | None = None,
    runs_dir: str | Path = "runs",
    quiet: bool = False,
    observe: Callable[[Event], None] = lambda _event: None,
    **settings: Unpack[Settings],
) -> Run:
    """Train a new run, with a live table in terminals and notebooks.

    >>> import gancli, tempfile
    >>> seen = []
    >>> small = {"arch.generator_widths": [8], "arch.discriminator_widths": [8], "log.quality_every_images": 0}
    >>> where = tempfile.mkdtemp()
    >>> short = {"images": 128, "batch_size": 64, "runs_dir": where, "name": "a", "quiet": True}
    >>> run = gancli.train(dataset="mnist", observe=seen.append, **short, **small)
    >>> run, type(seen[-1]).__name__
    (<gancli.Run a: done, 2 steps, 128 images>, 'RunEnded')
    >>> gancli.resume(run, images=256, quiet=True)
    <gancli.Run a: done, 4 steps, 256 images>

    Args:
        name: of the new run; by default time, data set and architecture.
        runs_dir: where run directories are.
        quiet: show nothing.
        observe: is called with every event, see :mod:`gancli.events`; what it raises ends the training.
        settings: see :class:`Settings`.

    Raises:
        GancliError: as the command does; what was announced as saved stays saved.
        KeyboardInterrupt: Ctrl-C came, or a notebook's cell was interrupted: the step is finished and saved.
            Once more, and the training ends at once.
    """
    where = Path(runs_dir)
    resolved = _flags(settings).resolve(where, fetch=True)
    refuse_early(resolved)
    from gancli.training.run import train as start

    begin = partial(start, resolved.config, runs_dir=where, name=name, reason=resolved.reason)
    return _trained(begin, quiet=quiet, observe=observe)


def resume(
    run: Run | str | Path | None = None,
    *,
    from_step: int | None = None,
    allow_changes: bool = False,
    runs_dir: str | Path = "runs",
    quiet: bool = False,
    observe: Callable[[Event], None] = lambda _event: None,
    **settings: Unpack[Settings],
) -> Run:
    """Resume a run from its newest checkpoint, for longer if a length is given. The example of :func:`train` ends with it.

    Args:
        run: the run, its name or path; by default the last one.
        from_step: resume from this checkpoint instead, and delete the later ones.
        allow_changes: accept another learning rate or batch size; the run records it.
        runs_dir: where runs are looked for by name.
        quiet: as for :func:`train`, like the others.
        observe: likewise.
        settings: what is changed.

    Raises:
        GancliError: as the command does.
        KeyboardInterrupt: as for :func:`train`.
    """
    found = find_run(as_text(run), Path(runs_dir))
    changes = _flags(settings).changes(found, allowed=allow_changes)
    from gancli.training.run import resume as start

    go_on = partial(start, found, changes=changes, from_step=from_step, allow_changes=allow_changes)
    return _trained(go_on, quiet=quiet, observe=observe)


def evaluate(run: Run | Model | str | Path | None = None, **options: Any) -> Any:  # noqa: ANN401  (what gancli-evaluate takes and returns)
    """Measure how close generated images are to real ones: :func:`gancli_evaluate.api.evaluate`, with its options.

    Raises:
        PluginError: gancli-evaluate is not installed.
    """
    return part("evaluate", "gancli.evaluate()")(run, **options)


def project(images: ImageInputs, run: Run | Model | str | Path | None = None, **options: Any) -> Any:  # noqa: ANN401  (likewise)
    """Find images in a generator's latent space: :func:`gancli_evaluate.api.project`, with its options.

    Raises:
        PluginError: gancli-evaluate is not installed.
    """
    return part("project", "gancli.project()")(images, run, **options)


def interpolate(  # noqa: PLR0913  (the options of the command)
    output: str | Path,
    run: Run | Model | str | Path | None = None,
    *,
    frames: int = 60,
    keyframes: int | None = None,
    seeds: str | None = None,
    classes: str | int | Sequence[str | int] | None = None,
    method: Literal["slerp", "lerp"] = "slerp",
    loop: bool = True,
    grid: str = "1x1",
    truncation: float | None = None,
    latents: str | Path | None = None,
    direction: int | None = None,
    fps: float = 20,
    scale: int | None = None,
    force: bool = False,
    **source: Unpack[From],
) -> Path:
    """Make an animation that interpolates between latents; ``model.interpolate()`` gives its frames as tensors.

    >>> import gancli, tempfile
    >>> gancli.interpolate(f"{tempfile.mkdtemp()}/walk.gif", checkpoint="mnist", frames=4, keyframes=2).name
    'walk.gif'

    Args:
        output: ``walk.gif``, ``.webp``, ``.apng``, ``.avif``, ``.mp4``, a strip (``.png``) or numbered frames (``folder/``).
        run: the run, its name or path, or a model; by default the last run.
        frames: in all.
        keyframes: how many; 6 by default, 1 with several classes.
        seeds: of the keyframes, such as ``"0-5,99"``.
        classes: a class to keep, or classes to pass, such as ``"0-9"`` or ``[3, "8"]``.
        method: spherical or linear.
        loop: return to the first keyframe.
        grid: rows x columns, each cell with its own keyframes.
        truncation: of the keyframes.
        latents: a file of :func:`project`, whose latents are the keyframes.
        direction: to and fro along this one instead.
        fps: frames per second.
        scale: enlarge each frame so many times.
        force: replace a file that gancli did not make.
        source: see :class:`From`.

    Returns:
        the path of what was written.
    """
    class_ = classes if classes is None or isinstance(classes, str) else ",".join(map(str, np.atleast_1d(classes)))
    target, file = str(output), None if latents is None else Path(latents)
    wanted = InterpolateOptions(
        frames, keyframes, seeds, method, loop, grid, class_, truncation, file, direction, target, str(fps), scale, force=force
    )
    chosen = source_of(interpolate, run, source)
    wanted.write(lambda: run if isinstance(run, Model) else chosen.load())
    return Path(output)


def export(
    output: str | Path,
    run: Run | Model | str | Path | None = None,
    *,
    format: str | None = None,  # noqa: A002  (the command line's name)
    force: bool = False,
    quiet: bool = False,
    options: Mapping[str, object] | None = None,
    **source: Unpack[From],
) -> Exported:
    """Write a trained generator for other programs. It is loaded again and compared before it is there.

    >>> import gancli, tempfile
    >>> model = gancli.load(checkpoint="mnist")
    >>> gancli.export(f"{tempfile.mkdtemp()}/generator.safetensors", model, quiet=True).difference
    0.0

    Args:
        output: ``generator.onnx``, ``.safetensors``, ``.pt2``, ``demo.html``, ...; with ``/`` at its end, a folder to share.
        run: the run, its name or path, or a model; by default the last run.
        format: its name, if the suffix does not say it.
        force: replace a file that gancli did not make.
        quiet: show nothing.
        options: of the format, such as ``{"opset": 20}``.
        source: see :class:`From`.
    """
    assignments = [f"{name}={json.dumps(value)}" for name, value in (options or {}).items()]
    wanted = ExportOptions(str(output), format, assignments, force=force)
    chosen, model = replace(source_of(export, run, source), device="cpu"), run if isinstance(run, Model) else None
    return run_export(wanted, chosen, Output(quiet=quiet), model)[0]


def _trained(start: Callable[..., RunEnded], *, quiet: bool, observe: Callable[[Event], None]) -> Run:
    """The run, trained under a live table in a notebook or a terminal, plain lines elsewhere, or nothing."""
    import rich.console

    console = Console()
    if not quiet and rich.console.Console().is_jupyter:
        from gancli.cli.notebook import NotebookConsole

        console = NotebookConsole()
    elif not quiet:
        console = console_for(sys.stderr)

    def abandon() -> None:
        raise KeyboardInterrupt

    ended = run_training(console, start, abandon=abandon, observe=observe)
    if ended.signal:
        print(f'stopped and saved; go on with gancli.resume("{ended.run}")', file=sys.stderr)  # noqa: T201  (for whoever waits)
        raise Interrupted(ended.signal)
    again = "This run was finished already: give epochs, images or minutes to train it for longer."
    return Run(ended.run, warning=again if ended.step == ended.from_step else ended.warning)


def _flags(settings: Mapping[str, Any]) -> Flags:
    """What was given, as the command line's flags."""
    lists = {"log": str, "config": Path}
    assignments, given = [], dict[str, Any]()
    for name, value in settings.items():
        if "." in name:
            assignments.append(f"{name}={json.dumps(value, default=plain)}")
        elif name not in Settings.__annotations__:
            raise UsageError(f"There is no setting '{name}'.", did_you_mean(name, Settings.__annotations__))
        elif name in lists and value is not None:
            given[name] = [lists[name](each) for each in ([value] if isinstance(value, str | Path) else value)]
        else:
            given[name] = str(value) if isinstance(value, Path) else value
    return Flags(**given, assignments=assignments)


def source_of(function: Callable[..., object], run: Run | Model | str | Path | None, given: From) -> Source:
    """The options of a function that choose the model."""
    for name in set(given) - set(From.__annotations__):
        known = [*signature(function).parameters, *From.__annotations__]
        raise UsageError(f"{function.__name__}() has no option '{name}'.", did_you_mean(name, known))
    checkpoint, weights = given.get("checkpoint"), given.get("weights")
    if isinstance(run, Model):
        checkpoint, weights, run = run.origin.checkpoint, run.origin.weights, None
    where, device = Path(given.get("runs_dir", "runs")), given.get("device", "auto")
    return Source(as_text(run), as_text(checkpoint), weights, where, given.get("arch"), device)


def as_text(path: str | PathLike[str] | None) -> str | None:
    """A path as it was given; None stays."""
    return None if path is None else fspath(path)
