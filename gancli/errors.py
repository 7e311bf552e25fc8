"""Every way in which gancli fails on purpose, with the exit code that it ends in.

    GancliError                      1   base class: never raised itself
    ├── UsageError                   2   the command line asks for something impossible
    ├── ConfigError                  2   a configuration value is unknown, mistyped or out of range
    ├── DatasetError                 3   a data set or image is missing, unreadable or broken
    ├── RunError                     4   a run or checkpoint is missing
    │   └── CheckpointError          4   a checkpoint is corrupt, foreign or unsafe
    ├── RunBusyError                 5   another process writes to this run
    ├── StorageError                 6   disk full, read-only, no permission, already there
    ├── DivergedError                7   training produced NaN or infinity
    ├── PluginError                  8   a plugin is missing, broken or incompatible
    ├── ExportError                  9   an export failed or does not match the generator
    ├── DownloadError               10   a download is refused, short or has the wrong hash
    ├── MemoryExhaustedError        11   the device is out of memory
    ├── PeerLostError               12   another process of the same training is gone
    └── Stopped            129/130/143   SIGHUP, Ctrl-C or SIGTERM: the work was left in order

A message says what is wrong (with the value), what would be right, and what to do. It is printed on one line on
stderr, without a traceback; anything that is not a :class:`GancliError` is a bug and keeps its traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class GancliError(Exception):
    """Base of every expected failure.

    Args:
        problem: what is wrong, naming the offending value. A full sentence.
        remedy: what would be right and what to do next. One or more full sentences, or empty.
    """

    exit_code: ClassVar[int] = 1

    def __init_subclass__(cls, exit_code: int | None = None) -> None:
        if exit_code is not None:
            cls.exit_code = exit_code

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} {remedy}".rstrip())

    def as_json(self) -> dict[str, object]:
        """The same failure for scripts: ``{"kind", "exit_code", "problem", "remedy"}``."""
        kind = type(self).__name__
        return {"kind": kind, "exit_code": self.exit_code, "problem": self.problem, "remedy": self.remedy}


class UsageError(GancliError, exit_code=2):
    """The command line asks for something impossible."""


class ConfigError(GancliError, exit_code=2):
    """A configuration value is unknown, mistyped or out of range."""


class DatasetError(GancliError, exit_code=3):
    """A data set or image is missing, unreadable or broken."""


class RunError(GancliError, exit_code=4):
    """A run or checkpoint is missing."""


class CheckpointError(RunError):
    """A checkpoint is corrupt, foreign or unsafe."""


class RunBusyError(GancliError, exit_code=5):
    """Another process writes to this run."""


class StorageError(GancliError, exit_code=6):
    """The disk is full or read-only, permission is missing, or the target is already there."""


class DivergedError(GancliError, exit_code=7):
    """Training produced NaN or infinity."""


class PluginError(GancliError, exit_code=8):
    """A plugin is missing, broken or incompatible."""


class ExportError(GancliError, exit_code=9):
    """An export failed, or what was exported does not match the generator."""


class DownloadError(GancliError, exit_code=10):
    """A download is refused, short or has the wrong hash."""


class MemoryExhaustedError(GancliError, exit_code=11):
    """The device is out of memory."""


class PeerLostError(GancliError, exit_code=12):
    """Another process of the same training is gone."""


class Stopped(GancliError):  # noqa: N818  (a request that was honoured, not an error of the program)
    """A signal asked to stop, and the work was left in order. ``exit_code`` is 128 + the signal's number."""

    def __init__(self, signal_number: int, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # the one class whose code is known per instance


_SYNONYMS = {
    "sample": "generate gen draw create make infer inference synthesize predict",
    "interpolate": "walk morph animate film video gif",
    "evaluate": "test fid kid score metrics benchmark",
    "export": "convert save onnx deploy",
    "train": "fit learn resume continue finetune",
    "runs": "history experiments ls compare report",
    "env": "info doctor diagnose system versions",
    "learning-rate": "lr alpha eta step-size",
    "batch-size": "bs minibatch",
    "image-size": "resolution res size imgsize img-size load-size crop-size",
    "objective": "loss losses criterion gan-mode",
    "device": "gpu gpu-id gpu-ids cuda cpu accelerator",
    "dataset": "dataroot data-dir data-path input folder dir path",
    "output": "out outdir out-dir outfile dest target filename save",
    "runs-dir": "out outdir out-dir output logdir results save-dir workdir",
    "count": "num number n amount samples n-samples num-samples num-images images",
    "images": "steps iterations iters niter kimg total-kimg max-steps",
    "class": "label labels category y",
    "conditional": "cgan label labels class classes",
    "run": "model network pkl experiment",
    "checkpoint": "ckpt pth weight file load restore pretrained snapshot",
    "arch": "model network net networks backbone",
    "latent-dim": "z-dim zdim nz z noise noise-dim",
    "precision": "amp fp16 bf16 half mixed-precision dtype",
    "truncation": "psi",
    "weights": "ema use-ema no-ema raw",
    "columns": "nrow cols rows grid",
    "resume": "continue restart restore",
    "force": "overwrite replace yes",
    "config": "cfg settings yaml",
    "debug": "verbose trace",
    "threads": "workers num-workers cpus",
    "gradient-penalty": "gp lambda-gp",
    "ema-halflife-images": "ema ema-decay ema-kimg",
    "every-steps": "save-every save-interval snap log-interval",
    "wasserstein": "wgan wgan-gp",
}
"""What people who come from other tools type for gancli's names."""

# least share of common letters of a slip of the pen: `trian` has .8, `generate` and `interpolate` .63
_ALIKE = 0.75
_LONGEST_LIST = 20
_LONGEST_NAME = 300  # likeness takes the square of the length
_SECTIONS = frozenset(("data", "arch", "objective", "model", "train", "augment", "runtime", "checkpoint", "log"))
"""Of the configuration: what stands before the dot of a key. The dot of a file's name is its own."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is meant: itself in another case or spelling, a synonym, a beginning, a near likeness.

    Options, settings and plain names alike: ``--lr`` among ``--learning-rate`` ..., ``train.lr`` among ``train.seed`` ...

    >>> nearest("--lr", ["--help", "--learning-rate"]), nearest("trian", ["train", "runs"])
    ('--learning-rate', 'train')
    >>> nearest("generate", ["interpolate"]) is None
    True
    """
    from difflib import SequenceMatcher

    section = name.rpartition(".")[0]
    ordered = sorted(sorted(known), key=lambda full: (full.rpartition(".")[0] != section, len(full)))
    keys = all("." in full and full.partition(".")[0] in _SECTIONS for full in ordered)

    def bare(text: str) -> str:  # `--learning-rate` and `train.learning_rate` as `learning-rate`
        return (text.rpartition(".")[2] if keys else text).lstrip("-").replace("_", "-").casefold()

    def likeness(full: str) -> float:
        pairs = ((typed, bare(full)), (name.lstrip("-"), full.lstrip("-")))
        return max(float(sorted(typed) == sorted(bare(full))), *(SequenceMatcher(None, *pair).ratio() for pair in pairs))

    typed = bare(name)
    if not typed or len(name) > _LONGEST_NAME:
        return None
    meant = [typed, *(target for target, words in _SYNONYMS.items() if typed in words.split())]
    found = [full for target in meant for full in ordered if bare(full) == target]
    if len(typed) > 2:  # noqa: PLR2004  (two letters begin too much)
        found += [full for full in ordered if bare(full).startswith(typed)]
        found += [full for full in ordered if typed in bare(full).split("-")]
    if not found and (best := max(ordered, key=likeness, default=None)) and likeness(best) >= _ALIKE:
        found = [best]
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"Did you mean 'dense'?"`` for the :func:`nearest` name, else the list of them if it is short, else nothing.

    >>> did_you_mean("dens", ["dense", "dcgan"])
    "Did you mean 'dense'?"
    >>> did_you_mean("xyz", ["dense", "dcgan"])
    'Known: dcgan, dense.'
    """
    names = sorted(set(known))
    meant = nearest(name, names)
    if meant is not None:
        return f"Did you mean '{meant}'?"
    return f"Known: {', '.join(names)}." if 0 < len(names) <= _LONGEST_LIST else ""
