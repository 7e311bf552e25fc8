"""Nobody has to know which sizes an architecture can make: without --image-size one is chosen that it can."""

from dataclasses import replace

import pytest
import torch

from gancli.errors import ConfigError, PluginError
from gancli.gan.architectures.dense import Dense
from gancli.plugin import FeatureExtractor
from gancli.plugins.registry import EXTRACTORS, Entry
from gancli.runtime.device import Runtime
from gancli.runtime.processes import Processes
from gancli.training.setup import PREPARED_WITH, advice, prepare, set_up


@pytest.fixture
def fives(monkeypatch):
    """Dense networks that make sides of 5, 10, 15, ... only; the pictures are of 8x8."""

    def supports(_, __, image):
        return "Sides are multiples of 5." if image.height % 5 or image.width % 5 else None

    monkeypatch.setattr(Dense, "supports", supports)


@pytest.mark.usefixtures("fives")
def test_a_size_that_the_architecture_can_make_is_chosen_and_said(configure):
    game = set_up(configure())
    assert game.image.shape == (1, 10, 10)
    assert game.notes[0].startswith("The architecture 'dense' cannot generate images of 1x8x8, only of 10x10; --image-size")


@pytest.mark.usefixtures("fives")
def test_a_size_that_was_asked_for_is_not_changed(configure):
    with pytest.raises(ConfigError, match="cannot generate images of 1x8x8"):
        set_up(configure("data.image_size=8"))


def test_a_size_that_can_be_made_is_kept(configure):
    assert set_up(configure()).config.data.image_size is None


def test_an_architecture_that_makes_nothing_says_why(configure, monkeypatch):
    monkeypatch.setattr(Dense, "supports", lambda *_: "Never.")
    with pytest.raises(ConfigError, match=r"cannot generate images of 1x8x8\. Never"):
        set_up(configure())


def test_a_size_is_chosen_before_anything_is_decoded_and_the_architecture_is_asked_a_few_times(
    configure, tmp_path, monkeypatch
):
    from PIL import Image

    asked, done = [], []

    def supports(_, __, image):
        asked.append(image.height)
        return "Sides are multiples of 5." if image.height % 5 else None

    monkeypatch.setattr(Dense, "supports", supports)
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x").mkdir()
    for i in range(6):
        Image.new("L", (8, 8), 40 * i).save(tmp_path / "x" / f"{i}.png")
    game = set_up(configure(f"data.dataset={tmp_path}/x"), watch=lambda what, *_: done.append(what))
    assert game.image.shape == (1, 10, 10)
    assert done.count("decoding images") == done.count("reading headers") == 6
    assert len(asked) < 12


class Absent(FeatureExtractor):
    api = 2
    summary = "Needs what is not installed"

    def build(self, tell):  # noqa: ARG002  (the signature is given)
        raise PluginError("torch_eyes is not installed.", "Install it.")


def test_an_extractor_that_cannot_be_built_ends_the_training_before_it_begins(configure, monkeypatch):
    monkeypatch.setattr(EXTRACTORS, "entries", lambda: [Entry("absent", "gancli.extractors", "", "third", "1")])
    monkeypatch.setattr(EXTRACTORS, "import_entry", lambda _: Absent)
    with pytest.raises(PluginError, match="torch_eyes is not installed"):
        set_up(configure("log.extractor=absent"))
    assert set_up(configure("log.extractor=random")).config.log.extractor == "random"


def test_idle_gpus_are_mentioned(configure, monkeypatch):
    one = set_up(configure())
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert not [note for note in advice(one) if "GPU" in note]
    there = replace(one, runtime=Runtime(torch.device("cuda")))
    assert "One of 4 GPUs is used: --processes 4 divides each batch among all." in advice(there)
    both = replace(one, runtime=Runtime(torch.device("cuda"), processes=Processes(0, 4)))
    assert not [note for note in advice(both) if "GPU" in note]


@pytest.mark.parametrize(("at_most", "tolerance"), [(0.0, 0.55), (0.15, 1e-6), (60.0, 1e-6)])
def test_each_kind_of_step_counts_as_often_as_it_comes(configure, monkeypatch, at_most, tolerance):
    """A step with R1, every eighth, takes ten times as long here, which is known as soon as there was time for two steps."""
    one = set_up(configure("train.images=32000", "train.epochs=null", "objective.penalty_interval_steps=8"))
    now = [0.0]

    def step(_, number):
        seconds = 1.0 if number % 8 == 0 else 0.1
        now[0] += seconds
        return seconds

    monkeypatch.setattr(type(one), "_rehearsed", step)
    monkeypatch.setattr("gancli.training.setup.monotonic", lambda: now[0])
    assert one.expected_seconds(at_most) == pytest.approx(1000 * (1.0 + 7 * 0.1) / 8, rel=tolerance)


def test_an_architecture_is_prepared_with_real_images_and_the_ema_has_its_buffers(configure, monkeypatch):
    given, build = [], Dense.build

    def with_a_buffer(*inputs):
        networks = build(*inputs)
        networks.generator.register_buffer("seen", torch.zeros(1))
        return networks

    def remember(_, networks, images):
        given.append(images)
        networks.generator.seen.fill_(len(images))

    monkeypatch.setattr(Dense, "build", with_a_buffer)
    monkeypatch.setattr(Dense, "prepare", remember)
    training = set_up(configure())
    stored = training.data.images.images
    prepare(training)
    torch.testing.assert_close(given[0], stored)
    assert training.state.ema.seen == len(stored)

    many = stored[torch.arange(3 * PREPARED_WITH) % len(stored)]
    images = replace(training.data.images, images=many)
    prepare(replace(training, data=replace(training.data, images=images)))
    assert given[1].shape == (PREPARED_WITH, 1, 8, 8)
