import pytest
import torch
from PIL import Image

from gancli.data.batches import normalise
from gancli.training.alarms import spread
from gancli.training.setup import set_up
from gancli.training.spectator import Spectator


@pytest.fixture
def sorted_classes(tmp_path):
    """A folder of 80 black and 80 white pictures: in its order, the first half are all the same."""
    for name in ("black", "white"):
        (tmp_path / name).mkdir()
        for i in range(80):
            Image.new("L", (8, 8), name).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_diversity_is_measured_against_the_whole_set_and_not_its_first_class(configure, sorted_classes, monkeypatch):
    monkeypatch.setenv("GANCLI_CACHE", str(sorted_classes / "cache"))
    game = set_up(configure(f"data.dataset={sorted_classes}", "log.previews=64"))
    real = normalise(game.data.images.images)
    alike = torch.zeros(64, 1, 8, 8)
    alike[0] = 1
    assert Spectator(game).diversity(alike) == pytest.approx(spread(alike) / spread(real), rel=0.1)


def test_a_conditional_model_is_watched_within_its_classes(configure, sorted_classes, monkeypatch):
    monkeypatch.setenv("GANCLI_CACHE", str(sorted_classes / "cache"))
    torch.manual_seed(0)
    for folder in sorted_classes.iterdir():
        for file in folder.glob("*.png"):
            Image.fromarray(torch.randint(256, (8, 8), dtype=torch.uint8).numpy()).save(file)
    spectator = Spectator(set_up(configure(f"data.dataset={sorted_classes}", "model.conditional=true", "log.previews=64")))
    one_each = torch.randn(2, 1, 8, 8)[torch.arange(64) % 2]
    assert spectator.diversity(one_each) == 0
    assert spectator.diversity(torch.rand(64, 1, 8, 8) * 2 - 1) == pytest.approx(1, rel=0.1)
