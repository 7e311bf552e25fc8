import json
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gancli.cli.output import Output
from gancli.cli.train import farewell, launched, program
from gancli.errors import DivergedError
from gancli.events import CheckpointSaved, Progress, RunEnded, RunStarted
from gancli.storage.lock import run_lock

RUN = Path("runs/a-run")
pytestmark = pytest.mark.usefixtures("engine")


class Engine:
    """Stands in for gancli.training.run: emits a few events, and remembers how it was called."""

    def __init__(self):
        self.calls = []
        self.during = lambda: None
        self.run = RUN

    def train(self, config, **options):
        return self._play("train", config=config, **options)

    def resume(self, run, **options):
        return self._play("resume", run=run, **options)

    def _play(self, what, *, observe, stop, **options):
        self.calls.append({"what": what, **options})
        observe(RunStarted(self.run, "64 images 1x8x8, tiny", "dense", {"generator": 10}, "cpu", "fp32", 0, 2, 8))
        observe(Progress(4, 1, 0.5, {"d_loss": 1.25, "g_loss": 0.5}, 100.0, 3.0))
        self.during()
        observe(CheckpointSaved(4, self.run / "checkpoints/step-000000004"))
        signal = stop()
        status = "stopped" if signal else "done"
        places = self.run / "checkpoints/step-000000008", self.run / "samples/8.png"
        return RunEnded(self.run, status, 8, 2.0, 65.0, *places, signal=signal)


@pytest.fixture
def engine(monkeypatch):
    engine = Engine()
    monkeypatch.setitem(sys.modules, "gancli.training.run", SimpleNamespace(train=engine.train, resume=engine.resume))
    return engine


@pytest.fixture
def stored():
    """A run directory with a configuration and something like a checkpoint."""
    (RUN / "checkpoints/step-000000004").mkdir(parents=True)
    (RUN / "checkpoints/step-000000004/manifest.json").touch()
    (RUN / "config.json").write_text(json.dumps({"train": {"epochs": 2, "seed": 5}, "data": {"dataset": "mnist"}}))
    (RUN.parent / ".latest").write_text("a-run\n")
    return RUN


def test_stdout_is_the_run(cli):
    result = cli("train")
    assert (result.code, result.out) == (0, "runs/a-run\n")


def test_the_first_sign_of_life_comes_before_torch(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "gancli.training.run", None)  # importing it fails
    result = cli("train")
    assert result.code == 1
    assert result.err.startswith("loading torch\n")


def test_progress_and_the_last_words_are_on_stderr(cli):
    lines = cli("train").err.splitlines()
    assert "epoch=1/2 step=4 d=1.250 g=0.500 images_per_s=100 eta=00:03" in lines
    assert lines[-4:] == [
        "done    2 epochs, 8 steps in 01:05",
        "run     runs/a-run",
        "look    runs/a-run/samples/8.png",
        "next    gancli sample -n 64 -o grid.png",
    ]


def test_quiet(cli):
    result = cli("train", "-q")
    assert (result.out, result.err) == ("runs/a-run\n", "")


def test_json_is_one_document(cli):
    assert cli("train", "--json").json == {
        "run": "runs/a-run",
        "status": "done",
        "step": 8,
        "epochs": 2.0,
        "elapsed_seconds": 65.0,
        "checkpoint": "runs/a-run/checkpoints/step-000000008",
        "preview": "runs/a-run/samples/8.png",
        "arch": "",
        "best": "",
        "signal": 0,
        "from_step": 0,
        "warning": "",
        "translates": "",
    }


def test_flags_set_keys(cli, engine):
    cli("train", "--dataset", "mnist", "--epochs", "3", "--batch-size", "7", "--learning-rate", "1e-4", "--conditional")
    config = engine.calls[0]["config"]
    assert (config.train.epochs, config.train.batch_size, config.train.learning_rate) == (3, 7, 1e-4)
    assert config.model.conditional


def test_assignments_and_files_are_read_in_order(cli, engine):
    Path("a.toml").write_text("[train]\nseed = 1\nbatch_size = 32\n")
    Path("b.json").write_text('{"train": {"seed": 2}}')
    cli("train", "-c", "a.toml", "-c", "b.json", "-s", "train.batch_size=64", "-s", "arch.dropout=0.5")
    config = engine.calls[0]["config"]
    assert (config.train.seed, config.train.batch_size, config.arch.options["dropout"]) == (2, 64, 0.5)


def test_the_engine_is_told_where_and_how_it_was_called(cli, engine):
    cli("train", "--name", "mine", "--runs-dir", "elsewhere", "-q")
    call = engine.calls[0]
    assert (call["name"], call["runs_dir"]) == ("mine", Path("elsewhere"))
    assert call["argv"] == ("gancli", "train", "--name", "mine", "--runs-dir", "elsewhere", "-q")


