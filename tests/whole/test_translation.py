"""The pair of data sets that needs no download."""

from pathlib import Path

import torch
from PIL import Image

from gancli.config.resolve import resolve
from gancli.data import load_images
from gancli.training.setup import set_up


def test_bold_digits_are_the_digits_and_more():
    config = resolve(assignments=["data.to=mnist-bold", "data.paired=true"], environment={}).config
    assert config.arch.name == "pix2pix"
    loaded = load_images(config.data, "test")
    digits, bold = loaded.images.sources, loaded.images.images
    assert loaded.name == "mnist-to-mnist-bold"
    assert digits.shape == bold.shape == (10_000, 1, 28, 28)
    assert bool((bold >= digits).all())
    assert float((bold > 127).float().mean() / (digits > 127).float().mean()) > 1.5
    assert loaded.fingerprint == load_images(config.data, "test").fingerprint
    assert torch.equal(bold[0, 0, 1:-1, 1:-1], digits[0, 0].unfold(0, 3, 1).unfold(1, 3, 1).flatten(2).amax(2))


def test_the_example_of_a_fourth_kind_learns_to_colour(tmp_path):
    file = Path(__file__).resolve().parents[2] / "examples" / "colouring.py"
    for i in range(8):
        image = Image.new("RGB", (16, 16), (30 * i, 120, 255 - 30 * i))
        for name, mode in (("grey", "L"), ("colour", "RGB")):
            (tmp_path / name).mkdir(exist_ok=True)
            image.convert(mode).save(tmp_path / name / f"{i}.png")
    sets = [f"data.dataset={tmp_path / 'grey'}", f"data.to={tmp_path / 'colour'}", "data.paired=true"]
    assignments = [*sets, f"arch.name={file}:Colouring", "train.images=320", "runtime.device=cpu", "train.learning_rate=2e-3"]
    game = set_up(resolve(assignments=assignments, environment={}).config)
    l1 = [float(game.step()["l1"]) for _ in range(40)]
    assert l1[-1] < l1[0] / 2
