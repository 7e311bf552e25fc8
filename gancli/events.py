"""What happens during a training, as plain data: no tensor, no torch. Public through :mod:`gancli.plugin`.

The order is: any number of :class:`Preparing`; one :class:`RunStarted`; any number of the others; then one :class:`RunEnded`,
unless the training failed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Preparing:
    """Slow work on the images before there is a run directory. Comes often.

    Attributes:
        what: for instance ``decoding images``.
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
        dataset: description of the images, for instance ``60,000 images 1x28x28, mnist (in the package)``.
        parameters: number of parameters by network.
        device: where it runs, for instance ``cpu``.
        precision: ``fp32`` or ``bf16``.
        step: steps already done (more than 0 when resumed).
        epochs: epochs in the whole run, or None when its length is given in minutes; likewise ``total_steps``.
        notes: sentences that the user should read once.
        elapsed_seconds: training time so far, over all sessions (more than 0 when resumed).
        settings: the whole configuration, by dotted key.
        probabilities: whether ``real_score`` and ``fake_score`` estimate the probability that an image is real.
    """

    run: Path
    dataset: str
    arch: str
    parameters: Mapping[str, int]
    device: str
    precision: str
    step: int
    epochs: int | None
    total_steps: int | None
    notes: tuple[str, ...] = ()
    elapsed_seconds: float = 0.0
    settings: Mapping[str, object] = field(default_factory=dict)
    probabilities: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign of life, by the clock: what a display shows. No record is made of it. See :class:`IntervalEnded`.

    Attributes:
        epoch: the current epoch, counted from 1.
        fraction: fraction of the run that is done, in [0, 1].
        metrics: means since the last :class:`IntervalEnded`.
        eta_seconds: expected time to the end.
    """

    step: int
    epoch: int
    fraction: float
    metrics: Mapping[str, float]
    images_per_second: float
    eta_seconds: float


@dataclass(frozen=True, slots=True)
class IntervalEnded:
    """``log.every_steps`` steps were taken: a row of ``metrics.jsonl``.

    Attributes:
        step: steps done since the very beginning.
        epochs_done: the same in passes over the data, with fraction.
        images_seen: the same in real images.
        metrics: means over the interval, one entry per loss and penalty of the training (``d_loss``, ``g_loss``, ``r1``, ...)
            and, where there are logits, ``real_score`` (mean of s(D(x))) and ``fake_score`` (mean of s(D(G(z)))).
        images_per_second: real images per second, over the interval.
        elapsed_seconds: training time since the very beginning, over all sessions.
    """

    step: int
    epochs_done: float
    images_seen: int
    metrics: Mapping[str, float]
    images_per_second: float
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """A pass over the data is complete, or several that together have 100 steps: a row of the table and of the metrics.

    Attributes:
        step: as for :class:`IntervalEnded`, like the five that follow, but since the last of these.
        evaluation: what was measured on images of the EMA: ``diversity`` and, when it was due, a distance and a coverage.
        epoch: number of the epoch that ended, counted from 1; ``epochs``: of the whole run, see :class:`RunStarted`.
        distance: name of the distance in ``evaluation``, for instance ``fd_mnist``.
    """

    step: int
    epochs_done: float
    images_seen: int
    metrics: Mapping[str, float]
    images_per_second: float
    elapsed_seconds: float
    evaluation: Mapping[str, float]
    epoch: int
    epochs: int | None
    distance: str = ""


@dataclass(frozen=True, slots=True)
class PreviewWritten:
    """A grid of images of the fixed latents was written as PNG."""

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
        name: ``discriminator-wins``, ``collapse``, ``storage``, ``plot``, ``preview`` or ``logger``.
        step: when it was seen; ``images_seen`` and ``epochs_done``: likewise.
        message: what was seen and what to try, for the user.
    """

    name: str
    step: int
    message: str
    images_seen: int = 0
    epochs_done: float = 0.0


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over, and everything is on the disk.

    Attributes:
        run: the run directory.
        status: ``done``, or ``stopped`` when a signal asked for it.
        step: steps done since the very beginning; ``epochs``: likewise, with fraction.
        elapsed_seconds: training time since the very beginning, over all sessions.
        checkpoint: the newest one; likewise ``preview``, if there is one.
        arch: the architecture as it was requested.
        best: which checkpoint is the best so far, for instance ``step 7,020, fd_mnist 7.41``; empty if none was measured.
        signal: number of the signal that asked to stop, in whichever process it came; 0 if the run is done.
        from_step: the step at which this session began: the last one, if the run was finished before.
        warning: why the images are of no use yet; empty if there is no such reason.
        translates: the images that were translated, as ``data.dataset`` names them; empty for other models.
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
    from_step: int = 0
    warning: str = ""
    translates: str = ""


Event = Preparing | RunStarted | Progress | IntervalEnded | EpochEnded | PreviewWritten | CheckpointSaved | Alarm | RunEnded
