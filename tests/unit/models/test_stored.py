import shutil

import pytest
import torch

from gancli.data import open_source
from gancli.errors import CheckpointError, PluginError
from gancli.models.loading import load
from gancli.models.stored import BUNDLED, weights_path


@pytest.mark.parametrize("use", [lambda: load(checkpoint="hf:user/name"), lambda: open_source("hf:user/name")])
def test_without_gancli_hub_the_command_that_installs_it_is_named(monkeypatch, use):
    monkeypatch.setenv("GANCLI_PLUGINS", "")
    with pytest.raises(PluginError, match=r"'hf:user/name' needs gancli-hub, .* install \./plugins/gancli-hub"):
        use()


def test_the_model_in_the_package_generates_digits():
    from gancli.metrics.extractors import DigitExtractor

    assert BUNDLED["mnist"].stat().st_size < 1_000_000
    model = load(checkpoint="mnist")
    assert model.class_names == tuple("0123456789")
    images = model.sample(100)
    assert images.dtype == torch.float32
    _, classes = DigitExtractor()(images)
    assert (classes == torch.arange(100) % 10).float().mean() > 0.9
    assert weights_path("mnist") == BUNDLED["mnist"]


def test_a_run_goes_before_the_model_in_the_package_of_the_same_name(small_run, tmp_path):
    assert load("mnist", runs_dir=tmp_path).image.shape == (1, 28, 28)
    shutil.copytree(small_run, tmp_path / "mnist")
    assert load("mnist", runs_dir=tmp_path).image.shape == (1, 8, 8)


def test_a_folder_of_other_things_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="is not a folder that a model is loaded from"):
        weights_path(tmp_path)
