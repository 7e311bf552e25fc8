"""The commands as functions: the same names, the same messages; nothing is trained here."""

import signal
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image

import gancli
from gancli import api
from gancli.cli.options import Settings as Flags
from gancli.events import RunEnded, RunStarted


@pytest.fixture
def trained(small_pictures, without_training, tmp_path, monkeypatch):
    """``(**settings)`` -> a run of four steps that trained nothing."""
    monkeypatch.chdir(tmp_path)
    small = {"arch.generator_widths": [8], "arch.discriminator_widths": [8], "log.every_steps": 2, "log.previews": 4}

    def trained(**settings):
        with without_training():
            length = {} if "config" in settings else {"images": 128}
            given = {"dataset": small_pictures, "batch_size": 32, "device": "cpu", "quiet": True, **length, **small}
            return gancli.train(**given, **settings)

    return trained


def test_every_flag_of_train_is_a_setting():
    assert set(gancli.Settings.__annotations__) == set(Flags.__dataclass_fields__) - {"assignments"}


def test_settings_are_those_of_the_command_line(trained, tmp_path):
    seen = []
    (tmp_path / "my.toml").write_text("[train]\nseed = 5\nimages = 64\n[log]\npreviews = 2\n")
    numbers = {"learning_rate": np.float64(1e-3), "arch.dropout": np.float32(0.25)}  # as numpy.linspace gives them
    run = trained(name="a", observe=seen.append, config="my.toml", **numbers)
    started = next(event for event in seen if isinstance(event, RunStarted))
    assert started.settings["train.learning_rate"] == 1e-3
    assert started.settings["arch.dropout"] == 0.25
    assert (started.settings["train.seed"], started.settings["log.previews"]) == (5, 4)
    assert isinstance(seen[-1], RunEnded)
    assert run.path.resolve() == tmp_path / "runs" / "a"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lerning_rate": 1}, "no setting 'lerning_rate'. Did you mean 'learning_rate'"),
        ({"arch.dropuot": 1}, "Unknown key 'arch.dropuot'.*Did you mean 'arch.dropout'"),
        ({"epochs": 0}, "train.epochs"),
        ({"dataset": "nosuch/"}, "nosuch"),
        ({"dataset": "https://example.org/x.zip"}, "web address"),
        ({"minutes": 1, "epochs": 1}, "exclude each other"),
        ({"name": "a/b"}, "cannot be the name of a run"),
        ({"dataset": np.zeros((100, 8, 8))}, r"data.dataset = \[\[\[0.0, .{,60}\.\.\. is not a name.*numpy.save"),
    ],
)
def test_what_is_wrong_is_refused_as_on_the_command_line(settings, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gancli.GancliError, match=message):
        gancli.train(**settings, quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_run_shows_what_it_is(trained):
    run = trained(name="a")
    assert repr(run) == "<gancli.Run a: done, 4 steps, 128 images, fd_random 40.00 at step 4>"
    assert run.best == (4, "fd_random", 40.0)
    assert "4 steps are too few" in run.warning
    assert run.warning in run._repr_html_()
    assert run._repr_html_().count("data:image/png;base64,") == 2
    assert isinstance(run.plot(), Image.Image)
    assert repr(gancli.Run()) == repr(run)
    with pytest.raises(gancli.GancliError, match="no run 'b'"):
        gancli.Run("b")


def test_metrics_are_rows_for_pandas(trained):
    frame = pytest.importorskip("pandas").DataFrame(trained().metrics)
    assert list(frame["step"]) == [2, 4, 4]
    assert {"kind", "d_loss", "fd_random", "elapsed_seconds"} <= set(frame.columns)


def test_a_run_is_resumed_for_longer(trained, without_training):
    run = trained()
    with without_training():
        assert run.model.origin.step == gancli.load(run).origin.step == 4
        longer = gancli.resume(run, images=192, quiet=True)
        assert gancli.resume(quiet=True).warning.startswith("This run was finished already")
    assert (longer.path, longer.best.step) == (run.path, 4)
    assert repr(longer).count("6 steps, 192 images")
    with pytest.raises(gancli.GancliError, match="different training"):
        gancli.resume(run, latent_dim=3, quiet=True)


def test_a_model_says_what_it_is_and_takes_classes_by_name(trained):
    model = trained(conditional=True, name="a", latent_dim=8).model
    assert repr(model) == (
        "<gancli.Model a, step 4, ema weights: dense, z 8 -> 1x8x8, 3 classes, "
        f"{sum(p.numel() for p in model.generator.parameters()):,} parameters, cpu>"
    )
    name = model.class_names[2]
    assert torch.equal(model.sample(2, labels=name), model.sample(2, labels=[2, 2]))
    assert torch.equal(model.sample(2, labels=[name, model.class_names[0]]), model.sample(2, labels=[2, 0]))
    assert model.grid(6, labels=name, columns=3).size == (3 * 10 + 2, 2 * 10 + 2)
    for wrong in ("cat", 3, -1, 1.5):
        with pytest.raises(gancli.GancliError, match=f"Class '?{wrong}'?: there is no such class"):
            model.grid(2, labels=wrong)
    assert gancli.interpolate("walk.gif", model, frames=4, classes=[0, name]).is_file()


def test_images_are_found_however_they_are_given(trained, tmp_path):
    pytest.importorskip("gancli_evaluate")
    run = trained()
    image = Image.new("L", (20, 16), 90)
    image.save("mine.png")
    found = [gancli.project(given, run, steps=1) for given in ("mine.png", image, ["mine.png"])]
    assert all(torch.equal(each.points, found[0].points) for each in found)
    gancli.project("mine.png", run.model, steps=1, output="found.npz")
    assert (tmp_path / "found.npz").is_file()
    assert (tmp_path / "found.png").is_file()
    for wrong in (np.zeros((1, 1, 8, 8), np.uint8), torch.full((1, 1, 8, 8), torch.nan)):
        with pytest.raises(gancli.GancliError, match="cannot be projected"):
            gancli.project(wrong, run, steps=1)
    for wrong in ("found.txt", "nosuch/found.npz"):
        with pytest.raises(gancli.GancliError):
            gancli.project("mine.png", run, steps=1, output=wrong)
    with pytest.raises(gancli.GancliError, match="Did you mean 'output'"):
        gancli.project("mine.png", outptu="e.npz")


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: gancli.export("e.safetensors", chekpoint="mnist"), "Did you mean 'checkpoint'"),
        (lambda: gancli.interpolate("walk.gif", frame=3), "Did you mean 'frames'"),
    ],
)
def test_an_option_that_there_is_not_is_refused(call, meant):
    with pytest.raises(gancli.GancliError, match=meant):
        call()


