"""What a launcher says, and what is only said by half."""

import os
from types import SimpleNamespace

import pytest

from gancli.errors import UsageError
from gancli.runtime.launch import follows, joined, launch, launch_on, several_gpus
from gancli.runtime.processes import ALONE

WHOLE = {
    "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500",
}  # fmt: skip


def join(environment):
    return joined(lambda _: None, environment)


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": ""}, {"WORLD_SIZE": "1", "RANK": "0"}])
def test_without_a_launcher_one_process_is_alone(environment):
    with join(environment) as processes:
        assert processes is ALONE
        assert processes.leads
        assert processes.all_reduce_max(15, 2.5) == (15, 2.5)


def test_half_an_environment_is_refused_with_a_way_on():
    with pytest.raises(UsageError, match=r"WORLD_SIZE=2 .* RANK, .*MASTER_PORT\..*torchrun"), join({"WORLD_SIZE": "2"}):
        pass


@pytest.mark.parametrize(
    ("name", "value", "range_"),
    [
        ("WORLD_SIZE", "two", "1 to 1,000,000"),
        ("WORLD_SIZE", "0", "1 to 1,000,000"),
        ("WORLD_SIZE", "-2", "1 to 1,000,000"),
        ("RANK", "2", "0 to 1"),
        ("RANK", "\u0661", "0 to 1"),
        ("LOCAL_RANK", "x", "0 to 1"),
        ("LOCAL_WORLD_SIZE", "3", "1 to 2"),
        ("MASTER_PORT", "9" * 5000, "1 to 65,535"),
    ],
)
def test_nonsense_in_the_environment_is_refused_before_anybody_is_waited_for(name, value, range_):
    with pytest.raises(UsageError, match=f"{name}={value} .* from {range_}"), join({**WHOLE, name: value}):
        pass


@pytest.mark.parametrize(
    ("changes", "expected"), [({}, True), ({"RANK": "0"}, False), ({"WORLD_SIZE": "1"}, False), ({"MASTER_ADDR": ""}, False)]
)
def test_a_follower_is_one_whose_leader_is_announced(changes, expected):
    assert follows({**WHOLE, **changes}) is expected


def test_several_processes_are_started_by_the_launcher_of_torch(monkeypatch):
    started = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("os.execv", lambda _, command: started.append((command, os.environ["OMP_NUM_THREADS"])))
    monkeypatch.setattr("subprocess.run", lambda *_, **__: SimpleNamespace(returncode=3))
    assert launch(["train", "--processes", "2", "--name", "a b"], 2) == 3  # where the process cannot be replaced
    ((command, threads),) = started
    assert command[1:5] == ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    assert command[-7:] == ["-m", "gancli", "train", "--processes", "2", "--name", "a b"]
    assert threads == "4"


@pytest.mark.parametrize(("visible", "expected"), [("", "0,2"), ("4,5,6", "4,6")])
def test_gpus_that_are_named_get_a_process_each(monkeypatch, visible, expected):
    started = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("os.execv", lambda _, command: started.append((command, os.environ["CUDA_VISIBLE_DEVICES"])))
    monkeypatch.setattr("subprocess.run", lambda *_, **__: SimpleNamespace(returncode=0))
    for words in (["train", "--device", "cuda:0,2"], ["train", "--device=cuda:0,2"]):
        launch_on(several_gpus("cuda:0,2"), "cuda:0,2", words)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpus for _, gpus in started] == [expected] * 2
    assert [command[4] for command, _ in started] == ["2", "2"]
    assert [command[-2:] for command, _ in started] == [["--device", "cuda"], ["train", "--device=cuda"]]
