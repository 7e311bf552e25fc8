import shlex
from pathlib import Path

from gancli.cli.farewell import farewell, free_name, launched, program
from gancli.cli.output import Output
from gancli.events import RunEnded


def said(capsys, ended):
    farewell(Output(), ended)
    return [line.removeprefix("next    ") for line in capsys.readouterr().err.splitlines() if line.startswith("next")]


def test_commands_for_a_run_elsewhere_name_it_and_are_quoted(capsys):
    run = Path("my runs/it's")
    ended = RunEnded(run, "stopped", 8, 2.0, 65.0, run / "checkpoints/step-000000008")
    resume, sample = (shlex.split(line) for line in said(capsys, ended))
    assert resume == ["gancli", "train", "--resume", "my runs/it's"]
    assert sample == ["gancli", "sample", "-n", "64", "-o", "grid.png", "--run", "my runs/it's"]


def test_the_next_grid_gets_a_free_name():
    Path("grid.png").touch()
    Path("grid-2.png").touch()
    assert free_name("grid.png") == "grid-3.png"


def test_a_model_of_a_file_gets_the_file_again(capsys):
    run = Path("runs/a")
    ended = RunEnded(run, "done", 8, 2.0, 65.0, run / "checkpoints/step-000000008", arch="./my arch.py:Mine")
    sample, _ = (shlex.split(line) for line in said(capsys, ended))
    assert sample[-2:] == ["--arch", "./my arch.py:Mine"]


def test_several_processes_are_told_how_to_start_as_many_again():
    two = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
    assert " ".join(launched(two)) == "torchrun --nproc-per-node 2 -m gancli"
    eight = {"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "first"}
    meeting = "--nnodes 2 --rdzv-backend c10d --rdzv-endpoint first:29400"
    assert " ".join(launched(eight)) == f"torchrun {meeting} --nproc-per-node 4 -m gancli"
    assert launched({}) == [program()]


def test_a_finished_run_says_how_to_train_longer(capsys):
    run = Path("runs/a")
    ended = RunEnded(run, "done", 8, 2.0, 65.0, run / "checkpoints/step-000000008", from_step=8)
    longer, _ = (shlex.split(line) for line in said(capsys, ended))
    assert longer[-5:] == ["train", "--resume", "a", "--epochs", "4"]
    farewell(Output(), ended)
    assert capsys.readouterr().err.startswith("This run was finished already: 2 epochs, 8 steps")


def test_a_run_of_no_use_is_not_congratulated(capsys):
    run = Path("runs/a")
    farewell(Output(), RunEnded(run, "done", 8, 1.0, 65.0, run, warning="8 steps are too few."))
    text = capsys.readouterr().err
    assert "done    1 epoch, 8 steps" in text
    assert "but     8 steps are too few." in text
    assert "--resume a --epochs 2" in text.splitlines()[-2]
