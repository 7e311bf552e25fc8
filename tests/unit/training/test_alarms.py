import pytest

from gancli.gan.losses import LeastSquares, NonSaturating, Relativistic, Wasserstein
from gancli.training.alarms import COLLAPSED, EARLIEST_STEP, signs_of_trouble

healthy = {"d_loss": 1.2, "real_score": 0.6, "fake_score": 0.4, "diversity": 1.0}


def names(step=EARLIEST_STEP, before=0.5, **changes):
    return [name for name, _ in signs_of_trouble({**healthy, **changes}, step, NonSaturating(), before=before)]


def test_a_healthy_epoch_raises_no_alarm():
    assert names() == []


def test_F35_a_winning_discriminator_is_seen():
    assert names(real_score=0.999, fake_score=0.001) == ["discriminator-wins"]


@pytest.mark.parametrize(("real_score", "fake_score"), [(0.73, 0.5), (0.73, 0.27)])
def test_F35_a_discriminator_whose_loss_is_spent_has_won_whatever_the_scale_of_its_logits(real_score, fake_score):
    assert names(d_loss=1e-3, real_score=real_score, fake_score=fake_score) == ["discriminator-wins"]


def test_a_critic_has_no_least_loss():
    assert names(d_loss=-8.0, real_score=0.999, fake_score=0.001) == []
    assert names(d_loss=0.01, real_score=0.5, fake_score=0.5) == []


def test_F35_a_collapse_is_seen():
    assert names(diversity=COLLAPSED - 0.01) == ["collapse"]
    assert names(diversity=COLLAPSED + 0.01) == []


def test_a_young_generator_whose_diversity_rises_has_not_collapsed():
    assert names(step=17, diversity=0.05) == []
    assert names(before=None, diversity=0.05) == []
    assert names(before=0.02, diversity=0.05) == []
    assert names(before=0.05, diversity=0.051) == ["collapse"]


def test_a_training_without_logits_or_diversity_is_not_judged_by_them():
    assert list(signs_of_trouble({"cycle": 1.0}, EARLIEST_STEP, NonSaturating())) == []


def test_F35_a_conditional_model_collapses_within_its_classes():
    (_, message), *_ = signs_of_trouble({"diversity": 0.0}, EARLIEST_STEP, NonSaturating(), classes=10, before=0.01)
    assert "within each class" in message


@pytest.mark.parametrize(
    ("objective", "penalty", "another"),
    [
        (NonSaturating(), "a larger -s objective.r1_gamma", "relativistic"),
        (LeastSquares(r1_gamma=0, r2_gamma=2), "a larger -s objective.r2_gamma", "relativistic"),
        (Wasserstein(), "a larger -s objective.gradient_penalty", "relativistic"),
        (NonSaturating(r1_gamma=0), "a larger -s objective.r1_gamma", "relativistic"),
        (Relativistic(), "a larger -s objective.r1_gamma", "a larger --batch-size"),
    ],
)
def test_F35_alarms_say_what_to_try_with_the_objective_in_use(objective, penalty, another):
    trouble = {"d_loss": 0.3, "real_score": 1.0, "fake_score": 0.0, "diversity": 0.0}
    messages = dict(signs_of_trouble(trouble, EARLIEST_STEP, objective, before=0.1))
    assert f"Try {penalty}" in messages["discriminator-wins"]
    assert f"Try {penalty}" in messages["collapse"]
    assert another in messages["collapse"]
