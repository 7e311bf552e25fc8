"""``run.json``: what a run is, how far it is and how it ended, for people and for other commands."""

from __future__ import annotations

import platform
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import torch

from gancli.errors import GancliError
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gancli.runs import RunDirectory
    from gancli.training.setup import Game

__all__ = ["Record"]


class Record:
    """Keeps the ``run.json`` of one run.

    Args:
        run: whose.
        game: what is played.
        argv: the command line that started this session.
    """

    def __init__(self, run: RunDirectory, game: Game, argv: Sequence[str]) -> None:
        self._run = run
        self._game = game
        self._start = self._at_start(argv)

    def write(self, **changes: Any) -> None:  # noqa: ANN401  (JSON)
        """Write it down as things are now, with these changes.

        Raises:
            StorageError: it cannot be written.
        """
        self._run.write_info({**self._start, **self._progress(), **changes})

    def end(self, status: str, **more: Any) -> None:  # noqa: ANN401  (JSON)
        """Write down how the session ended."""
        self.write(status=status, ended=_now(), **more)

    @contextmanager
    def of_failure(self) -> Iterator[None]:
        """Leave the reason of a failure in run.json, if that can still be written."""
        try:
            yield
        except GancliError as error:
            try:
                self.end("failed", error=error.as_json())
            except GancliError as second:
                error.add_note(f"run.json could not be updated: {second}")
            raise

    def _at_start(self, argv: Sequence[str]) -> dict[str, Any]:
        game, facts = self._game, self._game.facts()
        before = self._run.info() if self._run.info_path.exists() else {}
        this = {"started": _now(), "argv": list(argv), "from_step": game.state.step}
        return {
            "name": self._run.name,
            "status": "running",
            **self._progress(),
            "started": before.get("started", this["started"]),
            "ended": None,
            "argv": before.get("argv", this["argv"]),
            "sessions": [*before.get("sessions", []), this],
            "gancli": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "arch": facts["arch"],
            "dataset": facts["dataset"],
            "changes": facts["changes"],
            "parameters": game.parameters(),
            "device": str(game.runtime.device),
            "precision": game.runtime.precision,
            "compiled": not game.uncompiled,
            "uncompiled": game.uncompiled or None,
            "threads": torch.get_num_threads(),
            "processes": game.runtime.processes.world,
        }

    def _progress(self) -> Mapping[str, Any]:
        state, plan = self._game.state, self._game.plan
        return {
            "step": state.step,
            "epochs": round(state.step / plan.steps_per_epoch, 3),
            "images_seen": state.images_seen,
            "elapsed_seconds": round(state.elapsed_seconds, 3),
            "best": state.counters()["best"],
        }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
