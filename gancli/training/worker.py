"""Process 0 and the workers, before and during a training: two halves of one conversation.

====  =========================================  ==========================================
      process 0 (:mod:`.run`, :mod:`.session`)   each worker (:func:`worker_loop`)
====  =========================================  ==========================================
1     broadcasts the configuration and versions  compares the versions with its own
2     loads images, builds networks              likewise
3     broadcasts fingerprint, plugins, device    compares them with its own
4     waits until all are ready                  likewise
5     makes or opens the run directory
6     broadcasts the state                       takes it over
7     takes a step; writes down what happens     takes the same step on its own micro-batches
8     all-reduces whether to stop; else again 7  likewise
9     saves, and waits until all is saved        waits likewise
====  =========================================  ==========================================

So nothing is created before all can begin, all begin with the same bits, and only process 0's machine needs the run directory.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gancli.config.schema import RunConfig
from gancli.data import unwatched
from gancli.data.source import located
from gancli.errors import ConfigError, DatasetError
from gancli.events import Event, Preparing, RunEnded
from gancli.plugins.registry import OBJECTIVES
from gancli.runs import RunDirectory
from gancli.training.record import run_ended, run_started
from gancli.training.setup import Training, set_up
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gancli.runtime.processes import Processes


def set_up_together(config: RunConfig | None, processes: Processes, observe: Callable[[Event], None] | None = None) -> Training:
    """Steps 1 to 4 of every process: the same training in each. Only process 0 has a configuration, and observes."""
    document = None if config is None else config.model_dump(mode="json")
    versions = {"gancli": __version__, "torch": str(torch.__version__)}
    received = processes.broadcast({"config": document, "versions": versions})
    _refuse_other_equipment(versions, received["versions"], processes)
    config = config or RunConfig.model_validate(received["config"])
    watch = unwatched if observe is None else lambda what, done, total: observe(Preparing(what, done, total))
    training = set_up(located(config), processes, watch)  # a relative path is of each machine's own folder
    arch, objective = training.arch, OBJECTIVES.find(config.objective.name)
    equipment = {
        f"arch {arch.name}": f"{arch.distribution} {arch.version}".strip(),
        f"objective {objective.name}": f"{objective.distribution} {objective.version}".strip(),
        "device": training.runtime.device.type,
        "precision": training.runtime.precision,
    }
    fingerprint = training.data.fingerprint
    received = processes.broadcast({"fingerprint": fingerprint, "equipment": equipment})
    if received["fingerprint"] != fingerprint:
        raise DatasetError(
            f"The data set '{training.data.name}' is not the same in every process "
            f"(fingerprint {fingerprint[:12]}, not {received['fingerprint'][:12]}).",
            "Give every machine the same images under that name.",
        )
    _refuse_other_equipment(equipment, received["equipment"], processes)
    training.stop_signal()  # waits for the slowest to have loaded its images; from now on nobody has a reason to be late
    processes.wait_at_most(training.config.runtime.peer_timeout_seconds)
    return training


def broadcast_state(training: Training, run: RunDirectory) -> None:
    """Step 6 of process 0: everybody begins with these bits."""
    processes, plan, state = training.runtime.processes, training.plan, training.state
    times = {"elapsed_seconds": state.elapsed_seconds, "schedule_seconds": state.schedule_seconds}
    processes.broadcast({"run": str(run.path), "extended_at": plan.extended_at, **times})
    processes.broadcast_files(state.files)


def worker_loop(*, processes: Processes, observe: Callable[[Event], None], stop: Callable[[], int]) -> RunEnded:
    """Be one of the processes that process 0 leads, to the end of its run; ``observe`` sees nothing but its start."""
    training = set_up_together(None, processes)
    received = processes.broadcast({})
    training = replace(training, plan=replace(training.plan, extended_at=received["extended_at"]))
    training.state.load(processes.broadcast_files(dict), "what process 0 sends")
    training.state.elapsed_seconds = received["elapsed_seconds"]
    training.state.schedule_seconds = received["schedule_seconds"]
    run = RunDirectory(Path(received["run"]))
    observe(run_started(training, run))
    signal = 0
    while not signal and not training.is_over:
        training.step()
        signal = training.stop_signal(stop())
    training.stop_signal()
    return run_ended(training, run, signal)


def _refuse_other_equipment(ours: Mapping[str, str], theirs: Mapping[str, str], processes: Processes) -> None:
    other = [f"{name}: {value}, not {theirs.get(name)}" for name, value in ours.items() if value != theirs.get(name)]
    if other:
        raise ConfigError(
            f"Process {processes.rank} has a different environment than process 0 ({'; '.join(other)}).",
            "Install the same everywhere, and choose --device and --precision instead of leaving them to each machine.",
        )
