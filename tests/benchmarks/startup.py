"""What it costs to start: `python tests/benchmarks/startup.py`. Target: `gancli --help` at most 3 times a bare interpreter."""

from __future__ import annotations

import sys

from interleave import compare, gancli

if __name__ == "__main__":
    compare(
        {
            "python -c pass": [sys.executable, "-c", "pass"],
            "gancli --help": [gancli(), "--help"],
            "gancli --version": [gancli(), "--version"],
            "gancli train -h": [gancli(), "train", "-h"],
            "gancli runs list": [gancli(), "runs", "list"],
            "gancli arch list": [gancli(), "arch", "list"],
        },
        rounds=20,
    )
