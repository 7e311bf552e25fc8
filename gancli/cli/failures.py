"""Every way in which a command can end badly, as one line and an exit code."""

import errno
import json
import re
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from gancli.cli.output import put
from gancli.cli.signals import Interrupted
from gancli.errors import GancliError, MemoryExhaustedError, Stopped, UsageError, did_you_mean
from gancli.text import printable

__all__ = ["explain", "report"]

DISK_TROUBLES = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EFBIG", "EMFILE", "ENFILE", "ENAMETOOLONG")
)
BUG = "This is a bug in gancli or in a plugin. Please report it with the lines above and what `gancli env` prints."


def explain(error: BaseException) -> GancliError | None:
    """The expected failure that ``error`` is, or None if it is a bug."""
    for kind, translate in TRANSLATIONS:
        if isinstance(error, kind):
            return translate(error)
    return None


def report(error: BaseException, *, debug: bool, as_json: bool) -> int:
    """Tell the user, and return the exit code."""
    failure = explain(error)
    if failure is None or debug:
        traceback.print_exception(error)
    if failure is None:
        failure = GancliError(f"{type(error).__name__}: {error}.", BUG)
    word = "stopped" if isinstance(failure, Stopped) else "error"
    with suppress(OSError):  # nobody reads: the exit code remains
        put(sys.stderr, f"{word}: {printable(failure)}")
        if as_json:
            put(sys.stdout, json.dumps({"error": failure.as_json()}, indent=2))
    return failure.exit_code


def _interrupted(error: KeyboardInterrupt | typer.Abort) -> Stopped:
    number = error.number if isinstance(error, Interrupted) else signal.SIGINT
    return Stopped(number, f"Interrupted by {'Ctrl-C' if number == signal.SIGINT else signal.Signals(number).name}.")


def _usage_error(error: typer.TyperException) -> UsageError:
    message = error.format_message().replace("Value error, ", "").removesuffix(".")
    context = getattr(error, "ctx", None)
    remedy = f"See `{context.command_path} --help`." if context else "Add --help to see what is possible."
    if option := re.fullmatch(r"(No such option: (\S+)) \(Possible options: (.+)\)", message):
        return UsageError(f"{option[1]}.", f"{did_you_mean(option[2], option[3].split(', '))} {remedy}")
    return UsageError(message if message.endswith("?") else f"{message}.", remedy)


def _disk_trouble(error: OSError) -> GancliError | None:
    from gancli.storage.disk import explain as explain_storage

    if error.errno not in DISK_TROUBLES:
        return None
    return explain_storage(error, Path(str(error.filename or "standard output")))


TRANSLATIONS: tuple[tuple[type[BaseException], Callable[[Any], GancliError | None]], ...] = (
    (GancliError, lambda error: error),
    (typer.TyperException, _usage_error),
    (KeyboardInterrupt, _interrupted),
    (typer.Abort, _interrupted),
    (MemoryError, lambda _: MemoryExhaustedError("Out of memory.", "Ask for less at a time, or close other programs.")),
    (OSError, _disk_trouble),
)
"""What each kind of exception means; the first that fits counts."""