@pytest.mark.parametrize("value", ["three", "0", "1.5", "true"])
def test_F40_a_wrong_value_names_key_value_and_remedy(cli, engine, value):
    result = cli("train", "--epochs", value)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "train.epochs" in result.err
    assert value in result.err
    assert not engine.calls


def test_an_error_of_the_engine_is_one_line_after_the_progress(cli, engine):
    def diverge():
        raise DivergedError("NaN at step 4.", "Try less.")

    engine.during = diverge
    result = cli("train")
    assert (result.code, result.out) == (7, "")
    assert result.err.splitlines()[-1] == "error: NaN at step 4. Try less."


def test_dry_run_prints_settings_and_trains_nothing(cli, engine):
    result = cli("train", "--epochs", "3", "--dry-run")
    assert ["train.epochs", "3", "--epochs"] in [line.split()[:3] for line in result.out.splitlines()]
    assert not engine.calls


def test_dry_run_refuses_a_folder_without_images(cli, tmp_path):
    (tmp_path / "none").mkdir()
    result = cli("train", "--dataset", str(tmp_path / "none"), "--dry-run")
    assert (result.code, result.out) == (3, "")
    assert "holds no image" in result.err


def test_dry_run_as_json_is_a_configuration_file(cli):
    document = cli("train", "--epochs", "3", "--dry-run", "--json").json
    assert document["config"]["train"]["epochs"] == 3
    assert document["origins"]["train.epochs"] == "--epochs"
    Path("again.json").write_text(json.dumps(document["config"]))
    assert cli("train", "-c", "again.json", "--dry-run", "--json").json["config"] == document["config"]


@pytest.mark.parametrize("words", [["--resume"], ["--resume", "a-run"], ["--resume", "auto"], ["--resume", "runs/a-run"]])
def test_resume_goes_on_with_a_run(cli, engine, stored, words):
    assert cli("train", *words).code == 0
    (call,) = engine.calls
    assert (call["what"], call["run"].path, call["changes"]) == ("resume", stored, {})


@pytest.mark.usefixtures("stored")
def test_resume_tells_what_was_asked_to_change(cli, engine):
    cli("train", "--resume", "--epochs", "9", "-s", "log.every_steps=7")
    assert engine.calls[0]["changes"] == {"train.epochs": 9, "log.every_steps": 7}


@pytest.mark.usefixtures("stored")
def test_another_learning_rate_on_resume_needs_a_flag(cli, engine):
    line = ("train", "--resume", "--learning-rate", "0.0005", "--batch-size", "32")
    for more in ([], ["--dry-run"]):
        refused = cli(*line, *more)
        assert (refused.code, engine.calls) == (2, [])
        assert "train.batch_size: stored 128, requested 32; train.learning_rate" in refused.err
        assert "--allow-changes" in refused.err
    assert cli(*line, "--allow-changes").code == 0
    assert engine.calls[0]["allow_changes"]
    assert engine.calls[0]["changes"] == {"train.batch_size": 32, "train.learning_rate": 0.0005}


@pytest.mark.usefixtures("stored")
def test_no_flag_allows_another_model(cli, engine):
    refused = cli("train", "--resume", "--latent-dim", "5", "--allow-changes")
    assert (refused.code, engine.calls) == (2, [])
    assert "--allow-changes" not in refused.err


def test_a_finished_run_says_how_it_is_trained_for_longer(cli, stored):
    (stored / "run.json").write_text(json.dumps({"status": "done", "step": 8, "epochs": 2.0}))
    note = "'a-run' is finished: step 8. To train it for longer: gancli train --resume a-run --epochs 4"
    assert note in cli("train", "--resume").err
    assert "is finished" not in cli("train", "--resume", "--epochs", "9").err


@pytest.mark.usefixtures("stored")
def test_resume_ignores_the_environment(cli, engine, monkeypatch):
    monkeypatch.setenv("GANCLI_TRAIN__SEED", "99")
    cli("train", "--resume")
    assert engine.calls[0]["changes"] == {}


def test_resume_auto_starts_where_there_is_nothing(cli, engine):
    assert cli("train", "--resume", "auto").code == 0
    assert engine.calls[0]["what"] == "train"


def test_resume_auto_begins_anew_what_was_lost_before_its_first_save(cli, engine, stored):
    shutil.rmtree(stored / "checkpoints/step-000000004")
    (stored / "run.lock").touch()
    assert cli("train", "--resume", "auto", "--name", "a-run").code == 0
    assert [call["what"] for call in engine.calls] == ["train"]
    assert not (stored / "config.json").exists()


@pytest.mark.usefixtures("stored")
def test_resume_auto_with_a_name_means_that_run(cli, engine):
    cli("train", "--resume", "auto", "--name", "another")
    assert (engine.calls[0]["what"], engine.calls[0]["name"]) == ("train", "another")


def test_resume_without_runs_is_exit_code_4(cli):
    assert cli("train", "--resume").code == 4


