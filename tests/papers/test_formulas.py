"""Numbers that a paper gives, or that follow from its formula on paper."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gancli.gan.algorithm import goodfellow_2014, gradient_penalty, r1
from gancli.gan.context import Context
from gancli.gan.losses import LeastSquares, NonSaturating, Wasserstein

N = 6


def context(discriminator, real, fake, trained=("discriminator",)):
    return Context(
        networks={"discriminator": discriminator},
        generate=lambda _: fake,
        discriminator=discriminator,
        trained=trained,
        real=real.requires_grad_(),
        z=fake,
        conditions=(),
        second_order=True,
        joint=True,
    )


def linear(slope):
    """D(x) = a x for every image, with |a| = slope."""
    a = torch.randn(12, generator=torch.Generator().manual_seed(0))
    a = slope * a / a.norm()
    return lambda images: images.flatten(1) @ a


@pytest.fixture
def pairs():
    return torch.randn(2, N, 1, 3, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_r1_of_a_linear_discriminator_is_half_its_squared_slope(pairs, slope):
    torch.testing.assert_close(r1(context(linear(slope), *pairs)), torch.full((N,), slope**2 / 2))


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_the_penalty_of_a_linear_critic_is_the_squared_excess_of_its_slope(pairs, slope):
    """0 for a critic of slope 1, as the optimal one is (Gulrajani et al., 2017, corollary 1)."""
    torch.testing.assert_close(gradient_penalty(context(linear(slope), *pairs)), torch.full((N,), (slope - 1) ** 2))


def test_the_clipped_critic_is_bounded():
    """|D(x)| <= 0.01^layers times what weights of one would give (Arjovsky et al., 2017)."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 1, bias=False))
    goodfellow_2014(Wasserstein(gradient_penalty=0, clip=0.01), 5)[0].after({"discriminator": critic})
    assert critic(torch.ones(1, 1, 3, 4)).abs() <= 4 * 0.01 * 13 * 0.01 + 1e-9


def test_where_g_equals_the_data_d_cannot_tell_and_the_loss_is_2_log_2():
    """Goodfellow et al., 2014, theorem 1: D = 1/2 and the value is -log 4."""
    zero = torch.zeros(N)
    torch.testing.assert_close(NonSaturating(r1_gamma=0).discriminator_loss(zero, zero), torch.full((N,), math.log(4)))


def test_least_squares_is_least_at_one_half_where_g_equals_the_data():
    """D = (b p + a q) / (p + q) = 1/2 for p = q, b = 1, a = 0, and L_D = 1/4 (Mao et al., 2017, equation 5)."""
    objective = LeastSquares()
    logit = torch.tensor([0.5], requires_grad=True)
    loss = objective.discriminator_loss(logit, logit)
    torch.testing.assert_close(loss.detach(), torch.tensor([0.25]))
    assert torch.autograd.grad(loss, logit)[0] == 0
    for other in (0.4, 0.6):
        assert objective.discriminator_loss(*torch.tensor([[other], [other]])) > loss
    assert objective.generator_loss(torch.ones(1), torch.ones(1)) == 0


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_the_path_length_of_a_linear_generator_is_the_norm_of_its_transpose_at_y(module, scale):
    """For synthesis(w) = scale w, J^T y = scale y at every w, and the first running mean is 0.01 of the lengths'."""

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean_length", torch.zeros(()))

        def mapping(self, z):
            return (1.0 * z).requires_grad_()

        def synthesis(self, w):
            return (scale * w).unflatten(1, (1, 3, 4))

    generator, z = Linear(), torch.randn(N, 12)
    s = SimpleNamespace(z=z, network=lambda name: generator)
    torch.manual_seed(3)
    found = module("stylegan2", "StyleGAN2").path_length(s)
    torch.manual_seed(3)
    lengths = scale * torch.randn(N, 1, 3, 4).flatten(1).norm(dim=1) / math.sqrt(12)
    torch.testing.assert_close(found, (lengths - 0.01 * lengths.mean()).square())
    torch.testing.assert_close(generator.mean_length, 0.01 * lengths.mean())


def test_equalised_weights_start_at_unit_variance_and_keep_it(module):
    torch.manual_seed(0)
    layer = module("stylegan2", "StyleGAN2").Equal(256, 512, rate=0.01)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.02)
    assert layer(torch.randn(64, 256)).std().item() == pytest.approx(1, rel=0.05)


def test_demodulated_outputs_have_unit_variance_whatever_the_style(module):
    """Karras et al., 2020, section 2.2."""
    torch.manual_seed(0)
    layer = module("stylegan2", "StyleGAN2").Modulated(32, 64, 8)
    with torch.no_grad():
        outputs = layer(torch.randn(16, 32, 12, 12), 5 * torch.randn(16, 8))[:, :, 2:-2, 2:-2]
    assert outputs.std((1, 2, 3)).tolist() == pytest.approx([1.0] * 16, rel=0.2)


