"""Every way in which a command can end badly, as one line and an exit code."""

import errno
import json
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import typer

from gancli.cli.signals import Interrupted
from gancli.errors import GancliError, MemoryExhaustedError, Stopped, UsageError, nearest
from gancli.text import printable

# options of the program, which may stand anywhere on the line
GLOBAL = frozenset({"-q", "--quiet", "--no-color", "--debug"})
_DISK = ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EFBIG", "EMFILE", "ENFILE", "ENAMETOOLONG")
DISK_TROUBLES = frozenset(getattr(errno, name) for name in _DISK)
BUG = "This is a bug in gancli or in a plugin. Please report it with the lines above and what `gancli env` prints."


def explain(error: BaseException) -> GancliError | None:
    """The expected failure that ``error`` is, or None if it is a bug."""
    match error:
        case GancliError():
            return error
        case typer.TyperException():
            return _usage_error(error)
        case KeyboardInterrupt() | typer.Abort():
            number = error.number if isinstance(error, Interrupted) else signal.SIGINT
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            return Stopped(number, f"Interrupted by {name}.")
        case MemoryError():
            return MemoryExhaustedError("Out of memory.", "Ask for less at a time, or close other programs.")
        case OSError() if error.errno in DISK_TROUBLES:
            from gancli.storage.disk import explain as explain_storage

            return explain_storage(error, Path(str(error.filename or "standard output")))
    return None


def report(error: BaseException, *, debug: bool, as_json: bool) -> int:
    """Print the error, and return the exit code."""
    failure = explain(error)
    if failure is None or debug:
        traceback.print_exception(error)
    if failure is None:
        failure = GancliError(f"{type(error).__name__}: {error}.", BUG)
    word = "stopped" if isinstance(failure, Stopped) else "error"
    with suppress(OSError):  # nobody reads: the exit code remains
        print(f"{word}: {printable(failure)}", file=sys.stderr, flush=True)
        if as_json:
            print(json.dumps({"error": failure.as_json()}, indent=2), flush=True)
    return failure.exit_code


def _usage_error(error: typer.TyperException) -> UsageError:
    message = error.format_message().replace("Value error, ", "").removesuffix(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return UsageError(f"{message}.", "Add --help to see what is possible.")
    see = f"See `{context.command_path} --help`."
    options = [name for p in context.command.params for name in p.opts if name.startswith("-")]
    if option := getattr(error, "option_name", None) if message.startswith("No such option") else None:
        return UsageError(f"There is no option {option}.", f"{_instead_of(option, [*options, *GLOBAL])} {see}".lstrip())
    if found := re.fullmatch(r"No such command '(.+)'", message):
        meant = nearest(found[1], context.command.list_commands(context))
        hint = f"Did you mean '{meant}'?" if meant else ""
        return UsageError(f"There is no command '{found[1]}'.", f"{hint} {see}".lstrip())
    if found := re.fullmatch(r"Got unexpected extra argument\(s\) \((.+)\)", message):
        path = Path(found[1])
        model = "--checkpoint" if path.suffix in {".safetensors", ".onnx"} else "--run"
        named = path.suffix and not path.suffix[1:].isdecimal() and not path.exists()  # and "v0.1" is a run
        made = named and (model == "--run" or context.command.name == "export")
        flag = next((flag for flag in ("--dataset", "-o" if made else model, model) if flag in options), None)
        hint = f"Did you mean {flag} {found[1]}?" if flag else "Leave it out."
        return UsageError(f"`{context.command_path}` does not take '{found[1]}' as it stands.", f"{hint} {see}")
    return UsageError(f"{message}.", see)


def _instead_of(option: str, options: Sequence[str]) -> str:
    """The option that is meant by one that does not exist, or the setting that has no option of its own."""
    if meant := nearest(option, [name for name in options if name.startswith("--")]):
        return f"Did you mean '{meant}'?"
    if "--dataset" not in options or "--set" not in options:
        return ""
    from gancli.config.resolve import known_keys

    if option.lstrip("-") in {"gpus", "ngpus", "num-gpus", "nproc"}:
        return "Did you mean '--processes'? Each process takes a GPU."
    key = nearest(option, known_keys())
    return f"Did you mean '-s {key}=VALUE'?" if key else ""
