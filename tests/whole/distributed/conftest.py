"""Several processes on the loopback interface, as torchrun starts them, but forked: they need not import torch again.

They are forked by a server without threads: a lock that a thread of this process holds would stay held in them for ever.
"""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import cloudpickle
import pytest
import torch
from torch.distributed import TCPStore

from gancli.cli.app import run
from gancli.data.arrays import header
from gancli.runs import RunDirectory

PATIENCE_SECONDS = 120
FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["torch", "torch._inductor.config", "gancli.cli.app", "gancli.training.run"])
ARCHITECTURES = {
    "dense": (
        "arch.generator_widths=[16]", "arch.discriminator_widths=[16]", "arch.dropout=0.3",
        "objective.gradient_penalty=0.1", "objective.penalty_interval_steps=4",
    ),
    "dcgan": (
        "arch.name=dcgan", "arch.channels=4", "arch.max_channels=8", "arch.discriminator_norm=batch", "objective.r1_gamma=0",
        "train.real_fake_batch=separate", "augment.mode=off",
    ),
    "spectral": ("arch.name=dcgan", "arch.channels=4", "arch.max_channels=8", "arch.discriminator_norm=spectral"),
    "resnet": ("arch.name=resnet", "arch.channels=8", "arch.max_channels=8"),
    "cut": ("arch.name=cut", "arch.channels=4", "arch.blocks=1", "arch.nce_dim=8", "arch.patches=8"),
    "cyclegan": ("arch.name=cyclegan", "arch.channels=4", "arch.blocks=1", "arch.pool_size=0"),
}  # fmt: skip
"""Between them: dropout, a penalty that draws, augmentation, batch statistics in both players, power iteration."""


@dataclass
class Team:
    """Forked processes by rank, each in a directory of its own and with its two streams in files."""

    home: Path
    processes: list[multiprocessing.Process] = field(default_factory=list)
    ended: dict[int, tuple[int, float]] = field(default_factory=dict)

    def folder(self, rank):
        return self.home / f"rank{rank}"

    def text(self, rank, stream="err"):
        return (self.folder(rank) / stream).read_text()

    def send(self, rank, number):
        os.kill(self.processes[rank].pid, number)

    def until(self, condition):
        """Wait until something is true."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, [self.text(rank) for rank in range(len(self.processes))]
            time.sleep(0.005)

    def _reap(self):
        for rank, process in enumerate(self.processes):
            if rank not in self.ended and process.exitcode is not None:
                self.ended[rank] = process.exitcode, time.monotonic()
        return len(self.ended)

    def codes(self, *, but=()):
        """The exit codes, by rank, when all have ended but those in ``but``."""
        self.until(lambda: self._reap() and set(self.ended) | set(but) == set(range(len(self.processes))))
        return {rank: self.ended[rank][0] for rank in sorted(self.ended)}

    def kill(self):
        for process in self.processes:
            process.kill()
            process.join()


def environment(rank, world, port):
    """What torchrun tells a process."""
    return {
        "RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
        "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0",
    }  # fmt: skip


def child(work, rank, folder, variables):
    """What a forked process does; it never returns."""
    code = 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        for number, stream in ((1, "out"), (2, "err")):
            os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
        sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))  # noqa: SIM115  (they stay open)
        for name in ("SIGINT", "SIGTERM"):
            signal.signal(getattr(signal, name), signal.SIG_DFL if name == "SIGTERM" else signal.default_int_handler)
        os.environ.update(variables)
        torch.set_num_threads(1)
        code = work(rank) or 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


class ByValue:
    """A function of a test, closures included, for another process."""

    def __init__(self, function):
        self.function = function

    def __reduce__(self):
        for name in {self.function.func.__module__, self.function.args[0].__module__}:
            cloudpickle.register_pickle_by_value(sys.modules[name])
        return cloudpickle.loads, (cloudpickle.dumps(self.function),)


@pytest.fixture
def team(tmp_path):
    """``(work, world=2)`` -> a :class:`Team`, each of which does ``work(rank)`` and exits with what that returns."""
    torch.set_num_threads(1)
    started = []

    def start(work, world=2, name="team"):
        store = TCPStore("127.0.0.1", 0, None, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=60))
        members = Team(tmp_path / name)
        started.append((members, store))
        for rank in range(world):
            call = partial(child, work, rank, members.folder(rank), environment(rank, world, store.port))
            process = FORKING.Process(target=ByValue(call))
            process.start()
            members.processes.append(process)
        return members

    yield start
    for members, _ in started:
        members.kill()


@pytest.fixture
def train_in(team):
    """``(*command line of train, world=2)`` -> a :class:`Team` that trains."""

    def start(*words, world=2, name="team", before=lambda _rank: None):
        def work(rank):
            before(rank)
            return run(["train", *map(str, words)])

        return team(work, world, name)

    return start


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with 300 IDX pictures of 16x16."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = torch.randint(0, 256, (300, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    for name, images in ((".", pixels), ("targets", 255 - pixels.flip(0))):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "train-images-idx3-ubyte").write_bytes(header((300, 16, 16)) + images.numpy().tobytes())
    return folder


@pytest.fixture
def words(pictures):
    """``(*assignments)`` -> the command line of a small training: 50 steps unless told otherwise."""

    def make(*assignments, arch="dense", steps=50):
        small = (
            *ARCHITECTURES[arch], f"data.dataset={pictures}", f"train.images={32 * steps}", "train.batch_size=32",
            "log.every_steps=5", "log.previews=4",
            "checkpoint.every_steps=10", "runtime.device=cpu", "runtime.precision=fp32", "runtime.threads=1",
            "runtime.peer_timeout_seconds=60",
            *([f"data.to={pictures / 'targets'}"] if arch in {"cut", "cyclegan"} else []),
        )  # fmt: skip
        return [word for assignment in (*small, *assignments) for word in ("-s", assignment)]

    return make


@pytest.fixture
def alone(tmp_path):
    """``(*command line of train)`` -> the directory of a run in this process alone."""

    def train(*words):
        assert run(["-q", "train", *words, "--name", "alone", "--runs-dir", str(tmp_path)]) == 0
        return RunDirectory(tmp_path / "alone")

    return train
