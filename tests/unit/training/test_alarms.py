import pytest

from gancli.gan.losses import LeastSquares, NonSaturating, Relativistic, Wasserstein
from gancli.training.alarms import COLLAPSED, EARLIEST_STEP, signs_of_trouble

healthy = {"d_loss": 1.2, "real_score": 0.6, "fake_score": 0.4, "diversity": 1.0}


def names(step=EARLIEST_STEP, before=(0.5, 0.5, 0.5), **changes):
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
    assert names(before=(), diversity=0.05) == []
    assert names(before=(0.06, 0.06), diversity=0.05) == []  # twice is too little
    assert names(before=(0.06, 0.05, 0.02), diversity=0.05) == []
    assert names(before=(0.06, 0.02, 0.05), diversity=0.04) == []
    assert names(before=(0.05, 0.05, 0.05), diversity=0.051) == ["collapse"]


# Measured by tests/benchmarks/collapse.py, every 100 steps or so; see the table in its README.
COLLAPSES = {
    "shapes: dense, lazy D, relativistic": (0.014, 0.014, 0.013, 0.013),
    "shapes: dcgan, lazy D": (0.010, 0.010, 0.010, 0.010),
    "shapes: dcgan, lazy D, hinge, classes": (0.024, 0.024, 0.024, 0.024),
    "300 shapes: dense, lazy D, least squares": (0.012, 0.012, 0.012, 0.012),
    "300 shapes: dcgan, no penalty": (0.010, 0.009, 0.009, 0.009),
    "16 px: dcgan, lazy D, wasserstein": (0.010, 0.008, 0.007, 0.007),
    "16 px: dense, lazy D, patches": (0.098, 0.070, 0.061, 0.050),
    "16 px: resnet, lazy D": (0.011, 0.007, 0.007, 0.007),
    "frozen D, latent of 2": (0.057, 0.050, 0.048, 0.046),
    "late": (0.020, 0.063, 0.059, 0.038, 0.029),
    "held out, shapes: dcgan, lazy D, least squares": (0.009, 0.009, 0.009, 0.009),
    "held out, colour: dense, late": (0.033, 0.051, 0.050, 0.036, 0.030),
    "held out, 301 images: dense, lazy D, hinge": (0.007, 0.007, 0.007, 0.007),
    "held out, 16 px: dcgan, lazy D, classes": (0.047, 0.046, 0.046, 0.046),
    "late, shapes: dcgan": (0.050, 0.179, 0.090, 0.017, 0.014),
}
HEALTHY = {
    "300 shapes: dense, least squares": (0.011, 0.011, 0.011, 0.013),
    "16 px: dense, patches": (0.278, 0.763, 1.000, 0.997),
    "held out, colour: dense, least squares": (0.032, 0.031, 0.033, 0.040),
    "held out, 301 images: dense": (0.015, 0.045, 0.114, 0.183),
    "held out, 16 px: dcgan, classes": (0.047, 0.049, 0.052, 0.056),
    "held out, shapes: dense, hinge": (0.011, 0.010, 0.011, 0.012),
    "300 shapes: dcgan": (0.040, 0.137, 0.310, 0.827),
    "16 px: dcgan, wasserstein": (0.378, 1.000, 1.000, 1.000),
    "shapes: dense": (0.011, 0.010, 0.014, 0.027),
    "shapes: dense, relativistic": (0.012, 0.019, 0.045, 0.116),
    "shapes: dense, no penalty, wasserstein": (0.015, 0.011, 0.018, 0.025),
    "shapes: dcgan": (0.050, 0.203, 0.245, 0.508),
}


def raised(series):
    return any(names(before=series[:i], diversity=series[i]) for i in range(len(series)))


@pytest.mark.parametrize("name", COLLAPSES)
def test_collapses_that_were_made_on_purpose_are_seen(name):
    assert raised(COLLAPSES[name])


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_trainings_raise_no_alarm(name):
    assert not raised(HEALTHY[name])


def test_a_training_without_logits_or_diversity_is_not_judged_by_them():
    assert list(signs_of_trouble({"cycle": 1.0}, EARLIEST_STEP, NonSaturating())) == []


def test_F35_a_conditional_model_collapses_within_its_classes():
    (_, message), *_ = signs_of_trouble(
        {"diversity": 0.0}, EARLIEST_STEP, NonSaturating(), classes=10, before=(0.01, 0.01, 0.01)
    )
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
    messages = dict(signs_of_trouble(trouble, EARLIEST_STEP, objective, before=(0.1, 0.1, 0.1)))
    assert f"Try {penalty}" in messages["discriminator-wins"]
    assert f"Try {penalty}" in messages["collapse"]
    assert another in messages["collapse"]
