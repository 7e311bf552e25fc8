"""Process 0's part of a training: take the steps, and emit what happens.

Whatever happens is an event (:mod:`gancli.events`), passed to ``log.txt``, ``metrics.jsonl``, the loggers and the observer.
Rows of metrics are durable before the checkpoint that covers them; a checkpoint is announced only after it is durable;
signals are acted on between steps, never inside one.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gancli import events, images
from gancli.checkpoint.store import CheckpointStore
from gancli.config.resolve import load_loggers
from gancli.errors import DivergedError, GancliError
from gancli.runs import RunDirectory, mark_latest
from gancli.storage.disk import explained, remove_leftovers, write_atomically
from gancli.text import distance
from gancli.training.alarms import COLLAPSED, EARLIEST_STEP, EARLY_STEPS, PATIENCE, SPACING, signs_of_trouble
from gancli.training.lines import Log
from gancli.training.loggers import Background
from gancli.training.metrics import MetricsLog, plot_losses, read_rows, time_of
from gancli.training.monitoring import monitor_of
from gancli.training.plan import PLOT_SECONDS, SAVED_PER_SECOND, SHORT_EPOCH_STEPS, Clock
from gancli.training.record import run_ended, run_info, run_started
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gancli.training.setup import Training

PLOT_FRACTION = 0.02  # largest fraction of the time that is spent on plots while training
PATIENCE_SECONDS = 1.0  # nobody waits longer than this, and one step, for a sign of life between two rows of metrics
PREVIEW_SECONDS, PREVIEW_FRACTION = 15.0, 0.1
"""A preview is due when the last is 15 seconds old, and a tenth of the training time: a film shows the beginning."""

FIRST_PREVIEW = 10
PART = 1 / 8  # of an evaluation's images, to see how long it takes: as many as diversity is measured on


class Session:
    """One session of a run, from the start or a checkpoint to the end of the plan or a signal."""

    def __init__(
        self,
        training: Training,
        run: RunDirectory,
        observe: Callable[[events.Event], None],
        stop: Callable[[], int],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.training, self.run, self.notes = training, run, notes
        self.store = CheckpointStore(run.checkpoints)
        self.monitor = monitor_of(training)
        self.stop = stop
        self.saved_step: int | None = None
        self.preview: Path | None = None
        self._info: dict[str, Any] = {}
        self._evaluation: dict[str, float] = {}
        self._failed_by_products: set[str] = set()
        self._observe = observe
        self._clock = time.monotonic
        now, state = self._clock(), training.state
        self._from_step = state.step
        self.clock = Clock(training.plan.total_seconds, state.elapsed_seconds)
        self._previewed = self._next_plot = now
        self._shown = float("-inf")
        self._rates = {"interval": (now, state.images_seen), "epoch": (now, state.images_seen)}

    def prepare(self) -> None:
        """Raise a StorageError now for what would make the first save fail; remove what a killed process left."""
        for directory in (self.run.path, self.run.samples):
            with explained(directory):
                directory.mkdir(exist_ok=True)  # an archive or a version control may have dropped an empty one
                remove_leftovers(directory)
        networks = self.training.state.stored_networks().values()
        weights = sum(int(tensor.nbytes) for network in networks for tensor in network.state_dict().values())
        checkpoint = weights + 2 * 4 * sum(self.training.parameters().values())  # Adam has two moments
        self.store.prepare(checkpoint)
        self._prune()  # a process killed between a save and its pruning left one too many
        self._tell_time()
        if self.training.plan.total_seconds and not self.training.is_over:
            self.clock.took |= {"save": checkpoint / SAVED_PER_SECOND, "plot": PLOT_SECONDS}
            if self._evaluated_every:
                self.monitor.distance_of_a_constant()  # looks at the data first, which is done once
                with self.clock.timed("diversity"):  # of as many images
                    self.monitor.evaluate(PART)
                self.clock.took["evaluation"] = self.clock.took["diversity"] / PART
        self._tell_time()
        state = self.training.state
        self._resumed_at = self.training.plan.fraction(state.step, state.schedule_seconds), state.elapsed_seconds

    def train(self, argv: Sequence[str]) -> events.RunEnded:
        """Train to the end of the plan, or until a signal asks to stop."""
        training, state, run = self.training, self.training.state, self.run
        self._info = run_info(training, run, argv, _now())
        self._record()
        with ExitStack() as stack:
            with explained(run.log_path):
                self._log = Log(stack.enter_context(run.log_path.open("a", encoding="utf-8")))
            self.metrics = stack.enter_context(closing(MetricsLog(run.metrics_path, state.step)))
            self.times = stack.enter_context(closing(MetricsLog(run.times_path, state.step, time_of)))
            self._loggers = [Background(name, logger) for name, logger in load_loggers(training.config).items()]
            for logger in self._loggers:
                stack.callback(logger.close)
            try:
                return self._train()
            except GancliError as error:
                try:
                    self._record(status="failed", ended=_now(), error=error.as_json())
                except GancliError as second:
                    error.add_note(f"run.json could not be updated: {second}")
                raise

    def _train(self) -> events.RunEnded:
        training, run = self.training, self.run
        self._emit(run_started(training, run, self.notes))
        if not training.state.step:
            self._write_preview()
        signal = 0
        self.clock.start()
        while not signal and not training.is_over:
            self._step()
            signal = training.stop_signal(self.stop())
        warning = self._finish(done=not signal)
        training.state.elapsed_seconds = self.clock.elapsed
        self._record(status="stopped" if signal else "done", ended=_now())
        training.stop_signal()
        ended = run_ended(training, run, signal, self.preview, from_step=self._from_step, warning=warning)
        for logger in self._loggers:
            logger(ended)
            logger.close()
        self._emit(ended)
        return ended

    def _record(self, **changes: Any) -> None:  # noqa: ANN401  (JSON)
        """Write run.json as things are now, with these changes."""
        state = self.training.state
        progress = {
            "step": state.step,
            "epochs": round(state.step / self.training.plan.steps_per_epoch, 3),
            "images_seen": state.images_seen,
            "elapsed_seconds": round(state.elapsed_seconds, 3),
            "best": state.counters()["best"],
        }
        self.run.write_info({**self._info, **progress, **changes})

    def _emit(self, event: events.Event) -> None:
        """Pass an event on to everything that watches."""
        for logger in self._loggers:
            if problem := logger.problem():
                self._emit(events.Alarm("logger", self.training.state.step, problem))
        with explained(self.run.log_path):
            self._log.log(event)
        self.metrics.log(event)
        self.times.log(event)
        if not isinstance(event, events.Progress | events.Preparing | events.RunEnded):
            for logger in self._loggers:
                logger(event)
        self._observe(event)

    def _step(self) -> None:
        """One step of the training, and what is due after it."""
        training, state, plan, config = self.training, self.training.state, self.training.plan, self.training.config
        with self.clock.timed("step"):
            report = training.step()
        for meter in state.meters.values():
            meter.add(report)
        self._tell_time()
        if state.step % config.log.every_steps == 0:
            interval = self._since_last("interval")
            self._emit(interval)
            self._show_progress(interval.metrics, interval.images_per_second)
        elif self._clock() - self._shown >= PATIENCE_SECONDS:
            self._show_progress(state.meters["interval"].means(), self._rate("interval"))
        if self._is_preview_due():
            self._write_preview()
        if state.step in EARLY_STEPS and plan.steps_per_epoch > state.step:
            self._remember(self.monitor.diversity())
        if plan.ends_epoch_past(state.step, min(SHORT_EPOCH_STEPS, self._evaluated_every or SHORT_EPOCH_STEPS)):
            self._end_epoch()
        every = config.checkpoint.every_steps
        due = state.step % every == 0 if every else plan.ends_epoch_past(state.step, SHORT_EPOCH_STEPS)
        if (due and self.clock.affords("save")) or (state.best and state.best.step == state.step):
            with self.clock.timed("save"):
                self._save()
            self._plot()
        self._tell_time()

    def _tell_time(self) -> None:
        """Let the schedule know how late it is."""
        state = self.training.state
        state.elapsed_seconds, state.schedule_seconds = self.clock.elapsed, self.clock.schedule

    def _show_progress(self, metrics: Mapping[str, float], images_per_second: float) -> None:
        """The expected time is at the pace of this session: another machine's pace says nothing about this one's."""
        state, plan = self.training.state, self.training.plan
        fraction = plan.fraction(state.step, state.schedule_seconds)
        done, seconds = fraction - self._resumed_at[0], state.elapsed_seconds - self._resumed_at[1]
        eta = seconds * (1 - fraction) / done if done > 0 else float("inf")
        self._emit(events.Progress(state.step, plan.epoch(state.step), fraction, metrics, images_per_second, eta))
        self._shown = self._clock()

    def _since_last(self, name: str) -> events.IntervalEnded:
        """Means since the last call with this name, all finite."""
        state = self.training.state
        metrics = state.meters[name].means()
        state.meters[name].reset()
        self._refuse_non_finite(metrics)
        epochs = round(state.step / self.training.plan.steps_per_epoch, 6)
        return events.IntervalEnded(state.step, epochs, state.images_seen, metrics, self._rate(name), state.elapsed_seconds)

    def _rate(self, name: str) -> float:
        """Real images per second since the last call with this name."""
        then, seen = self._rates[name]
        now = self._clock()
        self._rates[name] = now, self.training.state.images_seen
        return (self.training.state.images_seen - seen) / max(now - then, 1e-9)

    @property
    def _evaluated_every(self) -> float:
        """Steps between evaluations; 0 for none."""
        batch = self.training.config.train.batch_size * self.training.trainer.batches_per_step
        return self.training.config.log.quality_every_images / batch

    def _end_epoch(self) -> None:
        """Evaluate, as far as that is due: when the images seen pass a multiple, and at the end of the run."""
        training, state, plan = self.training, self.training.state, self.training.plan
        means, over = self._since_last("epoch"), training.is_over
        with self.clock.timed("diversity"):
            evaluation = {"diversity": self.monitor.diversity()}
        due = plan.ends_epoch_past(state.step, self._evaluated_every or 1) and self.clock.affords("evaluation")
        if self._evaluated_every and (over or due):
            with self.clock.timed("evaluation"):
                evaluation |= self.monitor.evaluate()
        self._refuse_non_finite(evaluation)
        name = self.monitor.distance
        if name in evaluation:
            state.consider(name, evaluation[name])
        number = plan.epoch(state.step)
        self._emit(events.EpochEnded(**asdict(means), evaluation=evaluation, epoch=number, epochs=plan.epochs, distance=name))
        measured, classes = {**means.metrics, **evaluation}, training.image.classes
        before = [value for step, value in state.diversities if step <= state.step - SPACING]
        for alarm, message in signs_of_trouble(measured, state.step, training.objective, classes=classes, before=before):
            if alarm not in state.alarms:
                state.alarms.append(alarm)
                self._emit(events.Alarm(alarm, state.step, message, state.images_seen, means.epochs_done))
        self._evaluation = evaluation
        self._remember(evaluation["diversity"])

    def _remember(self, diversity: float) -> None:
        """Keep a measurement for the next one to be compared with, unless the last is only a few steps old."""
        state = self.training.state
        if not state.diversities or state.step - state.diversities[-1][0] >= SPACING:
            state.diversities = [*state.diversities, (state.step, diversity)][-PATIENCE:]

    def _is_preview_due(self) -> bool:
        """By epochs if the user chose how many; else at steps 10, 20, 50, 100, ..., at the end of epochs, and by the clock."""
        step, plan, every = self.training.state.step, self.training.plan, self.training.config.log.preview_every_epochs
        if every:
            return plan.ends_epoch(step) and plan.epoch(step) % every == 0
        if not self.clock.affords("preview"):
            return False
        round_number = step >= FIRST_PREVIEW and str(step).rstrip("0") in {"1", "2", "5"}
        age = self._clock() - self._previewed
        late = age > max(PREVIEW_SECONDS, PREVIEW_FRACTION * self.training.state.elapsed_seconds)
        return round_number or late or plan.ends_epoch_past(step, SHORT_EPOCH_STEPS)

    def _write_preview(self) -> None:
        step = self.training.state.step
        target = self.run.samples / f"{step:06d}.png"
        with self.clock.timed("preview"):
            previews = self.monitor.previews()
            self._previewed = self._clock()
            with self._by_product("preview"):
                grid = images.grid(images.to_bytes(previews), self.monitor.columns)
                write_atomically(target, images.to_png(grid, {"gancli": __version__, "step": step}))
                self.preview = target
                self._emit(events.PreviewWritten(step, target))

    @contextmanager
    def _by_product(self, what: str) -> Iterator[None]:
        """Within the block a plot or preview is made: if that fails, one alarm says so, and the training goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  (whatever matplotlib, Pillow or the disk may raise)
            if what not in self._failed_by_products:
                self._failed_by_products.add(what)
                reason = next(iter(str(error).splitlines()), "") or type(error).__name__
                message = f"The {what} could not be made, and the training goes on: {reason}"
                self._emit(events.Alarm(what, self.training.state.step, message))

    def _save(self) -> None:
        state = self.training.state
        if culprit := state.non_finite():
            raise self._diverged(f"the tensor {culprit}")
        self.metrics.sync()
        facts = self.training.facts()
        members = state.files(facts.model_copy(update={"step": state.step}).document())
        about = facts.model_copy(update={"elapsed_seconds": state.elapsed_seconds, "gancli": __version__})  # not of the state
        saved = self.store.save(state.step, members, images_seen=state.images_seen, facts=about.document())
        if self.saved_step is None:
            mark_latest(self.run)
        self.saved_step = state.step
        self._record()
        self._emit(events.CheckpointSaved(state.step, saved.path))
        self._prune()

    def _prune(self) -> None:
        best = self.training.state.best
        self.store.prune(self.training.config.checkpoint.keep, protect=[best.step] if best else [])

    def _plot(self, *, always: bool = False) -> None:
        """Plot the losses, unless the last time was so short ago that plotting would take more than 2 % of the time."""
        if always or (self._clock() >= self._next_plot and self.clock.affords("plot")):
            with self.clock.timed("plot"), self._by_product("plot"):
                plot_losses(read_rows(self.run.metrics_path), self.run.losses_path)
            self._next_plot = self._clock() + self.clock.took["plot"] / PLOT_FRACTION

    def _finish(self, *, done: bool) -> str:
        """End an epoch that the plan cuts short; save the last step, with a preview. Why the images are of no use, if so."""
        state = self.training.state
        if done and state.meters["epoch"].counts:
            self._end_epoch()
        if not (self.run.samples / f"{state.step:06d}.png").exists():
            self._write_preview()
        if done and self.training.plan.total_seconds:  # nothing is left to do for a resume
            state.elapsed_seconds = max(self.clock.elapsed, self.training.plan.total_seconds)
        if self.store.latest() != state.step:
            self._save()
        self._plot(always=True)
        if not done or state.step == self._from_step:
            return ""
        name = self.monitor.distance
        few = f"{state.step:,} steps are too few. " if state.step < EARLIEST_STEP else ""
        diversity = self._evaluation.get("diversity", 1.0)
        if "collapse" not in state.alarms and diversity < COLLAPSED:
            few += f"The images are still nearly all alike (diversity {diversity:.2f} of the data's). "
        if name not in self._evaluation or not state.best:
            return few and f"{few}Train longer."
        last, constant = self._evaluation[name], self.monitor.distance_of_a_constant()
        if last < constant:
            return few and f"{few}Train longer."
        measured = f"({name} {distance(last)}; the mean image of the data {distance(constant)})"
        if state.best.value < constant:
            return f"The run ended no better than one constant image {measured}: it went wrong after step {state.best.step:,}."
        return f"{few}The images are no better than one constant image {measured}. Train longer, or see the alarms."

    def _refuse_non_finite(self, means: Mapping[str, float]) -> None:
        for name, value in means.items():
            if not abs(value) < float("inf"):
                raise self._diverged(f"{name} = {value}")

    def _diverged(self, culprit: str) -> DivergedError:
        saved = self.store.latest()
        kept = f"Step {saved} is saved and intact. " if saved else ""
        return DivergedError(
            f"Training diverged at step {self.training.state.step}: {culprit} is not finite.",
            f"{kept}Try a smaller --learning-rate, a larger -s objective.r1_gamma, or --precision fp32.",
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
