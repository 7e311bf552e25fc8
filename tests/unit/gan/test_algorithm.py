import pytest
import torch
from torch import nn

from gancli.gan.algorithm import goodfellow_2014, gradient_penalties, gradient_penalty, r1, r2
from gancli.gan.context import Context
from gancli.gan.losses import NonSaturating, Relativistic, Wasserstein
from gancli.plugin import Penalty

N = 6


@pytest.fixture
def critic():
    """A small network with curvature, so that second derivatives are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Softplus(), nn.Linear(8, 1), nn.Flatten(0))


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    real, fake = torch.randn(2, N, 1, 3, 4, generator=generator)
    return real.requires_grad_(), fake.requires_grad_()


def one_gradient(critic, image):
    """The gradient of D at one image alone, as a vector."""
    alone = image.detach()[None].clone().requires_grad_()
    return torch.autograd.grad(critic(alone)[0], alone)[0].flatten()


def context(critic, real, fake, *, joint=False):
    """What the terms of D's update read."""
    return Context(
        networks={"discriminator": critic},
        generate=lambda _: fake.detach(),
        discriminator=critic,
        trained=("discriminator",),
        real=real,
        z=real,
        conditions=(),
        second_order=True,
        joint=joint,
    )


def value(penalty, critic, real, fake, *, joint=False):
    return penalty(context(critic, real, fake, joint=joint))


def test_r1_is_half_the_squared_norm_at_each_real_image(critic, pairs):
    real, fake = pairs
    expected = torch.stack([0.5 * one_gradient(critic, image).square().sum() for image in real])
    torch.testing.assert_close(value(r1, critic, real, fake), expected)


def test_r2_is_half_the_squared_norm_at_each_fake_image(critic, pairs):
    real, fake = pairs
    expected = torch.stack([0.5 * one_gradient(critic, image).square().sum() for image in fake])
    torch.testing.assert_close(value(r2, critic, real, fake), expected)


def test_a_joint_pass_gives_the_same_as_two(critic, pairs):
    for penalty in (r1, r2):
        torch.testing.assert_close(value(penalty, critic, *pairs, joint=True), value(penalty, critic, *pairs))


def test_gp_is_the_squared_excess_of_each_norm_between_real_and_fake(critic, pairs):
    real, fake = pairs
    torch.manual_seed(5)
    found = value(gradient_penalty, critic, real, fake)
    torch.manual_seed(5)
    shares = torch.rand(N, 1, 1, 1).flatten().tolist()
    expected = [
        (one_gradient(critic, e * x + (1 - e) * g).norm() - 1).square() for e, x, g in zip(shares, real, fake, strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(expected))


def test_gp_follows_the_seed(critic, pairs):
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(value(gradient_penalty, critic, *pairs))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_gp_is_zero_for_a_critic_of_slope_one(pairs):
    def slope_one(images):
        return images.flatten(1)[:, 0]

    torch.testing.assert_close(value(gradient_penalty, slope_one, *pairs), torch.zeros(N))


@pytest.mark.parametrize("penalty", [r1, r2, gradient_penalty])
def test_the_second_derivative_reaches_every_weight(penalty, critic, pairs):
    value(penalty, critic, *pairs).mean().backward()
    biases = {"3.bias"}  # which no gradient with respect to an image depends on
    for name, parameter in critic.named_parameters():
        if name in biases:
            assert parameter.grad is None or not parameter.grad.any()
        else:
            assert parameter.grad.abs().sum() > 0, name


def test_the_second_derivative_is_right(critic, pairs):
    real, fake = pairs
    (weight,) = (parameter for name, parameter in critic.named_parameters() if name == "3.weight")
    (found,) = torch.autograd.grad(value(r1, critic, real, fake).sum(), weight)
    step = torch.zeros_like(weight)
    step[0, 2] = 1e-2
    difference = 0.0
    for sign in (1, -1):
        with torch.no_grad():
            weight.add_(sign * step)
        difference += sign * value(r1, critic, real, fake).sum().item()
        with torch.no_grad():
            weight.sub_(sign * step)
    assert found[0, 2].item() == pytest.approx(difference / 2e-2, rel=1e-3)


@pytest.mark.parametrize("penalty", [r1, r2, gradient_penalty])
def test_the_gradient_is_finite_where_the_critic_is_flat(penalty, critic, pairs):
    with torch.no_grad():
        critic[3].weight.zero_()
    value(penalty, critic, *pairs).mean().backward()
    for parameter in critic.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()


def test_gp_does_not_reach_the_generator(critic, pairs):
    real, fake = pairs
    value(gradient_penalty, critic, real, fake).sum().backward()
    assert real.grad is None
    assert fake.grad is None


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (NonSaturating(), {"r1": 0.3}),
        (NonSaturating(r1_gamma=0), {}),
        (Relativistic(), {"r1": 1.0, "r2": 1.0}),
        (Relativistic(gradient_penalty=3), {"r1": 1.0, "r2": 1.0, "gp": 3.0}),
        (Wasserstein(), {"gp": 10.0}),
    ],
)
def test_only_what_has_a_weight_is_computed(objective, expected):
    assert {term.name: term.weight for term in gradient_penalties(objective)} == expected


def test_names_belong_to_their_formulas():
    found = {term.name: term.value for term in gradient_penalties(NonSaturating(r2_gamma=1, gradient_penalty=1))}
    assert found == {"r1": r1, "r2": r2, "gp": gradient_penalty}


def test_an_objective_may_bring_a_penalty_of_its_own():
    mine = Penalty("mine", r1, 2.0)

    class Own(NonSaturating):
        def penalties(self):
            return (mine,)

    assert [term.name for term in gradient_penalties(Own())] == ["r1", "mine"]


def test_algorithm_1_is_an_update_of_d_and_one_of_g():
    discriminator, generator = goodfellow_2014(NonSaturating(), discriminator_updates=5)
    assert (discriminator.networks, discriminator.repeats) == (("discriminator",), 5)
    assert [(term.name, term.every, term.second_order) for term in discriminator.losses] == [
        ("d_loss", 1, False),
        ("r1", 8, True),
    ]
    assert (generator.networks, generator.repeats, [term.name for term in generator.losses]) == (("generator",), 1, ["g_loss"])


def test_weights_are_clipped_after_the_critics_update(critic):
    discriminator, _ = goodfellow_2014(Wasserstein(gradient_penalty=0, clip=0.01))
    discriminator.after({"discriminator": critic})
    assert all(weight.abs().max() <= 0.01 for weight in critic.parameters())
    assert goodfellow_2014(Wasserstein())[0].after is None
