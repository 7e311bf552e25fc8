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


def test_the_commands_at_the_end_of_a_translation_work_when_pasted(cli, grey_and_colour):
    small = ["-s", "arch.channels=4", "-s", "arch.blocks=1", "-s", "arch.patches=4", "-s", "arch.nce_dim=8"]
    sets = ["--dataset", grey_and_colour / "grey", "--to", grey_and_colour / "colour"]
    result = cli("train", *sets, "--images", "8", "--device", "cpu", *small)
    assert result.code == 0
    commands = [line.removeprefix("next    gancli ") for line in result.err.splitlines() if line.startswith("next")]
    assert [cli(*shlex.split(command)).code for command in commands if command.startswith("translate")] == [0]
    assert len(list(Path("translated").glob("*.png"))) == 6  # the test split
    assert "what `translate` uses" in result.err
    evaluated = cli("evaluate", "--against", "train", "--json", "--device", "cpu").json
    assert {"FD-random", "FD-random of the input"} <= set(evaluated["figures"])
    refused = cli("evaluate", "--seed", "3", "--device", "cpu")
    assert (refused.code, "--seed 3 means nothing" in refused.err) == (2, True)
