import numpy as np
import pytest
from PIL import Image

from gancli_evaluate import projection

MADE_OF_SEEDS = "Give an image that `gancli sample` made of seeds."
pytestmark = pytest.mark.usefixtures("at_trained")


@pytest.fixture
def found(cli, at_trained, tmp_path, monkeypatch):
    """Two images of the last run, found again."""
    monkeypatch.setattr(projection, "CANDIDATES", 64)
    assert cli("sample", "--runs-dir", at_trained, "--seeds", "3,9", "-o", f"{tmp_path}/images/").code == 0
    images = sorted((tmp_path / "images").iterdir())
    return cli("project", *images, "-o", tmp_path / "found.npz", "--steps", "3", "--json")


def test_images_are_found_and_sampled_again(cli, found, tmp_path):
    assert found.code == 0
    assert found.json["errors"] == pytest.approx([0, 0], abs=1e-4)
    assert found.json["sheet"] == f"{tmp_path}/found.png"
    assert "mean squared error 0.0000" in found.err
    assert "interpolate --latents" in found.err
    result = cli("sample", "--latents", tmp_path / "found.npz", "-o", f"{tmp_path}/again/", "--json")
    assert result.json["latents"] == "found.npz"
    for number, seed in enumerate(("0003", "0009")):
        again, before = (Image.open(tmp_path / p) for p in (f"again/latent000{number}.png", f"images/seed{seed}.png"))
        assert np.abs(np.asarray(again).astype(int) - np.asarray(before)).max() <= 2
    like = cli("sample", "--like", tmp_path / "again/latent0000.png", "-o", tmp_path / "x.png")
    assert (like.code, like.err) == (
        3,
        (
            f"error: '{tmp_path}/again/latent0000.png' was not made from seeds alone. "
            "Give an image that `gancli sample` made of seeds.\n"
        ),
    )


@pytest.mark.usefixtures("found")
def test_an_interpolation_between_ones_own_images(cli, tmp_path):
    result = cli("interpolate", "--latents", tmp_path / "found.npz", "-o", tmp_path / "w.gif", "--frames", "4", "--json")
    assert result.json["latents"] == f"{tmp_path}/found.npz"
    assert "keyframes: latents 0-1 of" in result.err
    along = ("interpolate", "--latents", tmp_path / "found.npz", "--direction", "2", "--frames", "4")
    assert cli(*along, "-o", tmp_path / "d.gif", "--json").json["direction"] == 2  # of the model, not of these two latents


def test_of_a_conditional_model_the_class_is_found_too(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(projection, "CANDIDATES", 64)
    where = ("--run", "classes")
    cli("sample", *where, "--seeds", "0-1", "-o", f"{tmp_path}/images/")
    images = sorted((tmp_path / "images").iterdir())
    result = cli("project", *where, *images, "-o", tmp_path / "l.npz", "--steps", "2", "--json")
    assert result.json["classes"] == [0, 1]
    walk = cli("interpolate", *where, "--latents", tmp_path / "l.npz", "-o", tmp_path / "w.gif", "--frames", "4", "--json")
    assert walk.json["classes"] == [0, 1]
    assert f"next    gancli interpolate --latents {tmp_path}/l.npz --run classes\n" in result.err
    found = cli("directions", *where, "-n", "1", "-o", tmp_path / "directions.png")
    assert "next    gancli interpolate --direction 1 --run classes\n" in found.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("x.png", "-o", "x.txt"), 2, "is not an .npz file"),
        (("x.png", "--steps", "0"), 2, "out of range"),
        (("no-such.png",), 3, "no-such.png"),
        ((), 2, "IMAGE"),
    ],
)
def test_what_cannot_be_projected_is_one_line(cli, words, code, message, tmp_path):
    where = () if "-o" in words else ("-o", tmp_path / "x.npz")
    result = cli("project", *words, *where)
    assert result.code == code
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("command", [("project", "x.png"), ("directions",)])
def test_a_folder_of_the_targets_name_is_refused_before_any_work(cli, command, tmp_path):
    (tmp_path / "there.npz").mkdir()
    result = cli(*command, "-o", tmp_path / "there.npz")
    assert (result.code, "is already there" in result.err) == (6, True)
    assert (tmp_path / "there.npz").is_dir()