@pytest.mark.usefixtures("stored")
def test_resume_excludes_a_name(cli):
    assert cli("train", "--resume", "a-run", "--name", "b").code == 2


@pytest.mark.usefixtures("stored")
def test_dry_run_of_a_resumed_run_shows_its_settings(cli):
    document = cli("train", "--resume", "--dry-run", "--json").json
    assert document["config"]["train"]["seed"] == 5


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["F31", "F30", "F32"]
)
def test_a_signal_stops_in_order(cli, engine, number, code):
    engine.during = lambda: os.kill(os.getpid(), number)
    result = cli("train")
    assert (result.code, result.out) == (code, "runs/a-run\n")
    assert "stopped 2 epochs" in result.err
    assert "next    gancli train --resume a-run" in result.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_first_step_interrupts(cli, engine, monkeypatch, number, code):
    monkeypatch.setattr(engine, "_play", lambda *_, **__: os.kill(os.getpid(), number))
    result = cli("train")
    assert result.code == code
    assert result.err.splitlines()[-1].startswith("stopped: Interrupted by")


def test_a_signal_after_the_last_step_changes_nothing(cli, engine, monkeypatch):
    def play(what, *, stop, **_):
        ended = Engine._play(engine, what, stop=stop, **_)
        os.kill(os.getpid(), signal.SIGTERM)
        return ended

    monkeypatch.setattr(engine, "_play", play)
    assert cli("train").code == 0


def test_F53_a_closed_stdout_does_not_hurt(monkeypatch, capsys):
    from gancli.cli.app import run

    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert run(["train"]) == 0
    assert "done" in capsys.readouterr().err


def test_F53_a_closed_stderr_does_not_end_the_training(monkeypatch, capsys):
    from gancli.cli.app import run

    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        assert run(["train"]) == 0
    assert capsys.readouterr().out == "runs/a-run\n"


def test_another_architecture_on_resume_is_named_as_what_it_is(cli, at_trained):
    result = cli("train", "--resume", "plain", "--arch", "dcgan", "--runs-dir", at_trained)
    assert result.code == 2
    assert 'arch.name: stored "dense", requested "dcgan"' in result.err


def test_F45_a_busy_run_and_a_taken_name_are_refused_before_anything_heavy(cli, at_trained):
    with run_lock(at_trained / "plain" / "run.lock"):
        result = cli("train", "--resume", "plain", "--runs-dir", at_trained)
    assert (result.code, "loading" in result.err) == (5, False)
    result = cli("train", "--name", "plain", "--runs-dir", at_trained)
    assert (result.code, "loading" in result.err) == (6, False)


# -- the last lines --


def said(capsys, ended):
    farewell(Output(), ended)
    return [line.removeprefix("next    ") for line in capsys.readouterr().err.splitlines() if line.startswith("next")]


def test_commands_for_a_run_elsewhere_name_it_and_are_quoted(capsys):
    run = Path("my runs/it's")
    ended = RunEnded(run, "stopped", 8, 2.0, 65.0, run / "checkpoints/step-000000008")
    resume, sample = (shlex.split(line) for line in said(capsys, ended))
    assert resume == ["gancli", "train", "--resume", "my runs/it's"]
    assert sample == ["gancli", "sample", "-n", "64", "-o", "grid.png", "--run", "my runs/it's"]


def test_a_model_of_a_file_gets_the_file_again(capsys):
    run = Path("runs/a")
    ended = RunEnded(run, "done", 8, 2.0, 65.0, run / "checkpoints/step-000000008", arch="./my arch.py:Mine")
    (sample,) = (shlex.split(line) for line in said(capsys, ended))
    assert sample[-2:] == ["--arch", "./my arch.py:Mine"]


def test_a_translator_without_photos_names_no_command(capsys):
    run = Path("runs/a")
    ended = RunEnded(run, "done", 8, 2.0, 65.0, run / "checkpoints/step-000000008", translates="mnist")
    assert said(capsys, ended) == []


def test_several_processes_are_told_how_to_start_as_many_again():
    two = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
    assert launched(two) == [program(), "train", "--processes", "2"]
    eight = {"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "first"}
    meeting = "--nnodes 2 --rdzv-backend c10d --rdzv-endpoint first:29400"
    assert " ".join(launched(eight)) == f"torchrun {meeting} --nproc-per-node 4 -m gancli train"
    assert launched({}) == [program(), "train"]


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
    assert "--resume a --epochs 125" in text.splitlines()[-2]


def test_a_dry_run_starts_no_processes(cli, monkeypatch):
    monkeypatch.setattr("gancli.cli.train.launch", lambda *_: pytest.fail("processes are started"))
    result = cli("train", "--processes", "99", "--dry-run")
    assert result.code == 0


def test_a_dry_run_refuses_an_unknown_extractor(cli):
    result = cli("train", "-s", "log.extractor=foo", "--dry-run")
    assert result.code == 8
    assert "'foo'" in result.err
