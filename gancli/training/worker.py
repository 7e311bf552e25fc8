"""Process 0 and the others, before and during a training: two halves of one conversation, each a few lines.

====  =========================================  ==========================================
      process 0 (:mod:`.run`, :mod:`.session`)   each other one (:func:`follow`)
====  =========================================  ==========================================
1     tells the configuration, and versions      hears it; compares its own
2     loads pictures, builds networks            likewise
3     tells fingerprint, plugins, device         compares them with its own
4     agrees that all are ready                  agrees
5     makes or opens the run directory
6     sends the state                            takes it over
7     plays a step; writes down what happens     plays the same step on its own shares
8     agrees whether to go on: again 7           agrees
9     saves
10    agrees that all is saved                   agrees
====  =========================================  ==========================================

So nothing is created before everybody could begin, everybody begins with the same bits, and only the machine of process 0
needs the run directory.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gancli.config.schema import RunConfig
from gancli.data.source import located
from gancli.errors import ConfigError, DatasetError
from gancli.plugins.registry import OBJECTIVES
from gancli.runs import RunDirectory
from gancli.training.record import run_ended, run_started
from gancli.training.setup import set_up
from gancli.training.snapshot import pack, unpack_files
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gancli.data import Watch
    from gancli.events import Event, RunEnded
    from gancli.runtime.processes import Processes
    from gancli.training.setup import Game

__all__ = ["follow", "hand_out", "play_on", "set_up_together"]


def set_up_together(config: RunConfig, processes: Processes, watch: Watch) -> Game:
    """Steps 1 to 4 of process 0: the game, which all others could set up as well; ``watch`` is told about the pictures.

    Raises:
        GancliError: whatever is wrong with it, here or in another process.
    """
    processes.tell({"config": config.model_dump(mode="json"), "versions": _versions()})
    game = set_up(located(config), processes, watch)  # a relative path is of each machine's own folder
    processes.tell({"fingerprint": game.data.fingerprint, "equipment": _equipment(game)})
    _ready(game)
    return game


def hand_out(game: Game, run: RunDirectory) -> None:
    """Step 6 of process 0: everybody begins with these bits."""
    processes, plan, state = game.runtime.processes, game.plan, game.state
    processes.tell({"run": str(run.path), "extended_at": plan.extended_at, "elapsed_seconds": state.elapsed_seconds})
    processes.send(lambda: pack(state))


def play_on(game: Game, signal: int) -> int:
    """Step 8 of everybody: the signal that asks to stop, or 0; the clock is process 0's."""
    processes, state = game.runtime.processes, game.state
    stop, state.elapsed_seconds = processes.agree(signal, state.elapsed_seconds if processes.leads else 0.0)
    return stop


def follow(*, processes: Processes, observe: Callable[[Event], None], stop: Callable[[], int]) -> RunEnded:
    """Be one of the processes that process 0 leads, to the end of its run.

    Args:
        processes: all of them.
        observe: is told when the first step is about to be taken, and nothing else.
        stop: asked after every step; when it returns a signal's number, all processes stop.

    Raises:
        GancliError: something is wrong here, or another process has failed; all end with the same exit code.
    """
    told = processes.hear()
    _refuse_other_equipment(_versions(), told["versions"], processes)
    game = set_up(located(RunConfig.model_validate(told["config"])), processes)
    told = processes.hear()
    _refuse_other_pictures(game, told["fingerprint"])
    _refuse_other_equipment(_equipment(game), told["equipment"], processes)
    _ready(game)
    told = processes.hear()
    game = replace(game, plan=replace(game.plan, extended_at=told["extended_at"]))
    unpack_files(processes.receive(), game.state, "what process 0 sends")
    game.state.elapsed_seconds = told["elapsed_seconds"]
    run = RunDirectory(Path(told["run"]))
    observe(run_started(game, run))
    signal = 0
    while not signal and not game.is_over:
        game.step()
        signal = play_on(game, stop())
    processes.agree(0, 0.0)
    return run_ended(game, run, signal)


def _ready(game: Game) -> None:
    """Wait for the slowest to have loaded its pictures; from now on nobody has a reason to be late."""
    game.runtime.processes.agree(0, 0.0)
    game.runtime.processes.wait_at_most(game.config.runtime.peer_timeout_seconds)


def _refuse_other_pictures(game: Game, fingerprint: str) -> None:
    if game.data.fingerprint != fingerprint:
        raise DatasetError(
            f"The data set '{game.data.name}' is not the same in every process "
            f"(fingerprint {game.data.fingerprint[:12]}, not {fingerprint[:12]}).",
            "Give every machine the same pictures under that name.",
        )


def _versions() -> dict[str, str]:
    """What has to be the same before a configuration means the same."""
    return {"gancli": __version__, "torch": str(torch.__version__)}


def _equipment(game: Game) -> dict[str, str]:
    """What each process finds on its own machine: plugins, and what `auto` has chosen."""
    plugins = {"arch": game.arch, "objective": OBJECTIVES.find(game.config.objective.name)}
    return {
        **{f"{kind} {entry.name}": f"{entry.distribution} {entry.version}".strip() for kind, entry in plugins.items()},
        "device": game.runtime.device.type,
        "precision": game.runtime.precision,
    }


def _refuse_other_equipment(ours: Mapping[str, str], theirs: Mapping[str, str], processes: Processes) -> None:
    other = [f"{name}: {value}, not {theirs.get(name)}" for name, value in ours.items() if value != theirs.get(name)]
    if other:
        raise ConfigError(
            f"Process {processes.rank} would play with something else than process 0 ({'; '.join(other)}).",
            "Install the same everywhere, and choose --device and --precision instead of leaving them to each machine.",
        )