def test_a_model_is_exported_wherever_it_comes_from(trained, tmp_path):
    run = trained()
    for source in (None, run, run.path, run.path.name, run.model):
        assert gancli.export("g.safetensors", source, quiet=True).path.name == "g.safetensors"
    assert torch.equal(gancli.load("g.safetensors").sample(2), run.model.sample(2))
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    with pytest.raises(gancli.GancliError, match="not made by gancli"):
        gancli.export("mine.safetensors", run, quiet=True)
    with pytest.raises(gancli.GancliError, match=r"Unknown key 'export\.opset'"):
        gancli.export("h.safetensors", run, quiet=True, options={"opset": 18})


def test_without_gancli_evaluate_its_function_names_it(monkeypatch):
    monkeypatch.setenv("GANCLI_PLUGINS", "")
    with pytest.raises(gancli.GancliError, match=r"gancli\.evaluate\(\) needs gancli-evaluate, .*/plugins/gancli-evaluate"):
        gancli.evaluate(count=10)


def test_an_interrupted_training_is_saved_and_the_interruption_goes_on(trained, monkeypatch, capsys):
    seen = []

    def interrupt(event):
        seen.append(event)
        if isinstance(event, RunStarted):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trained(name="a", observe=interrupt)
    assert seen[-1].status == "stopped"
    assert "gancli.resume(" in capsys.readouterr().err
    assert repr(gancli.Run("a")).startswith("<gancli.Run a: stopped, 1 step")
    monkeypatch.setattr("gancli.cli.signals.ECHO_SECONDS", 0)
    with pytest.raises(KeyboardInterrupt):  # twice: at once, and the process lives on
        trained(name="b", observe=lambda event: [interrupt(event), interrupt(event)])


def test_a_training_in_another_thread_needs_no_signals(trained):
    with ThreadPoolExecutor(1) as pool:
        assert repr(pool.submit(trained).result()).count("done")


def test_the_names_of_the_package_are_those_of_the_functions():
    import_module("gancli.exporting.formats")
    assert gancli.export is api.export
