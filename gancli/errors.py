"""Every way in which gancli fails on purpose, with the exit code that it ends in.

    GancliError                      1   base class: never raised itself
    ├── UsageError                   2   the command line asks for something impossible
    ├── ConfigError                  2   a configuration value is unknown, mistyped or out of range
    ├── DatasetError                 3   a data set or picture is missing, unreadable or broken
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

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} {remedy}".rstrip())

    def as_json(self) -> dict[str, object]:
        """The same failure for scripts: ``{"kind", "exit_code", "problem", "remedy"}``."""
        return {
            "kind": type(self).__name__,
            "exit_code": self.exit_code,
            "problem": self.problem,
            "remedy": self.remedy,
        }


class UsageError(GancliError):
    """The command line asks for something impossible."""

    exit_code = 2


class ConfigError(GancliError):
    """A configuration value is unknown, mistyped or out of range."""

    exit_code = 2


class DatasetError(GancliError):
    """A data set or picture is missing, unreadable or broken."""

    exit_code = 3


class RunError(GancliError):
    """A run or checkpoint is missing."""

    exit_code = 4


class CheckpointError(RunError):
    """A checkpoint is corrupt, foreign or unsafe."""


class RunBusyError(GancliError):
    """Another process writes to this run."""

    exit_code = 5


class StorageError(GancliError):
    """The disk is full or read-only, permission is missing, or the target is already there."""

    exit_code = 6


class DivergedError(GancliError):
    """Training produced NaN or infinity."""

    exit_code = 7


class PluginError(GancliError):
    """A plugin is missing, broken or incompatible."""

    exit_code = 8


class ExportError(GancliError):
    """An export failed, or what was exported does not match the generator."""

    exit_code = 9


class DownloadError(GancliError):
    """A download is refused, short or has the wrong hash."""

    exit_code = 10


class MemoryExhaustedError(GancliError):
    """The device is out of memory."""

    exit_code = 11


class PeerLostError(GancliError):
    """Another process of the same training is gone."""

    exit_code = 12


class Stopped(GancliError):  # noqa: N818  (a request that was honoured, not an error of the program)
    """A signal asked to stop, and the work was left in order. ``exit_code`` is 128 + the signal's number."""

    def __init__(self, signal_number: int, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # the one class whose code is known per instance


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"Did you mean 'dense'?"`` for the nearest known name, else the list of them, else an empty string.

    >>> did_you_mean("dens", ["dense", "dcgan"])
    "Did you mean 'dense'?"
    >>> did_you_mean("xyz", ["dense", "dcgan"])
    'Known: dcgan, dense.'
    """
    from difflib import get_close_matches

    names = sorted(set(known))
    close = get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Known: {', '.join(names)}." if names else ""
