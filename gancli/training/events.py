"""What a training run tells whoever watches it. Plain data: no tensor, no torch.

:func:`gancli.training.run.train` calls ``observe(event)`` with these, in order: any number of :class:`Preparing`; one
:class:`RunStarted`; then any number of :class:`Progress`, :class:`EpochEnded`, :class:`PreviewWritten`,
:class:`CheckpointSaved` and :class:`Alarm`; then one :class:`RunEnded`, unless it failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "Alarm",
    "CheckpointSaved",
    "EpochEnded",
    "Event",
    "Preparing",
    "PreviewWritten",
    "Progress",
    "RunEnded",
    "RunStarted",
]


@dataclass(frozen=True, slots=True)
class Preparing:
    """Something that takes a while is done to the pictures, before there is a run directory. Comes often.

    Attributes:
        what: for instance ``decoding pictures``.
        done: how much of it is done.
        total: of how much; 0 if that is not known.
    """

    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run directory exists and the first step is about to be taken.

    Attributes:
        run: the run directory.
        dataset: description of the pictures, for instance ``60,000 images 1x28x28, mnist (in the package)``.
        arch: name of the architecture.
        parameters: number of parameters by player.
        device: where it runs, for instance ``cpu``.
        precision: ``fp32`` or ``bf16``.
        step: steps already done (more than 0 when resumed).
        steps_per_epoch: steps in one pass over the data.
        total_steps: steps in the whole run, or None when its length is given in minutes.
        total_seconds: length of the run in seconds, or None.
        notes: sentences that the user should read once.
        elapsed_seconds: training time so far, over all sessions (more than 0 when resumed).
    """

    run: Path
    dataset: str
    arch: str
    parameters: Mapping[str, int]
    device: str
    precision: str
    step: int
    steps_per_epoch: int
    total_steps: int | None
    total_seconds: float | None
    notes: tuple[str, ...] = ()
    elapsed_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Some steps were taken.

    Attributes:
        step: steps done since the very beginning.
        epoch: the current epoch, counted from 1.
        fraction: share of the run that is done, in [0, 1].
        metrics: means over the last interval: ``d_loss``, ``g_loss``, ``real_score`` (mean of s(D(x))),
            ``fake_score`` (mean of s(D(G(z)))), and one entry per penalty.
        images_per_second: real images per second, over the last interval.
        eta_seconds: expected time to the end.
    """

    step: int
    epoch: int
    fraction: float
    metrics: Mapping[str, float]
    images_per_second: float
    eta_seconds: float


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """A pass over the data is complete: a row of the table.

    Attributes:
        epoch: number of the epoch that ended, counted from 1.
        epochs: epochs in the whole run, rounded up, or None when its length is given in minutes.
        step: steps done since the very beginning.
        metrics: means over the epoch, see :attr:`Progress.metrics`.
        images_per_second: real images per second, over the epoch.
        elapsed_seconds: training time since the very beginning, over all sessions.
        figure: name of the quality figure, for instance ``fd_mnist``; its value is among the metrics if it was measured.
    """

    epoch: int
    epochs: int | None
    step: int
    metrics: Mapping[str, float]
    images_per_second: float
    elapsed_seconds: float
    figure: str = ""


@dataclass(frozen=True, slots=True)
class PreviewWritten:
    """A picture of the fixed latents was written."""

    step: int
    path: Path


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """Step ``step`` is on the disk, and survives a power cut from now on."""

    step: int
    path: Path


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something looks wrong. Training goes on.

    Attributes:
        name: ``discriminator-wins``, ``collapse``, ``storage``, ``plot`` or ``preview``.
        step: when it was seen.
        message: what was seen and what to try, for the user.
    """

    name: str
    step: int
    message: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over, and everything is on the disk.

    Attributes:
        run: the run directory.
        status: ``done``, or ``stopped`` when a signal asked for it.
        step: steps done since the very beginning.
        epochs: epochs done, with fraction.
        elapsed_seconds: training time since the very beginning, over all sessions.
        checkpoint: the newest checkpoint.
        preview: the newest preview, if there is one.
        arch: the architecture as it was asked for.
        best: which checkpoint is the best so far, for instance ``step 7,020, fd_mnist 7.41``; empty if none was measured.
        signal: number of the signal that asked to stop, in whichever process it came; 0 if the run is done.
    """

    run: Path
    status: str
    step: int
    epochs: float
    elapsed_seconds: float
    checkpoint: Path
    preview: Path | None = None
    arch: str = ""
    best: str = ""
    signal: int = 0


Event = Preparing | RunStarted | Progress | EpochEnded | PreviewWritten | CheckpointSaved | Alarm | RunEnded
