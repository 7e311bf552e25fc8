"""All benchmarks, one after the other: `python tests/benchmarks [--help]`.

The table goes to standard output, all else to standard error. Run it on a machine that has nothing else to do. It takes about
two and a half hours, most of it in `quality`, which trains the article's recipe for three quarters of one: `--but quality`
leaves that out. What cannot be done here is left out and said to be: the Keras programs without TensorFlow (`training.py` says
how to get it), the page without Chromium.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from report import ROWS, circumstances, collected, table

HERE = Path(__file__).parent
SCRIPTS = (
    "training",
    "startup",
    "sampling",
    "growth",
    "probe",
    "saving",
    "processes",
    "steps",
    "decoding",
    "mapped",
    "page",
    "quality",
)


def read_arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", choices=SCRIPTS, default=SCRIPTS, help=", ".join(SCRIPTS))
    parser.add_argument("--but", nargs="+", choices=SCRIPTS, default=[], metavar="NAME", help="leave these out")
    return parser.parse_args()


def main() -> int:
    """Each in a process of its own; a failure of one is no reason not to run the others."""
    asked = read_arguments()
    rows, failed = [], []
    before = circumstances()
    for name in (name for name in asked.names if name not in asked.but):
        print(f"\n=== {name}", file=sys.stderr, flush=True)
        with TemporaryDirectory() as folder:
            found = Path(folder) / "rows.json"
            command = [sys.executable, str(HERE / f"{name}.py")]
            if subprocess.run(command, stdout=sys.stderr, env={**os.environ, ROWS: str(found)}, check=False).returncode:
                failed.append(name)
            else:
                rows += collected(found)
    print(f"{before}\n\n{table(rows)}")
    if failed:
        print(f"\nFailed: {', '.join(failed)}.")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