def test_the_standard_deviation_is_that_of_a_group_of_four(module):
    """0 of equal images, 1 of two ones and two minus ones; the last channel holds it."""
    with_standard_deviation = module("stylegan2", "StyleGAN2").with_standard_deviation
    images = torch.ones(8, 2, 3, 3)
    torch.testing.assert_close(with_standard_deviation(images)[:, -1], torch.zeros(8, 3, 3), atol=1e-3, rtol=0)
    images[[2, 3, 6, 7]] = -1  # every second image of a group, whose images are two apart
    found = with_standard_deviation(images)
    torch.testing.assert_close(found[:, -1], torch.ones(8, 3, 3))
    assert torch.equal(found[:, :-1], images)


def test_a_uniform_q_knows_nothing_of_the_code(module):
    """E[log Q] = -log k, so that the bound L_I = E[log Q] + H(c) is 0 (Chen et al., 2016, equation 5)."""
    infogan = module("infogan", "InfoGAN")
    s = SimpleNamespace(
        z=torch.randn(N, 20),
        fake=None,
        network=lambda name: SimpleNamespace(features=lambda images: None) if name != "q" else lambda _: torch.zeros(N, 14),
    )
    torch.testing.assert_close(infogan.category(s), torch.full((N,), math.log(10)))


def test_the_codes_of_normal_latents_are_uniform(module):
    z = torch.randn(50_000, 20, generator=torch.Generator().manual_seed(0))
    one_hot, angles = module("infogan", "InfoGAN").codes(z)
    assert one_hot.sum(1).eq(1).all()
    assert one_hot.mean(0).tolist() == pytest.approx([0.1] * 10, abs=0.006)
    assert angles.var(0).tolist() == pytest.approx([1 / 3] * 2, rel=0.02)
    assert angles.abs().max() <= 1


def test_the_class_loss_of_equal_logits_is_log_k(module):
    labels = torch.arange(N) % 3
    d = SimpleNamespace(classify=lambda images: torch.zeros(N, 3))
    s = SimpleNamespace(real=None, conditions=(labels,), network=lambda name: d)
    torch.testing.assert_close(module("acgan", "ACGAN").class_real(s), torch.full((N,), math.log(3)))


def test_the_prior_term_is_the_divergence_from_a_standard_normal(module):
    """0 at N(0, I); d/2 at a mean of ones; (v - log v - 1) d/2 at variance v."""
    vae_gan, d = module("vae_gan", "VAEGAN"), 5

    def prior(mean, variance):
        answer = torch.cat([torch.full((N, d), mean), torch.full((N, d), math.log(variance))], 1)
        s = SimpleNamespace(real=None, network=lambda name: lambda images: answer)
        s.once = lambda compute: compute(s)
        return vae_gan.prior(s)

    torch.testing.assert_close(prior(0.0, 1.0), torch.zeros(N))
    torch.testing.assert_close(prior(1.0, 1.0), torch.full((N,), d / 2))
    torch.testing.assert_close(prior(0.0, 4.0), torch.full((N,), (4 - math.log(4) - 1) * d / 2))


def test_two_translators_that_invert_each_other_have_no_cycle_loss(module):
    cyclegan = module("cyclegan", "CycleGAN")
    real, source = torch.rand(2, N, 1, 4, 4)
    networks = {"generator": lambda z, x: -x, "back": lambda z, x: -x}
    s = SimpleNamespace(real=real, z=None, conditions=(source,), fake=-source, network=networks.get)
    s.once = lambda compute: compute(s)
    assert cyclegan.cycle(s).max() == 0
    torch.testing.assert_close(cyclegan.identity(s), 2 * (real.abs() + source.abs()))


def test_the_pool_returns_old_images_half_of_the_time(module):
    """Zhu et al., 2017, section 4: a history of 50 images."""
    pool = module("cyclegan", "CycleGAN").ImagePool(50, (1, 1, 1))
    first = torch.arange(50.0).view(50, 1, 1, 1)
    assert torch.equal(pool(first), first)
    torch.manual_seed(0)
    shown = pool(torch.full((1000, 1, 1, 1), -1.0))
    assert pool.count == 50
    assert 25 <= (shown >= 0).sum() <= 50  # each old image comes back once at most
    assert set(shown[shown >= 0].tolist()) <= set(range(50))


def test_the_weights_of_the_losses_are_those_of_the_papers():
    from gancli.plugins.registry import ARCHITECTURES

    here = __file__.rpartition("/")[0]

    def weights(file, name, objective):
        arch = ARCHITECTURES.load(f"{here}/{file}.py:{name}")()
        updates = arch.updates(arch.Config(), objective, *goodfellow_2014(objective))
        return {term.name: (term.weight, term.every) for update in updates for term in update.losses}

    plain, squares = NonSaturating(r1_gamma=0), LeastSquares(r1_gamma=0)
    assert weights("pix2pix", "Pix2Pix", plain)["l1"] == (100, 1)
    cyclegan = weights("cyclegan", "CycleGAN", squares)
    assert (cyclegan["cycle"], cyclegan["identity"]) == ((10, 1), (5, 1))
    assert weights("stylegan2", "StyleGAN2", plain)["path_length"] == (2, 4)
    infogan = weights("infogan", "InfoGAN", plain)
    assert (infogan["category"], infogan["angles"]) == ((1, 1), (0.1, 1))
