"""Captured updates, by recordings of CPU operations in place of CUDA graphs: they end where updates as they are written end."""

import struct

import pytest
import torch

from gancli.config.schema import AugmentConfig
from gancli.data import unwatched
from gancli.gan.augmentation import Augmentation
from gancli.gan.capture import Captured, Noise, as_written, capture_updates
from gancli.gan.state import Trained
from gancli.plugin import LossTerm, Update
from gancli.runtime.graphs import GRAPHS

STEPS = 13


@pytest.fixture(autouse=True)
def _recordings(stand_in, monkeypatch):
    """Learning rates are rounded to float32, which captured steps read."""
    del stand_in
    set_rates = Trained.set_rates

    def rounded(trained, rate, betas):
        set_rates(trained, struct.unpack("f", struct.pack("f", rate))[0], betas)

    monkeypatch.setattr(Trained, "set_rates", rounded)


@pytest.fixture
def pair(make_game):
    """``(**game)`` -> the same game twice, the second one captured; both with dropout and augmentation."""

    def make(changes=("flip", "translation", "rotation"), spoil=id, **game):
        games = []
        for _ in range(2):
            made = make_game(arch={"dropout": 0.3}, learning_rate_decay=0.5, options={"penalty_interval_steps": 3}, **game)
            spoil(made)
            if changes:
                config = AugmentConfig(changes=changes, adapt_images=1000)
                made.trainer.augmentation = Augmentation(config, made.state.augmentation, torch.device("cpu"))
            games.append(made)
        return games

    return make


def take(game, steps):
    return [game.trainer.step(step / STEPS) for step in steps]


def assert_same(one, other):
    theirs = other.state.tensors()
    for group, tensors in one.state.tensors().items():
        for name, value in tensors.items():
            assert torch.equal(value, theirs[group][name]), f"{group}/{name}"
    assert one.state.counters() == other.state.counters()


GAMES = {
    "as it is": {},
    "with classes": {"classes": 3},
    "two updates of D, two passes": {"discriminator_updates": 2, "real_fake_batch": "separate"},
    "wgan": {"objective": "wasserstein", "discriminator_updates": 3},
    "no augmentation": {"changes": ()},
    "SGD": {"optimizer": {"name": "sgd", "momentum": 0.5}},
    "no EMA": {"ema_halflife_images": 0},
    "penalties that grow": {"burn_in": 0.5, "penalty_start": 0.25},
}


@pytest.mark.parametrize("name", GAMES)
def test_captured_steps_end_in_the_bits_of_steps_as_they_are_written(pair, name):
    written, captured = pair(**GAMES[name])
    assert capture_updates(captured.trainer, unwatched) == ""
    for a, b in zip(take(written, range(STEPS)), take(captured, range(STEPS)), strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert_same(written, captured)
    assert isinstance(captured.trainer.run, Captured)
    assert len(captured.trainer.run._recorded) >= 4, "D with penalties and without, G, the EMA"


def test_a_checkpoint_in_between_changes_nothing_and_neither_does_a_resume(pair):
    written, captured = pair()
    assert capture_updates(captured.trainer, unwatched) == ""
    take(captured, range(6))
    files = captured.state.files()
    take(captured, range(6, STEPS))
    take(written, range(STEPS))
    assert_same(written, captured)

    for resumed in (captured, pair()[1]):  # the same game, whose recordings are out of date, and another one
        if resumed is not captured:
            assert capture_updates(resumed.trainer, unwatched) == ""
        resumed.state.load(files, "a test")
        take(resumed, range(6, STEPS))
        assert_same(written, resumed)


def term(value):
    """The game, with a loss term more."""

    def spoil(game):
        d, g = game.trainer.updates
        game.trainer.updates = (d, Update(g.networks, (*g.losses, LossTerm("more", value, 10.0))))

    return spoil


def counting():
    counts = iter(range(1000))
    return lambda s: s.fake * (-1) ** next(counts)


def another_generator():
    own = torch.Generator()
    return lambda s: s.fake * torch.randn(s.fake.shape, generator=own)


def a_constant():
    return lambda s: s.fake * torch.tensor([2.0])


def waiting():
    return lambda s: s.fake * float(s.fake.sum().item() > 0)


HOST = {
    counting: "after replayed steps the weights of generator are ",
    another_generator: "RuntimeError: operation not permitted when stream is capturing: aten::randn",
    a_constant: "RuntimeError: operation not permitted when stream is capturing: aten::lift_fresh",
    waiting: "RuntimeError: operation not permitted when stream is capturing: aten::_local_scalar_dense",
}


@pytest.mark.parametrize("made", HOST)
def test_what_depends_on_the_host_is_noticed_and_steps_stay_as_they_are_written(pair, made):
    refused = pair(spoil=term(made()))[1]
    assert capture_updates(refused.trainer, unwatched).startswith(HOST[made])
    assert refused.trainer.run is as_written
    (group,) = refused.state.trained["generator"].optimizer.param_groups
    assert type(group["lr"]) is float
    assert group["capturable"] is False
    assert refused.state.step == 0


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"accumulate": 2}, "the batch is divided, and each part of it has a seed of its own"),
        ({"burn_in": 0.2, "beta2_start": 0.9}, "train.beta2_start moves a number that optimisers take from the host"),
    ],
)
def test_what_cannot_be_captured_says_why(make_game, rules, reason):
    trainer = make_game(**rules).trainer
    assert capture_updates(trainer, unwatched) == reason
    assert trainer.run is as_written


def test_without_graphs_on_a_device_steps_are_as_they_are_written(make_game, monkeypatch):
    monkeypatch.delitem(GRAPHS, "cpu")
    trainer = make_game().trainer
    assert capture_updates(trainer, unwatched) == "the device is cpu, and graphs are recorded on cuda"


@pytest.mark.parametrize("forgotten", ["seed", "uniform", "inputs"])
def test_a_place_that_is_not_filled_before_a_replay_is_noticed(pair, forgotten, monkeypatch):
    """That is the fault which the rehearsal is for."""

    class Forgetful(Captured):
        def __call__(self, kind, compute, inputs, noise):
            first = kept.setdefault(kind, (inputs, noise))
            inputs = first[0] if forgotten == "inputs" else inputs
            seed, uniform = (getattr(first[1] if forgotten == name else noise, name) for name in ("seed", "uniform"))
            return super().__call__(kind, compute, inputs, Noise(seed, uniform))

    kept = {}
    monkeypatch.setattr("gancli.gan.capture.Captured", Forgetful)
    game = pair()[1]
    game.state.augmentation["strength"].fill_(0.8)
    assert "of their way off" in capture_updates(game.trainer, unwatched)
