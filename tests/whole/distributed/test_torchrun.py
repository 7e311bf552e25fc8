"""The real launcher: what it starts, stops and starts again, on one machine and on two."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gancli.checkpoint.store import CheckpointStore
from gancli.runs import RunDirectory

TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
ON_LOOPBACK = ("--nproc-per-node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0")
PATIENCE_SECONDS = 120
SIGTERM_GRACE_SECONDS = 30  # after which torchrun kills


class Launch:
    """A torchrun in the background."""

    def __init__(self, folder, options, words, *, name="torchrun", prefix=(), interface="lo"):
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": interface, "PYTHONPATH": str(Path.cwd())}
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        command = [*prefix, *TORCHRUN, *options, "-m", "gancli", "train", *map(str, words)]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, env=variables)

    @property
    def text(self):
        return self.err.read_text()

    def until(self, pattern):
        """Wait until it has said something."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            assert self.process.poll() is None, self.text
            time.sleep(0.02)

    def end(self):
        return self.process.wait(PATIENCE_SECONDS)

    def worker(self, rank):
        """The process id of one of its processes."""
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            if f"\0RANK={rank}\0".encode() in Path(f"/proc/{child}/environ").read_bytes():
                return int(child)
        raise AssertionError(f"no process has rank {rank}")


@pytest.fixture
def launch(tmp_path):
    started = []

    def launch(options, words, **more):
        folder = tmp_path / more.pop("folder", "")
        folder.mkdir(exist_ok=True)
        started.append(Launch(folder, options, words, **more))
        return started[-1]

    yield launch
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.end()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the launcher's processes in /proc")
def test_F55_a_stopped_run_goes_on_loses_a_process_goes_on_by_itself_and_is_exact(launch, words, alone, same_bits, tmp_path):
    settings = words("checkpoint.every_steps=60", "log.every_steps=10", steps=300)
    stopped = launch(ON_LOOPBACK, [*settings, "--name", "parts"], name="stopped")
    stopped.until("step=1 ")
    begin = time.monotonic()
    stopped.process.send_signal(signal.SIGTERM)
    stopped.end()
    assert time.monotonic() - begin < SIGTERM_GRACE_SECONDS
    parts = RunDirectory(tmp_path / "runs/parts")
    stopped_at = CheckpointStore(parts.checkpoints).latest()
    assert len(re.findall(f"saved step={stopped_at} ", stopped.text)) == 1
    assert parts.info()["status"] == "stopped"

    again = launch((*ON_LOOPBACK, "--max-restarts", "1"), ["--resume", "auto", "--name", "parts"], name="again")
    again.until("saved step=")
    os.kill(again.worker(1), signal.SIGKILL)
    assert again.end() == 0, again.text
    assert "is gone (Connection closed by peer" in again.text
    assert len(parts.info()["sessions"]) == 3
    assert again.out.read_text() == "runs/parts\n"
    same_bits(parts, alone(*settings, "-s", "train.accumulate=2"))


def can_make_hosts():
    """Whether two network namespaces with a cable between them can be made here."""
    made = shutil.which("ip") and not any(map(ip, hosts_commands()))
    for name in HOSTS:
        if shutil.which("ip"):
            ip(f"netns del {name}")
    return bool(made)


HOSTS = ("gancli-a", "gancli-b")
CABLE = ("gancli-va", "gancli-vb")


def ip(command):
    return subprocess.run(["ip", *command.split()], capture_output=True, check=False).returncode


def hosts_commands():
    """Two hosts, 10.77.0.1 and 10.77.0.2."""
    yield from (f"netns add {name}" for name in HOSTS)
    yield f"link add {CABLE[0]} netns {HOSTS[0]} type veth peer name {CABLE[1]} netns {HOSTS[1]}"
    for k, (host, cable) in enumerate(zip(HOSTS, CABLE, strict=True), 1):
        yield f"-n {host} addr add 10.77.0.{k}/24 dev {cable}"
        yield f"-n {host} link set {cable} up"
        yield f"-n {host} link set lo up"


@pytest.fixture
def on_two_hosts(launch):
    """``(*command line of train)`` -> a :class:`Launch` on each of two hosts that share nothing but a cable."""
    if not can_make_hosts():
        pytest.skip("needs the rights to make network namespaces")
    assert not any(map(ip, hosts_commands()))

    def start(*words):
        return [
            launch(
                ("--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", "10.77.0.1:29477",
                 "--rdzv-id", "test", "--rdzv-conf", f"is_host={k == 1}", "--local-addr", f"10.77.0.{k}"),
                words, folder=host, prefix=("ip", "netns", "exec", host), interface=cable,
            )
            for k, (host, cable) in enumerate(zip(HOSTS, CABLE, strict=True), 1)
        ]  # fmt: skip

    yield start
    for host in HOSTS:
        ip(f"netns del {host}")


def test_F54_two_hosts_are_one_process_with_two_micro_steps(on_two_hosts, words, alone, same_bits, tmp_path):
    settings = words(steps=20)
    both = on_two_hosts(*settings, "--name", "r")
    assert [one.end() for one in both] == [0, 0], both[0].text + both[1].text
    made = [host for host in HOSTS if (tmp_path / host / "runs").exists()]
    assert len(made) == 1  # only process 0 needs the run directory
    same_bits(RunDirectory(tmp_path / made[0] / "runs/r"), alone(*settings, "-s", "train.accumulate=2"))


def test_F55_a_cut_cable_ends_both_hosts_in_time(on_two_hosts, words):
    both = on_two_hosts(*words("runtime.peer_timeout_seconds=4", steps=10**6), "--name", "r")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "saved step=" not in both[0].text + both[1].text:
        assert time.monotonic() < deadline, both[0].text + both[1].text
        time.sleep(0.05)
    assert ip(f"-n {HOSTS[0]} link set {CABLE[0]} down") == 0
    begin = time.monotonic()
    for one in both:
        one.until("error: One of the 2 processes is gone")
    assert time.monotonic() - begin < 60


SLURM = Path(__file__).parents[3] / "examples/several-machines/slurm.sh"
STAND_INS = {
    "srun": 'exec "$@"',
    "scontrol": '[ "$1" = show ] && echo 127.0.0.1 || echo "$@" >> requeued',
    "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the launcher in /proc")
def test_the_slurm_script_goes_on_after_a_pre_emption(words, tmp_path):
    """Slurm sends SIGTERM, queues the job again and runs the same script under the same number."""
    for name, line in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a", "SLURM_NNODES": "1", "SLURM_GPUS_ON_NODE": "1"}
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}
    command = ["bash", str(SLURM), *map(str, words("checkpoint.every_steps=1000", steps=1200))]
    log = tmp_path / "log"

    def attempt():
        with log.open("wb") as stream:
            return subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **job, **path}, stderr=stream)

    first = attempt()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "ended step=108 " not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    launcher = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()[-1]
    os.kill(int(launcher), signal.SIGTERM)
    assert first.wait(PATIENCE_SECONDS)
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"
    assert attempt().wait(PATIENCE_SECONDS) == 0, log.read_text()
    info = RunDirectory(tmp_path / "runs/job-7").info()
    assert (info["status"], info["step"], len(info["sessions"])) == ("done", 1200, 2)
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"
