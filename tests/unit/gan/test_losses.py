import math

import pytest
import torch
from pydantic import ValidationError
from torch.autograd import gradcheck

from gancli.gan.losses import Hinge, LeastSquares, NonSaturating, Relativistic, Wasserstein
from gancli.plugins.registry import OBJECTIVES

ALL = [NonSaturating(), NonSaturating(real_label=0.9), Hinge(), LeastSquares(), Wasserstein(), Relativistic()]
IDS = ["non-saturating", "smoothed", "hinge", "least-squares", "wasserstein", "relativistic"]
every_objective = pytest.mark.parametrize("objective", ALL, ids=IDS)


def minus_log_sigmoid(t):
    return math.log(1 + math.exp(-t))


REAL, FAKE = [0.5, -2.0, 3.0], [-1.25, 0.25, 2.0]
PAIRS = list(zip(REAL, FAKE, strict=True))


@pytest.mark.parametrize(
    ("objective", "d_loss", "g_loss"),
    [
        (
            NonSaturating(),
            [minus_log_sigmoid(r) + minus_log_sigmoid(-f) for r, f in PAIRS],
            [minus_log_sigmoid(f) for f in FAKE],
        ),
        (
            NonSaturating(real_label=0.9),
            [0.9 * minus_log_sigmoid(r) + 0.1 * minus_log_sigmoid(-r) + minus_log_sigmoid(-f) for r, f in PAIRS],
            [minus_log_sigmoid(f) for f in FAKE],
        ),
        (Hinge(), [0.5 + 0.0, 3.0 + 1.25, 0.0 + 3.0], [1.25, -0.25, -2.0]),
        (LeastSquares(), [0.125 + 0.78125, 4.5 + 0.03125, 2.0 + 2.0], [2.53125, 0.28125, 0.5]),
        (Wasserstein(), [-1.75, 2.25, -1.0], [1.25, -0.25, -2.0]),
        (Relativistic(), [minus_log_sigmoid(r - f) for r, f in PAIRS], [minus_log_sigmoid(f - r) for r, f in PAIRS]),
    ],
    ids=IDS,
)
def test_the_formulas_per_sample(objective, d_loss, g_loss):
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE, dtype=torch.float64)
    torch.testing.assert_close(objective.discriminator_loss(real, fake), torch.tensor(d_loss, dtype=torch.float64))
    torch.testing.assert_close(objective.generator_loss(fake, real), torch.tensor(g_loss, dtype=torch.float64))


def test_an_undecided_discriminator_loses_log_4():
    zero = torch.zeros(1)
    assert NonSaturating().discriminator_loss(zero, zero).item() == pytest.approx(math.log(4))
    assert NonSaturating().generator_loss(zero, zero).item() == pytest.approx(math.log(2))
    assert Relativistic().discriminator_loss(zero, zero).item() == pytest.approx(math.log(2))


@every_objective
def test_gradients_agree_with_finite_differences(objective):
    real = torch.tensor(REAL, dtype=torch.float64, requires_grad=True)
    fake = torch.tensor(FAKE, dtype=torch.float64, requires_grad=True)
    assert gradcheck(objective.discriminator_loss, (real, fake))
    assert gradcheck(lambda f: objective.generator_loss(f, real.detach()), (fake,))


@every_objective
def test_large_logits_do_not_overflow(objective):
    extreme = torch.tensor([-1e4, -1e4, 1e4, 1e4, 0.0], requires_grad=True)
    other = torch.tensor([-1e4, 1e4, -1e4, 1e4, 0.0], requires_grad=True)
    loss = objective.discriminator_loss(extreme, other) + objective.generator_loss(other, extreme)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert extreme.grad.isfinite().all()
    assert other.grad.isfinite().all()


@every_objective
def test_each_player_wants_what_the_other_fears(objective):
    real, fake = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    (towards_real, away_from_fake) = torch.autograd.grad(
        objective.discriminator_loss(real, fake), (real, fake), materialize_grads=True
    )
    (pull,) = torch.autograd.grad(objective.generator_loss(fake, real), fake)
    assert towards_real < 0, "D raises its logit of real images"
    assert away_from_fake >= 0, "and lowers that of fakes"
    assert pull < 0, "which G wants to raise"


def test_smoothing_puts_the_best_logit_where_the_sigmoid_is_the_label():
    best = torch.tensor([math.log(0.9 / 0.1)], requires_grad=True)
    NonSaturating(real_label=0.9).discriminator_loss(best, torch.zeros(1)).backward()
    assert best.grad.item() == pytest.approx(0, abs=1e-7)


def test_only_the_relativistic_generator_looks_at_real_images():
    fake = torch.tensor([0.3])
    for objective in ALL:
        changes = not torch.equal(
            objective.generator_loss(fake, torch.tensor([1.0])), objective.generator_loss(fake, torch.tensor([-5.0]))
        )
        assert changes is objective.generator_sees_real


def test_every_registered_objective_is_tested_here():
    assert {type(objective) for objective in ALL} >= {
        OBJECTIVES.load_entry(entry) for entry in OBJECTIVES.entries() if entry.distribution == "gancli"
    }


@every_objective
def test_every_objective_says_what_it_is(objective):
    assert objective.api == 1
    assert objective.summary
    assert all(field.description for field in type(objective).model_fields.values())


@pytest.mark.parametrize(
    "options", [{"real_label": 0.5}, {"real_label": 1.1}, {"r1_gamma": -1}, {"r1_gama": 1}, {"r1_gamma": math.nan}]
)
def test_options_are_bounded(options):
    with pytest.raises(ValidationError):
        NonSaturating(**options)
