import pytest
import torch
from PIL import Image

from gancli.data.batches import normalise
from gancli.training.alarms import spread
from gancli.training.monitoring import Spectator
from gancli.training.setup import set_up


@pytest.fixture
def sorted_classes(tmp_path):
    """A folder of 80 black and 80 white pictures: in its order, the first half are all the same."""
    for name in ("black", "white"):
        (tmp_path / name).mkdir()
        for i in range(80):
            Image.new("L", (8, 8), name).save(tmp_path / name / f"{i}.png")
    return tmp_path


class Drawn(torch.nn.Module):
    """A generator that draws what it is told to."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, z, *labels):
        return self.draw(len(z), *labels)


def diversity_of(game, draw):
    """What the spectator of ``game`` says of ``draw(n, *labels)``."""
    game.state.averages["generator"].network = Drawn(draw)
    return Spectator(game).diversity()


@pytest.mark.parametrize("previews", [1, 64])
def test_diversity_is_measured_against_the_whole_set_and_not_its_first_class(configure, sorted_classes, monkeypatch, previews):
    monkeypatch.setenv("GANCLI_CACHE", str(sorted_classes / "cache"))
    game = set_up(configure(f"data.dataset={sorted_classes}", f"log.previews={previews}"))
    real = normalise(game.data.images.images)
    alike = torch.zeros(64, 1, 8, 8)
    alike[0] = 1
    assert diversity_of(game, lambda n: alike[:n]) == pytest.approx(spread(alike) / spread(real), rel=0.1)


@pytest.mark.parametrize("kinds", [2, 30])
def test_a_conditional_model_is_watched_within_its_classes(configure, tmp_path, monkeypatch, kinds):
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    for kind in range(kinds):
        folder = tmp_path / "pictures" / f"{kind:02}"
        folder.mkdir(parents=True)
        for k in range(160 // kinds):
            Image.fromarray(torch.randint(256, (8, 8), dtype=torch.uint8).numpy()).save(folder / f"{k}.png")
    game = set_up(configure(f"data.dataset={tmp_path / 'pictures'}", "model.conditional=true", "log.previews=16"))
    one_each = torch.randn(kinds, 1, 8, 8)
    assert diversity_of(game, lambda _, labels: one_each[labels]) == 0
    assert diversity_of(game, lambda n, _: torch.rand(n, 1, 8, 8) * 2 - 1) == pytest.approx(1, rel=0.1)
