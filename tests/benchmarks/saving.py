"""What a checkpoint costs: `python tests/benchmarks/saving.py`. Target: under 3 % of the default run (one per epoch)."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from epoch import default_game, share
from report import Row, conclude

from gancli.checkpoint.store import CheckpointStore


def main() -> list[Row]:
    """Steps and saves in turn."""
    game = default_game()
    state = game.state
    with TemporaryDirectory(dir=Path.cwd()) as folder:
        store = CheckpointStore(Path(folder))

        def save() -> None:
            culprit = state.non_finite()
            assert culprit is None
            facts = game.facts().document()
            store.save(state.step, state.files(facts), images_seen=state.images_seen, facts=facts)
            store.prune(2)

        return [
            Row.of("one checkpoint of the default model, against an epoch", share(game, {"save": save}), ".1%", at_most=0.03)
        ]


if __name__ == "__main__":
    conclude(main())
