"""From what a launcher says in the environment to the processes of a training.

`torchrun` starts them. Process 0 leads: it alone reads the command line, prints, and touches the run directory; the others
receive the configuration from it, and compute their part of every batch.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gancli.errors import GancliError, UsageError
from gancli.runtime.processes import ALONE, Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


NEEDED = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
REMEDY = "Start them with `gancli train --processes 2 ...`, or with torchrun; or unset WORLD_SIZE."
MOST = 1_000_000


def follows(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is, by what its launcher says, one of several processes that process 0 speaks for."""
    several = environment.get("WORLD_SIZE", "") not in ("", "1")
    return several and all(environment.get(name) for name in NEEDED) and environment["RANK"] != "0"


def launch(argv: Sequence[str], count: int) -> int:
    """Start a command line in ``count`` processes of this machine by torchrun; its exit code.

    Where the system can, torchrun takes the place of this process, so that signals reach it as they would reach gancli.
    """
    meeting = "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"
    torchrun = sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), *meeting
    command = [*torchrun, "-m", "gancli", *argv]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    if os.name == "posix":
        os.execv(sys.executable, command)  # noqa: S606  (no shell is wanted)
    import subprocess

    return subprocess.run(command, check=False).returncode  # noqa: S603  (the user's own words)


def several_gpus(device: str | None) -> list[str]:
    """The GPUs that ``cuda:0,2`` names, as this process counts them; empty for anything else.

    >>> several_gpus("cuda:0,2"), several_gpus("cuda:0"), several_gpus("cuda"), several_gpus(None)
    (['0', '2'], [], [], [])
    """
    numbers = (device or "").removeprefix("cuda:").split(",")
    return numbers if len(numbers) > 1 and all(number.isdigit() for number in numbers) else []


def launch_on(gpus: Sequence[str], device: str, argv: Sequence[str]) -> int:
    """Start a command line, with cuda in place of ``device``, in a process for each of these GPUs; its exit code."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    known = dict(enumerate(visible.split(","))) if visible else {}
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(known.get(int(gpu), gpu) for gpu in gpus)
    words = {device: "cuda", f"--device={device}": "--device=cuda"}
    return launch([words.get(word, word) for word in argv], len(gpus))


@contextmanager
def joined(
    explain: Callable[[BaseException], GancliError | None], environment: Mapping[str, str] = os.environ
) -> Iterator[Processes]:
    """The processes of the training that this one was started for; within the block it is one of them.

    ``explain`` gives the expected failure that an exception is, or None if it is a bug: what the others report of it.
    """
    world = _number(environment, "WORLD_SIZE", 1, MOST) if environment.get("WORLD_SIZE") else 1
    if world == 1:
        yield ALONE
        return
    missing = [name for name in NEEDED if not environment.get(name)]
    if missing:
        raise UsageError(f"WORLD_SIZE={world} announces several processes, without {', '.join(missing)}.", REMEDY)
    _number(environment, "RANK", 0, world - 1)
    _number(environment, "MASTER_PORT", 1, 65535)
    neighbours = _number(environment, "LOCAL_WORLD_SIZE", 1, world)
    place = _number(environment, "LOCAL_RANK", 0, neighbours - 1)
    from gancli.runtime.distributed import SeveralProcesses  # with torch, which one process alone may still do without

    processes = SeveralProcesses(place, neighbours, launched=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True")
    try:
        yield processes
    except BaseException as error:
        processes.tell_failure(explain(error) or error)
        processes.leave(in_order=False)
        raise
    processes.leave(in_order=True)


def _number(environment: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = environment[name]
    if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
        raise UsageError(f"{name}={text} in the environment is not a number from {least} to {most:,}.", REMEDY)
    return int(text)
