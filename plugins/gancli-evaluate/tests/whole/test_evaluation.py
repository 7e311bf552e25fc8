"""The evaluation of sets whose faults are known."""

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.data.mnist import Mnist


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache, monkeypatch):
    monkeypatch.setenv("GANCLI_CACHE", str(cache))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Eight hundred digits of MNIST's test split, of the classes 0 to 6, as an archive."""
    fresh = Mnist().load("test")
    digits = fresh.images[fresh.labels < 7][:800, 0].numpy()
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, images=digits)
    return path


@pytest.mark.slow
def test_digits_of_which_three_are_missing(cli, archive, tmp_path):
    torch.set_num_threads(1)
    result = cli("evaluate", archive, "--dataset", "mnist", "--json", "--nearest", tmp_path / "near.png")
    assert result.code == 0, result.err
    found = result.json
    figures = found["figures"]
    assert found["extractor"]["name"] == "mnist"
    assert (found["against"], found["images"], found["real_images"]) == ("test", 800, 10_000)
    assert 50 < figures["FD-mnist"]["low"] < figures["FD-mnist"]["value"] < figures["FD-mnist"]["high"] < 600
    assert figures["precision"]["value"] > 0.75
    assert figures["coverage"]["value"] < 0.8
    assert figures["copying in features"]["low"] < 0.5 < figures["copying in features"]["high"] + 0.05
    assert 6 <= found["classes"]["modes"] <= 10
    assert found["classes"]["shares"]["9"]["value"] < 0.02
    assert found["classes"]["kl"]["value"] > 0.2 > found["classes"]["floor"]
    assert found["nearest"] == str(tmp_path / "near.png")
    with Image.open(tmp_path / "near.png") as picture:
        assert picture.size == (16 * 30 + 2, 3 * 30 + 2)


def test_the_training_pictures_themselves_are_found_to_be_copies(cli, tmp_path):
    np.savez(tmp_path / "copies.npz", images=Mnist().load().images[:200, 0].numpy())
    found = cli("evaluate", tmp_path / "copies.npz", "--dataset", "mnist", "--json").json
    assert found["figures"]["copying in pixels"]["value"] > 0.99
    assert found["figures"]["copying in features"]["value"] > 0.99


def test_stacked_digits_have_a_thousand_modes(cli, tmp_path):
    from gancli.data.mnist import StackedMnist

    np.savez(tmp_path / "three.npz", images=StackedMnist().load("test").images[:2000].permute(0, 2, 3, 1).numpy())
    found = cli("evaluate", tmp_path / "three.npz", "--dataset", "stacked-mnist", "--modes", "--json").json
    assert found["classes"]["of"] == 1000
    assert 800 < found["classes"]["modes"] < 950  # 1000 (1 - exp(-2)) = 865
    assert found["classes"]["floor"] == pytest.approx(999 / 4000)


@pytest.fixture
def small(trained, clean_place, tmp_path, monkeypatch):  # noqa: ARG001  (it comes first)
    """A copy of the trained runs, to write into."""
    import shutil

    shutil.copytree(trained / "runs", tmp_path / "place" / "runs")
    monkeypatch.chdir(tmp_path / "place")


@pytest.mark.usefixtures("small")
def test_twice_is_the_same_and_another_seed_is_not(cli):
    first, second = (cli("evaluate", "-n", "50", "--json").json for _ in range(2))
    assert first == second
    other = cli("evaluate", "-n", "50", "--seed", "1000", "--json").json
    assert other["figures"] != first["figures"]
    assert other["facts"]["seed"] == 1000


def test_modes_alone_are_quick_and_keep_no_report(cli, archive):
    result = cli("evaluate", archive, "--dataset", "mnist", "--modes")
    assert result.code == 0, result.err
    assert "of 10; KL is 0.0056 for a perfect model, because N is 800" in result.out
    found = cli("evaluate", archive, "--dataset", "mnist", "--modes", "--json").json
    assert found["figures"] == {}
    assert found["classes"]["of"] == 10
