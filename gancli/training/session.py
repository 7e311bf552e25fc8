"""One process's share of a run, that of process 0: play the game, and write down what happens.

Order of things that a reader may rely on: rows of metrics are durable before the checkpoint that covers them; a checkpoint
is announced only after it is durable; a signal is asked about between steps, never acted on inside one.
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import TYPE_CHECKING, Any, TextIO

from gancli import images
from gancli.checkpoint.store import CheckpointStore
from gancli.errors import DivergedError
from gancli.runs import mark_latest
from gancli.storage.disk import explain, explained, remove_leftovers, write_atomically
from gancli.training.alarms import signs_of_trouble
from gancli.training.events import (
    Alarm,
    CheckpointSaved,
    EpochEnded,
    Event,
    PreviewWritten,
    Progress,
)
from gancli.training.lines import Log
from gancli.training.metrics import MetricsLog, plot_losses, read_rows
from gancli.training.monitoring import Spectator
from gancli.training.plan import SHORT_EPOCH_STEPS
from gancli.training.record import Record
from gancli.training.snapshot import pack
from gancli.training.summary import run_ended, run_started
from gancli.training.worker import play_on
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from gancli.runs import RunDirectory
    from gancli.training.events import RunEnded
    from gancli.training.setup import Game

__all__ = ["Session"]

PLOT_SHARE = 0.02
"""Largest share of the time that is spent on plots while training."""

PATIENCE_SECONDS = 1.0
"""Nobody waits longer than this, and one step, for a sign of life between two rows of metrics."""


class Session:
    """Process 0's share of a run: plays the game, and writes down what happens."""

    def __init__(
        self,
        game: Game,
        run: RunDirectory,
        observe: Callable[[Event], None],
        stop: Callable[[], int],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.game = game
        self.run = run
        self.store = CheckpointStore(run.checkpoints)
        self.notes = notes
        self.stop = stop
        self.saved_step: int | None = None
        self.preview: Path | None = None
        self._observe = observe
        self._clock = time.monotonic
        self._next_plot = self._clock()
        self._shown = float("-inf")
        begun = game.state.elapsed_seconds
        self._begun = game.plan.fraction(game.state.step, begun), begun
        self._started = self._clock() - game.state.elapsed_seconds
        self._rates = {"interval": (self._clock(), game.state.images_seen), "epoch": (self._clock(), game.state.images_seen)}
        self.spectator = Spectator(game)

    def prepare(self) -> None:
        """Find out before the first step what would make the first save fail; remove what a killed process left.

        Raises:
            StorageError: the run directory cannot be written to, or has no room for a checkpoint.
        """
        for directory in (self.run.path, self.run.samples):
            with explained(directory):
                directory.mkdir(exist_ok=True)  # an archive or a version control may have dropped an empty one
                remove_leftovers(directory)
        self.store.prepare(self._checkpoint_bytes())

    def play(self, argv: Sequence[str]) -> RunEnded:
        """Play to the end of the plan, or until somebody asks to stop."""
        self.record = Record(self.run, self.game, argv)
        self.record.write()
        rows = MetricsLog(self.run.metrics_path, self.game.state.step)
        with self._log_file() as log, rows as self.metrics, self.record.of_failure():
            self._log = Log(log)
            self._say(run_started(self.game, self.run, self.notes))
            signal_number = 0
            while not signal_number and not self.game.is_over:
                self._one_step()
                signal_number = play_on(self.game, self.stop())
            status = "stopped" if signal_number else "done"
            self._finish(status)
            self.record.end(status)
            self.game.runtime.processes.agree(0, 0.0)
            ended = run_ended(self.game, self.run, signal_number, self.preview)
            self._say(ended)
        return ended

    def _checkpoint_bytes(self) -> int:
        """About the size of one checkpoint: every network, and two moments for each network's parameters."""
        networks = [network.state_dict().values() for network in self.game.state.stored_networks().values()]
        weights = sum(int(tensor.nbytes) for tensors in networks for tensor in tensors)
        return weights + 2 * 4 * sum(self.game.parameters().values())

    def _one_step(self) -> None:
        game, state, plan = self.game, self.game.state, self.game.plan
        report = game.step()
        for meter in state.meters.values():
            meter.add(report)
        state.elapsed_seconds = self._clock() - self._started
        if state.step % game.config.log.every_steps == 0:
            self._end_interval()
        elif self._clock() - self._shown >= PATIENCE_SECONDS:
            self._show(state.meters["interval"].means())
        if plan.ends_epoch(state.step):
            self._end_epoch()
        every = game.config.checkpoint.every_steps
        due = state.step % every == 0 if every else plan.ends_epoch_past(state.step, SHORT_EPOCH_STEPS)
        if due or (state.best and state.best.step == state.step):
            self._save()

    def _end_interval(self) -> None:
        meter = self.game.state.meters["interval"]
        means = meter.means()
        meter.reset()
        self._refuse_non_finite(means)
        self.metrics.append({**self._row("interval"), **means})
        self._show(means)

    def _show(self, means: dict[str, float]) -> None:
        state, plan = self.game.state, self.game.plan
        fraction = plan.fraction(state.step, state.elapsed_seconds)
        rate, seconds = self._rate("interval"), self._seconds_left(fraction)
        self._say(Progress(state.step, plan.epoch(state.step), fraction, means, rate, seconds))
        self._shown = self._clock()

    def _end_epoch(self) -> None:
        state, plan = self.game.state, self.game.plan
        fake = self.spectator.previews()
        epoch = plan.epoch(state.step)
        every = self.game.config.log.preview_every_epochs
        if epoch % every == 0 if every else plan.ends_epoch_past(state.step, SHORT_EPOCH_STEPS):
            self._write_preview(fake)
        quality = self.spectator.quality()
        means = {**state.meters["epoch"].means(), "diversity": self.spectator.diversity(), **quality}
        state.meters["epoch"].reset()
        self._refuse_non_finite(means)
        if quality:
            state.consider(self.spectator.figure, quality[self.spectator.figure])
        self.metrics.append({**self._row("epoch"), **means})
        if quality or plan.ends_epoch_past(state.step, SHORT_EPOCH_STEPS):
            rate, seconds = self._rate("epoch"), state.elapsed_seconds
            self._say(EpochEnded(epoch, plan.epochs, state.step, means, rate, seconds, self.spectator.figure))
        for name, message in signs_of_trouble(means, state.step, self.game.objective, classes=self.game.image.classes):
            if name not in state.alarms:
                state.alarms.append(name)
                self.metrics.append({**self._row("alarm"), "alarm": name, "message": message})
                self._say(Alarm(name, state.step, message))

    def _write_preview(self, fake: Tensor) -> None:
        step = self.game.state.step
        target = self.run.samples / f"{step:06d}.png"
        buffer = BytesIO()
        images.save_png(images.grid(images.to_bytes(fake)), buffer, {"gancli": __version__, "step": step})
        write_atomically(target, buffer.getvalue())
        self.preview = target
        self._say(PreviewWritten(step, target))

    def _save(self) -> None:
        state = self.game.state
        culprit = state.non_finite()
        if culprit:
            raise self._diverged(f"the tensor {culprit}")
        self.metrics.sync()
        facts = self.game.facts()
        members = pack(state, {**facts, "step": state.step})
        facts |= {"elapsed_seconds": state.elapsed_seconds, "gancli": __version__}  # no part of the state
        saved = self.store.save(state.step, members, images_seen=state.images_seen, facts=facts)
        if self.saved_step is None:
            mark_latest(self.run)
        self.saved_step = state.step
        self.record.write()
        self._say(CheckpointSaved(state.step, saved.path))
        if saved.hint_problem:
            self._say(Alarm("storage", state.step, f"The checkpoint is safe, but the disk is in trouble: {saved.hint_problem}"))
        self.store.prune(self.game.config.checkpoint.keep, protect=[state.best.step] if state.best else [])
        self._plot()

    def _plot(self, *, always: bool = False) -> None:
        """Draw the losses, unless the last time was so short ago that drawing would take more than 2 % of the time."""
        begin = self._clock()
        if always or begin >= self._next_plot:
            plot_losses(read_rows(self.run.metrics_path), self.run.losses_path)
            self._next_plot = self._clock() + (self._clock() - begin) / PLOT_SHARE

    def _finish(self, status: str) -> None:
        """End an epoch that the plan cuts short; save where the last step was not saved yet, with a preview of it."""
        state = self.game.state
        if status == "done" and not self.game.plan.ends_epoch(state.step) and state.meters["epoch"].counts:
            self._end_epoch()
        if not (self.run.samples / f"{state.step:06d}.png").exists():
            self._write_preview(self.spectator.previews())
        if self.store.latest() != state.step:
            self._save()
        self._plot(always=True)

    def _refuse_non_finite(self, means: Mapping[str, float]) -> None:
        for name, value in means.items():
            if not abs(value) < float("inf"):
                raise self._diverged(f"{name} = {value}")

    def _diverged(self, culprit: str) -> DivergedError:
        saved = self.store.latest()
        kept = f"Step {saved} is saved and intact. " if saved else ""
        return DivergedError(
            f"Training diverged at step {self.game.state.step}: {culprit} is not finite.",
            f"{kept}Try a smaller --learning-rate, a larger -s objective.r1_gamma, or --precision fp32.",
        )

    def _seconds_left(self, fraction: float) -> float:
        """Expected time to the end, at the pace of this session: another machine's pace says nothing about this one's."""
        begun_at, begun_seconds = self._begun
        done = fraction - begun_at
        return (self.game.state.elapsed_seconds - begun_seconds) * (1 - fraction) / done if done > 0 else float("inf")

    def _rate(self, name: str) -> float:
        """Real images per second since the last call with this name."""
        then, seen = self._rates[name]
        now = self._clock()
        self._rates[name] = now, self.game.state.images_seen
        return (self.game.state.images_seen - seen) / max(now - then, 1e-9)

    def _row(self, kind: str) -> dict[str, Any]:
        state, plan = self.game.state, self.game.plan
        return {
            "kind": kind,
            "step": state.step,
            "epochs": round(state.step / plan.steps_per_epoch, 6),
            "images_seen": state.images_seen,
        }

    def _say(self, event: Event) -> None:
        with explained(self.run.log_path):
            self._log(event)
        self._observe(event)

    def _log_file(self) -> TextIO:
        try:
            return self.run.log_path.open("a", encoding="utf-8")
        except OSError as error:
            raise explain(error, self.run.log_path) from error
