"""The console script ``gancli``."""

import os
import sys


def main() -> None:
    """Run the command line and exit."""
    _prepare_streams()
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


if __name__ == "__main__":
    main()
