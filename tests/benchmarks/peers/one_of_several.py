"""One process of a training in several: it takes steps, or sums up over all processes what a step sums up, as it is asked."""

from __future__ import annotations

import torch
from serving import Turns, options, serve

from gancli.config.resolve import resolve
from gancli.runtime.launch import joined
from gancli.training.setup import set_up


def main() -> None:
    """Steps or sums on request."""
    turns = Turns()
    with joined(lambda _: None) as processes:
        game = set_up(resolve(assignments=options()["settings"], environment={}).config, processes)
        networks = [player.network for player in game.state.trained.values()]
        buffers = sum(b.numel() for network in networks for b in network.buffers() if b.is_floating_point())
        flat = [torch.zeros(game.parameters()[name] + buffers) for name in game.state.trained]
        works = {"step": game.step, "sum": lambda: [processes.sum([tensor]) for tensor in flat]}

        def work() -> None:
            works[turns.asked["what"]]()

        serve(work, turns, bytes=sum(4 * tensor.numel() for tensor in flat))


if __name__ == "__main__":
    main()
