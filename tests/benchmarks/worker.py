"""The outside of a benchmark's process, which is kept alive and asked for work turn by turn. Inside it: `peers/serving.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

PEERS = Path(__file__).with_name("peers")


class Worker:
    """A process that answers each line of JSON with one.

    Args:
        script: path of the program.
        options: what it is told at its start, as JSON.
        python: of which environment.
        environment: variables that differ from this process's.
    """

    def __init__(
        self,
        script: Path,
        options: Mapping[str, Any],
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        command = [python, str(script), json.dumps(options)]
        pipe = subprocess.PIPE
        self._name = script.name
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, **(environment or {})})

    def ask(self, **what: Any) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for a line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._name} ended with {self._process.wait()}; what it said is above.")
        return json.loads(line)

    def turn(self, **what: Any) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        self.ask(**what)
        return self.answer()

    def close(self) -> None:
        """Let it end by itself."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


class Team(dict[Any, Worker]):
    """Workers by name, that all end with the block, however it ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.values():
            worker.close()


def threads(number: int) -> dict[str, str]:
    """Variables for that many threads."""
    return {name: str(number) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
