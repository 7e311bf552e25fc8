"""The console script ``gancli``. Start-up is part of the interface: help and version are answered before anything heavy."""

import os
import sys

DISK_TROUBLE = 6


def main() -> None:
    """Run the command line and exit."""
    _prepare_streams()
    from gancli.cli.quick import answer

    text = answer(sys.argv[1:])
    if text is not None:
        sys.exit(_print(text))
    from gancli.cli.app import run

    sys.exit(run(sys.argv[1:]))


def _prepare_streams() -> None:
    """Make standard streams that can be written to, whatever the parent left behind."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # a closed descriptor would be given to the next file that is opened, and text printed into it
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115  (open until the process ends)
        elif name == "stdout":  # the name of a file may not be in the stream's encoding
            stream.reconfigure(errors="surrogateescape" if stream.encoding == "utf-8" else "backslashreplace")


def _print(text: str) -> int:
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again when it ends
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"error: Standard output cannot be written to: {error.strerror}.\n")
            return DISK_TROUBLE
    return 0


if __name__ == "__main__":
    main()
