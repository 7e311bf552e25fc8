"""Every format draws what the generator of the run draws."""

import numpy as np
import pytest
import torch

from gancli.errors import ExportError
from gancli.exporting.formats import choose, trained_generator
from gancli.randomness.latents import latents

SUFFIXES = (".onnx", ".safetensors", ".pt2")
TOLERANCE = 1e-4


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["mnist", "dcgan"])
def test_every_format_of_real_runs_draws_the_generators_images(models, exported, name, suffix, tmp_path):
    model = models[name]
    (tmp_path / "g").write_bytes(exported(name, suffix))
    draw = choose(tmp_path, suffix).exporter.load(tmp_path / "g", trained_generator(model))
    for n in (1, 3, 100):
        z, labels = latents(range(n), model.latent_dim), np.arange(n) % model.image.classes
        drawn = draw(z, labels)
        expected = model.draw(torch.from_numpy(z), torch.from_numpy(labels)).numpy()
        assert (drawn.dtype, drawn.shape) == (np.float32, expected.shape)
        assert np.abs(drawn - expected).max() < TOLERANCE
        assert np.abs(drawn - model.draw(torch.from_numpy(z), torch.from_numpy((labels + 1) % 3)).numpy()).max() > TOLERANCE


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_F48_a_generator_with_random_numbers_of_its_own_is_refused(made_up, write, suffix):
    with pytest.raises(ExportError, match="random numbers of its own"):
        write(made_up(lambda x: x + torch.randn_like(x)), suffix)
