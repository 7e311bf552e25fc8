"""Two processes with one thread against one with two: `python tests/benchmarks/processes.py [section.key=value ...]`.

Turn by turn on the same two cores, so that a machine that drifts drifts for both; ratios of whole rounds. Also what one step
sums up over the processes, and how long that takes alone.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time

ROUNDS, STEPS = 12, 20


def play(assignments: list[str]) -> None:
    """A process that plays :data:`STEPS` steps whenever it is told to, and says how long a step took."""
    import torch

    from gancli.settings import resolve
    from gancli.training.joining import joined
    from gancli.training.setup import set_up

    with joined(lambda _: None) as processes:
        game = set_up(resolve(assignments=assignments, environment={}).config, processes)
        networks = [player.network for player in game.state.players.values()]
        buffers = sum(b.numel() for network in networks for b in network.buffers() if b.is_floating_point())
        flat = [torch.zeros(game.parameters()[name] + buffers) for name in game.state.players]
        works = {"step": game.step, "sum": lambda: [processes.sum([tensor]) for tensor in flat]}
        print(sum(4 * tensor.numel() for tensor in flat), flush=True)
        for line in sys.stdin:
            start = time.perf_counter()
            for _ in range(STEPS):
                works[line.strip()]()
            print((time.perf_counter() - start) / STEPS, flush=True)


def start(world: int, threads: int, assignments: list[str]) -> list[subprocess.Popen[str]]:
    """The processes of one training."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    team = []
    for rank in range(world):
        variables = {**common, "RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": threads, "GLOO_SOCKET_IFNAME": "lo"}
        environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        command = [sys.executable, __file__, "--play", f"runtime.threads={threads}", *assignments]
        pipe = subprocess.PIPE
        team.append(subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True))
    return team


def tell(team: list[subprocess.Popen[str]], what: str) -> float:
    """Seconds per step of the slowest process."""
    for process in team:
        assert process.stdin is not None
        process.stdin.write(f"{what}\n")
        process.stdin.flush()
    return max(float(process.stdout.readline()) for process in team if process.stdout)


def main(assignments: list[str]) -> None:
    """Both ways, in turn."""
    teams = {"one process, two threads": start(1, 2, assignments), "two processes, one thread": start(2, 1, assignments)}
    sizes = [int(process.stdout.readline()) for team in teams.values() for process in team if process.stdout]
    times: dict[str, list[float]] = {name: [] for name in teams}
    for team in teams.values():
        tell(team, "step")
    for _ in range(ROUNDS):
        for name, team in teams.items():
            times[name].append(tell(team, "step"))
    sums = [tell(teams["two processes, one thread"], "sum") for _ in range(ROUNDS)]
    for team in teams.values():
        for process in team:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
    for name, values in times.items():
        print(f"{name}: median {statistics.median(values) * 1e3:.1f} ms per step, least {min(values) * 1e3:.1f}")
    one, two = times.values()
    print(f"two processes take {statistics.median(b / a for a, b in zip(one, two, strict=True)):.2f} of the time of one")
    print(f"summed per step: {sizes[-1] / 1e6:.2f} MB, in {statistics.median(sums) * 1e3:.1f} ms on loopback")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--play"]:
        play(sys.argv[2:])
    else:
        main(sys.argv[1:])
