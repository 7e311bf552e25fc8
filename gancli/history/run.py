"""A run as a value: what training from Python returns, and what notebooks show."""

from __future__ import annotations

from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from gancli.history.read import History
from gancli.models.loading import load
from gancli.runs import RunDirectory, find_run
from gancli.text import distance, duration, html_image
from gancli.training.metrics import draw_losses

if TYPE_CHECKING:
    from gancli.models.model import Model


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
        warning: why its images are of no use yet, as the end of the training said; empty if there was no reason.

    Attributes:
        path: its directory.
        warning: as above.

    Raises:
        RunError: there is no such run.
    """

    path: Path
    warning: str

    def __init__(self, run: str | Path | None = None, *, runs_dir: str | Path = "runs", warning: str = "") -> None:
        self.path = find_run(None if run is None else str(run), Path(runs_dir)).path
        self.warning = warning

    @property
    def model(self) -> Model:
        """The generator of the checkpoint that is the best now; :func:`gancli.load` loads others."""
        return load(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def metrics(self) -> list[dict[str, object]]:
        """Rows of ``metrics.jsonl``, each with its seconds of training: ``pandas.DataFrame(run.metrics)``."""
        history = self._history
        return [{**row, "elapsed_seconds": history.seconds_at(row["step"])} for row in history.rows]

    @property
    def best(self) -> Best | None:
        """The best checkpoint so far; None if no distance was measured."""
        stored = self._history.info.get("best")
        return Best(stored["step"], stored["figure"], stored["value"]) if stored else None

    @property
    def previews(self) -> list[Path]:
        """Images of the same latents over the training, oldest first."""
        return RunDirectory(self.path).previews()

    def plot(self) -> Image.Image:
        """Losses, scores and the distance to the data over the epochs."""
        return Image.open(BytesIO(draw_losses(self._history.rows)))

    @property
    def _history(self) -> History:
        return History.of(RunDirectory(self.path))

    def __repr__(self) -> str:
        info, best = self._history.info, self.best
        step, seen = info.get("step") or 0, info.get("images_seen") or 0
        steps = f"{step:,} step{'' if step == 1 else 's'}"
        measured = f", {best.metric} {distance(best.value)} at step {best.step:,}" if best else ""
        return f"<gancli.Run {self.path.name}: {info.get('status')}, {steps}, {seen:,} images{measured}>"

    def _repr_html_(self) -> str:
        """What it is, the newest preview and the curves."""
        spent = duration(float(self._history.info.get("elapsed_seconds") or 0))
        shown = f"<p><code>{escape(repr(self))}</code> in {spent}, <code>{escape(str(self.path))}</code></p>"
        if self.warning:
            shown += f"<p><b>{escape(self.warning)}</b></p>"
        for preview in self.previews[-1:]:
            shown += html_image(preview.read_bytes(), f"step {int(preview.stem):,}")
        return shown + html_image(draw_losses(self._history.rows), "losses")
