"""gancli itself, as `gancli train` runs it, metrics, saves and all: it is held between two steps while it is not its turn."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from serving import Turns, options

from gancli.settings import resolve
from gancli.training.events import CheckpointSaved, Progress, RunStarted
from gancli.training.run import train

if TYPE_CHECKING:
    from distance import Milestones

    from gancli.training.events import Event


class Watch:
    """Tells what happens in a run, and measures what it saves if there are milestones to do so."""

    def __init__(self, turns: Turns, milestones: Milestones | None) -> None:
        self._turns = turns
        self._milestones = milestones

    def __call__(self, event: Event) -> None:
        """See :func:`gancli.training.run.train`."""
        match event:
            case RunStarted():
                software = f"torch {torch.__version__}, {event.precision}"
                self._turns.begin(parameters=dict(event.parameters), software=software, precision=event.precision)
            case Progress():
                self._turns.facts.update({name: event.metrics[name] for name in ("d_loss", "g_loss")})
            case CheckpointSaved() if self._milestones:
                self._milestones.pass_by(lambda: _pictures(event.path))


def _pictures(checkpoint: Path):
    """Of the averaged generator, in batches."""
    from distance import PICTURES

    import gancli

    return gancli.load(checkpoint=checkpoint).batches(range(PICTURES))


def main() -> None:
    """Steps on request, of a run in a place of its own."""
    told = options()
    config = resolve(files=[Path(file) for file in told["files"]], assignments=told["settings"], environment={}).config
    cuda = config.runtime.device.startswith("cuda")
    turns = Turns(torch.cuda.synchronize if cuda else lambda: None)
    milestones = None
    if told.get("measure"):
        from distance import Milestones

        milestones = Milestones(turns)
    with TemporaryDirectory() as place, suppress(BrokenPipeError):
        ended = train(
            config,
            runs_dir=Path(place),
            observe=Watch(turns, milestones),
            stop=lambda: 0 if turns.after_step() else signal.SIGTERM,
        )
        if ended.status == "done":
            turns.end()


if __name__ == "__main__":
    main()
