import pytest
import torch

from gancli.gan.losses import LeastSquares, NonSaturating, Relativistic, Wasserstein
from gancli.training.alarms import EARLIEST_STEP, diversity, signs_of_trouble, spread

healthy = {"d_loss": 1.2, "real_score": 0.6, "fake_score": 0.4, "diversity": 1.0}


def names(step=EARLIEST_STEP, **changes):
    return [name for name, _ in signs_of_trouble({**healthy, **changes}, step, NonSaturating())]


def test_a_healthy_epoch_raises_no_alarm():
    assert names() == []


def test_F35_a_winning_discriminator_is_seen():
    assert names(real_score=0.999, fake_score=0.001) == ["discriminator-wins"]


@pytest.mark.parametrize(("real_score", "fake_score"), [(0.73, 0.5), (0.73, 0.27)])
def test_F35_a_discriminator_whose_loss_is_spent_has_won_whatever_the_scale_of_its_logits(real_score, fake_score):
    assert names(d_loss=1e-3, real_score=real_score, fake_score=fake_score) == ["discriminator-wins"]


def test_a_critic_is_no_judge():
    assert names(d_loss=-8.0, real_score=0.999, fake_score=0.001) == []
    assert names(d_loss=0.01, real_score=0.5, fake_score=0.5) == []


def test_F35_a_collapse_is_seen():
    assert names(diversity=0.05) == ["collapse"]


def test_a_generator_that_has_hardly_begun_is_not_called_collapsed():
    assert names(step=17, diversity=0.05) == []


@pytest.mark.parametrize(
    ("objective", "penalty", "another"),
    [
        (NonSaturating(), "a larger -s objective.r1_gamma", "relativistic"),
        (LeastSquares(r1_gamma=0, r2_gamma=2), "a larger -s objective.r2_gamma", "relativistic"),
        (Wasserstein(), "a larger -s objective.gradient_penalty", "relativistic"),
        (NonSaturating(r1_gamma=0), "a larger -s objective.r1_gamma", "relativistic"),
        (Relativistic(), "a larger -s objective.r1_gamma", "more pictures per batch"),
    ],
)
def test_F35_alarms_say_what_to_try_with_the_objective_that_is_played(objective, penalty, another):
    trouble = {"d_loss": 0.3, "real_score": 1.0, "fake_score": 0.0, "diversity": 0.0}
    messages = dict(signs_of_trouble(trouble, EARLIEST_STEP, objective))
    assert f"Try {penalty}" in messages["discriminator-wins"]
    assert f"Try {penalty}" in messages["collapse"]
    assert another in messages["collapse"]


def test_identical_pictures_have_no_diversity():
    real = torch.randn(16, 1, 4, 4)
    assert diversity(torch.zeros(16, 1, 4, 4), real) == 0


def test_diversity_is_relative_to_the_data():
    real = torch.randn(64, 1, 8, 8)
    assert diversity(real, real) == 1
    assert abs(diversity(real / 2, real) - 0.5) < 1e-5


def test_spread_is_the_mean_distance_of_pairs():
    images = torch.tensor([[0.0, 0.0], [3.0, 4.0]]).reshape(2, 1, 1, 2)
    assert spread(images) == 5


def test_data_without_variety_raises_no_alarm():
    same = torch.zeros(8, 1, 4, 4)
    assert diversity(same, same) == 1
    assert diversity(same[:1], same[:1]) == 1


def test_a_picture_per_class_is_no_diversity():
    labels = torch.arange(40) % 4
    real = torch.randn(40, 1, 8, 8) + 5 * labels[:, None, None, None]
    one_each = real[:4][labels]
    assert diversity(one_each, real) > 0.5
    assert diversity(one_each, real, labels, labels) == 0
    assert diversity(real, real, labels, labels) == 1


def test_the_spread_within_classes_is_that_of_pairs_of_one_class():
    images = torch.tensor([0.0, 1.0, 10.0, 13.0]).reshape(4, 1, 1, 1)
    assert spread(images, torch.tensor([5, 5, 7, 7])) == 2
    assert spread(images, torch.tensor([0, 1, 0, 1])) == 11


def test_classes_of_copies_are_left_out():
    real = torch.randn(5, 1, 4, 4)
    real[1] = real[0]
    labels = torch.tensor([0, 0, 1, 2, 3])
    assert diversity(torch.zeros(5, 1, 4, 4), real, torch.zeros(5), labels) == 0


def test_classes_without_a_pair_are_left_out():
    real, few = torch.randn(3, 1, 4, 4), torch.arange(3)
    assert diversity(real / 2, real, few, torch.zeros(3)) == diversity(real / 2, real)


@pytest.mark.parametrize(("classes", "text"), [(0, "The pictures are nearly"), (10, "The pictures of each class are nearly")])
def test_collapse_is_told_of_the_pictures_that_were_compared(classes, text):
    trouble = {"d_loss": 1.0, "real_score": 0.6, "fake_score": 0.4, "diversity": 0.0}
    messages = dict(signs_of_trouble(trouble, EARLIEST_STEP, NonSaturating(), classes=classes))
    assert text in messages["collapse"]
