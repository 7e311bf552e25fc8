import pytest
import torch
from PIL import Image

from gancli.config.resolve import resolve
from gancli.data import load_images
from gancli.training.alarms import COLLAPSED
from gancli.training.monitoring import Monitor, monitor_of
from gancli.training.setup import set_up


@pytest.fixture
def sorted_classes(tmp_path):
    """A folder of 80 dark and 80 light images: in its order, the first half are all dark."""
    torch.manual_seed(0)
    for name, lowest in (("dark", 0), ("light", 200)):
        (tmp_path / name).mkdir()
        for i in range(80):
            pixels = torch.randint(lowest, lowest + 55, (8, 8), dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(tmp_path / name / f"{i}.png")
    return tmp_path


class Fixed(torch.nn.Module):
    """A generator that returns what it is given."""

    def __init__(self, images_of):
        super().__init__()
        self.images_of = images_of

    def forward(self, z, *labels):
        return self.images_of(len(z), *labels)


def diversity_of(game, images_of):
    """Diversity of ``images_of(n, *labels)`` as the generator of a training."""
    game.state.averages["generator"].network = Fixed(images_of)
    return Monitor(game).diversity()


@pytest.mark.parametrize("previews", [1, 64])
def test_diversity_is_measured_against_the_whole_set_and_not_its_first_class(configure, sorted_classes, monkeypatch, previews):
    monkeypatch.setenv("GANCLI_CACHE", str(sorted_classes / "cache"))
    game = set_up(configure(f"data.dataset={sorted_classes}", f"log.previews={previews}"))
    real = game.data.images.images.float() / 127.5 - 1
    order = torch.randperm(160, generator=torch.Generator().manual_seed(1))
    assert diversity_of(game, lambda n: real[order][:n]) > 0.9
    assert diversity_of(game, lambda n: real[:1].expand(n, -1, -1, -1)) < COLLAPSED


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
    assert diversity_of(game, lambda _, labels: one_each[labels]) < COLLAPSED
    assert diversity_of(game, lambda n, _: torch.rand(n, 1, 8, 8) * 2 - 1) > 0.5


def test_a_class_without_images_is_no_obstacle(configure):
    game = set_up(configure("model.conditional=true"))
    game.data.images.labels[game.data.images.labels == 1] = 0
    assert 0 <= diversity_of(game, lambda n, _: torch.rand(n, 1, 8, 8) * 2 - 1) <= 1


def test_one_image_is_watched_though_nothing_can_be_compared(configure, tmp_path, monkeypatch):
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "one").mkdir()
    Image.new("RGB", (8, 8), (250, 9, 3)).save(tmp_path / "one" / "0.png")
    monitor = Monitor(set_up(configure(f"data.dataset={tmp_path / 'one'}", "arch.name=dense")))
    assert (monitor.diversity(), monitor.evaluate(), monitor.distance_of_a_constant()) == (1.0, {}, torch.inf)


def test_a_constant_image_is_a_yardstick(configure):
    game = set_up(configure())
    monitor = Monitor(game)
    constant = monitor.distance_of_a_constant()
    mean = game.data.images.images.float().mean(0) / 127.5 - 1
    game.state.averages["generator"].network = Fixed(lambda n: mean.expand(n, -1, -1, -1))
    assert monitor.evaluate()[monitor.distance] == pytest.approx(constant, rel=0.01)
    real = game.data.images.images.float() / 127.5 - 1
    game.state.averages["generator"].network = Fixed(lambda n: real[:n])
    assert monitor.evaluate()[monitor.distance] < constant / 10


@pytest.fixture
def translating(grey_and_colour):
    """``(*assignments)`` -> a training that colours grey squares, the test split of which has six."""

    def make(*assignments):
        sets = [f"data.dataset={grey_and_colour / 'grey'}", f"data.to={grey_and_colour / 'colour'}"]
        small = ["arch.name=cyclegan", "arch.channels=4", "arch.blocks=1", "runtime.device=cpu", "train.images=8"]
        return set_up(resolve(assignments=[*sets, *small, *assignments], environment={}).config)

    return make


class Same(torch.nn.Module):
    """A generator that returns the source image."""

    def forward(self, z, source):  # noqa: ARG002  (the signature is given)
        return source


def test_previews_are_rows_of_held_back_images(translating):
    for paired, width in (("false", 2), ("true", 3)):
        game = translating(f"data.paired={paired}")
        game.state.averages["generator"].network = Same()
        monitor = monitor_of(game)
        shown = monitor.previews()
        assert len(shown) == 6 * width
        assert monitor.columns % width == 0
        assert torch.equal(shown[0::width], shown[1::width])  # the source, and its translation
        test = load_images(game.config.data, "test").images
        assert torch.allclose(shown[0::width] * 127.5 + 127.5, test.sources.float(), atol=1e-3)
        if paired == "true":
            assert torch.allclose(shown[2::3] * 127.5 + 127.5, test.images.float(), atol=1e-3)


def test_a_translation_is_as_far_as_it_is_from_the_target(translating):
    game = translating("data.paired=true")
    monitor = monitor_of(game)
    targets = load_images(game.config.data, "test").images.images.float() / 127.5 - 1

    class Right(torch.nn.Module):
        def forward(self, z, source):  # noqa: ARG002  (the signature is given)
            return targets[: len(source)]

    game.state.averages["generator"].network = Same()
    untouched = monitor.evaluate()[monitor.distance]
    game.state.averages["generator"].network = Right()
    assert monitor.evaluate()[monitor.distance] < untouched / 2
    assert 0 <= monitor.diversity() <= 1


def test_without_a_test_split_training_images_are_shown(translating, grey_and_colour):
    sets = [f"data.{key}={grey_and_colour / name / 'train'}" for key, name in (("dataset", "grey"), ("to", "colour"))]
    game = translating(*sets, "log.previews=4")
    assert len(monitor_of(game).previews()) == 4
