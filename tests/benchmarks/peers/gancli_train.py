"""gancli itself, as `gancli train` runs it, metrics, saves and all: it is held between two steps while it is not its turn."""

from __future__ import annotations

import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from serving import Turns, options

from gancli.config.resolve import resolve
from gancli.events import CheckpointSaved, Progress, RunStarted
from gancli.training.run import train

if TYPE_CHECKING:
    from distance import Milestones

    from gancli.events import Event


class Watch:
    """Says what happens in a run; measures what it saves, if there are milestones."""

    def __init__(self, turns: Turns, milestones: Milestones | None, images: int) -> None:
        self._turns = turns
        self.milestones = milestones
        self._images = images

    def __call__(self, event: Event) -> None:
        """See :func:`gancli.training.run.train`."""
        match event:
            case RunStarted():
                software = f"torch {torch.__version__}, {event.precision}"
                self._turns.begin(parameters=dict(event.parameters), software=software, precision=event.precision)
            case Progress():
                self._turns.facts.update({name: event.metrics[name] for name in ("d_loss", "g_loss")})
            case CheckpointSaved():
                self.measure(event.path)

    def measure(self, checkpoint: Path, *, always: bool = False) -> None:
        """The averaged generator, if it is time to."""
        import gancli

        if self.milestones:
            self.milestones.pass_by(lambda: gancli.load(checkpoint=checkpoint).batches(range(self._images)), always=always)


def main() -> None:
    """Steps on request, of a run in a place of its own."""
    told = options()
    config = resolve(files=[Path(file) for file in told["files"]], assignments=told["settings"], environment={}).config
    turns = Turns(torch.cuda.synchronize if config.runtime.device == "cuda" else lambda: None)
    milestones = None
    if told.get("images"):
        from distance import Milestones

        milestones = Milestones(turns)
    watch = Watch(turns, milestones, told.get("images", 0))

    def stop() -> int:
        if turns.after_step():
            return 0
        watch.milestones = None  # nobody is there to be told
        return signal.SIGTERM

    with TemporaryDirectory() as place:
        ended = train(config, runs_dir=Path(place), observe=watch, stop=stop)
        if ended.status == "done":
            watch.measure(ended.checkpoint, always=True)
            turns.end()


if __name__ == "__main__":
    main()
