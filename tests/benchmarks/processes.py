"""Two processes with one thread against one with two: `python tests/benchmarks/processes.py [section.key=value ...]`.

Turn by turn on the same two cores, so that a machine that drifts drifts for both; ratios of whole rounds. Also what one step
sums up over the processes, and how long that takes alone.
"""

from __future__ import annotations

import socket
import sys

from interleave import Spread, in_turn, ratio, show
from report import Row, conclude
from worker import PEERS, Team, Worker, threads

ROUNDS, STEPS = 12, 20
ONE, TWO, SUMS = "one process, two threads", "two processes, one thread", "sums of the two, alone"


def start(world: int, cores: int, settings: list[str]) -> list[Worker]:
    """The processes of one training."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    told = {"settings": [f"runtime.threads={cores}", *settings]}
    team = []
    for rank in range(world):
        place = {**common, "RANK": rank, "LOCAL_RANK": rank, "GLOO_SOCKET_IFNAME": "lo"}
        environment = threads(cores) | {name: str(value) for name, value in place.items()}
        team.append(Worker(PEERS / "one_of_several.py", told, environment=environment))
    return team


def turn(team: list[Worker], what: str) -> float:
    """Seconds per step of the slowest process."""
    for worker in team:
        worker.ask(what=what, steps=STEPS)
    return max(worker.answer()["seconds"] for worker in team) / STEPS


def main(settings: list[str]) -> list[Row]:
    """Both ways, in turn."""
    one, two = start(1, 2, settings), start(2, 1, settings)
    with Team(enumerate([*one, *two])):
        summed = [worker.answer()["bytes"] for worker in [*one, *two]][-1]
        works = {ONE: lambda: turn(one, "step"), TWO: lambda: turn(two, "step"), SUMS: lambda: turn(two, "sum")}
        in_turn(works, 1)
        times = in_turn(works, ROUNDS)
    show(times, ONE)
    sums = Spread.of(1e3 * seconds for seconds in times[SUMS])
    return [
        Row.of(f"{TWO}, against {ONE}: times as long", ratio(times, TWO, ONE), ".2f"),
        Row.of(f"summing up {summed / 1e6:.1f} MB on loopback, milliseconds per step", sums, ".1f"),
    ]


if __name__ == "__main__":
    conclude(main(sys.argv[1:]))
