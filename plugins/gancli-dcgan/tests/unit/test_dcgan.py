from __future__ import annotations

import copy
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.autograd import backward

from gancli.config.resolve import resolve
from gancli.gan import losses
from gancli.gan.algorithm import goodfellow_2014
from gancli.gan.context import Context
from gancli.plugin import ImageSpec, Networks, Objective
from gancli.plugins.registry import ARCHITECTURES
from gancli_dcgan import DCGAN, DCGANConfig, halvings
from gancli_dcgan.networks import Nearest, deviation

LATENT_DIM = 12
SPECS = [
    ImageSpec(1, 16, 16),
    ImageSpec(1, 28, 28),
    ImageSpec(3, 32, 32),
    ImageSpec(3, 64, 64),
    ImageSpec(3, 256, 256),
    ImageSpec(4, 28, 56),
    ImageSpec(3, 32, 32, classes=5),
]
OBJECTIVES = [losses.NonSaturating, losses.Hinge, losses.LeastSquares, losses.Wasserstein, losses.Relativistic]
GENERATOR_NORMS = ["batch", "instance", "layer", "none"]
BATCH_NORM_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
DISCRIMINATOR_NORMS = ["none", "instance", "layer", "spectral", "batch"]


def build(image: ImageSpec, options: dict[str, Any] | None = None, seed: int = 0) -> Networks:
    torch.manual_seed(seed)
    config = DCGANConfig.model_validate({"channels": 4, "max_channels": 16} | (options or {}))
    return DCGAN().build(config, image, LATENT_DIM)


def draw(image: ImageSpec, n: int = 3) -> tuple[torch.Tensor, ...]:
    """Latents and, for a conditional model, labels."""
    z = torch.randn(n, LATENT_DIM)
    return (z, torch.arange(n) % image.classes) if image.classes else (z,)


def discriminator_loss(networks: Networks, objective: Objective, image: ImageSpec, n: int = 4) -> torch.Tensor:
    """What D minimises in one step, penalties included, as the trainer puts it together."""
    z, *labels = draw(image, n)
    context = Context(
        networks={},
        generate=networks.generator,
        discriminator=networks.discriminator,
        trained=("discriminator",),
        real=torch.rand(n, *image.shape).mul(2).sub(1).requires_grad_(),
        z=z,
        conditions=tuple(labels),
        second_order=True,
        joint=False,
    )
    update, _ = goodfellow_2014(objective)
    loss = torch.zeros(())
    for term in update.losses:
        loss = loss + term.weight * term.value(context).mean()
    return loss


def unreached(network: torch.nn.Module) -> list[str]:
    return [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]


@pytest.mark.parametrize(
    "options",
    [
        *({"generator_norm": norm} for norm in GENERATOR_NORMS),
        *({"generator_norm": norm, "modulation": True, "upsampling": "nearest"} for norm in GENERATOR_NORMS),
        *({"discriminator_norm": norm} for norm in DISCRIMINATOR_NORMS),
        {"group_size": 2, "discriminator_channels": 8},
        {"hidden": 24},
    ],
    ids=str,
)
def test_a_gradient_reaches_every_parameter_under_every_normalisation(options: dict[str, Any]) -> None:
    image = ImageSpec(3, 32, 32, classes=4)
    networks = build(image, options)
    backward(discriminator_loss(networks, losses.NonSaturating(), image))
    assert unreached(networks.discriminator) == []
    z, *labels = draw(image, 4)
    backward((-networks.discriminator(networks.generator(z, *labels), *labels)).mean())
    assert unreached(networks.generator) == []


@pytest.mark.parametrize("discriminator_norm", DISCRIMINATOR_NORMS)
def test_the_same_seed_gives_the_same_weights(discriminator_norm: str) -> None:
    image = ImageSpec(3, 32, 32, classes=3)
    first, second, other = (build(image, {"discriminator_norm": discriminator_norm}, seed) for seed in (1, 1, 2))
    for player in ("generator", "discriminator"):
        states = [getattr(networks, player).state_dict() for networks in (first, second, other)]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


@pytest.mark.parametrize("norm", GENERATOR_NORMS)
def test_a_state_dict_goes_round_strictly(norm: str) -> None:
    image = ImageSpec(1, 28, 28)
    source, target = (build(image, {"generator_norm": norm, "discriminator_norm": "spectral"}, seed) for seed in (1, 2))
    source.generator(torch.randn(8, LATENT_DIM))  # moves running statistics, if there are any
    for player in ("generator", "discriminator"):
        state = copy.deepcopy(getattr(source, player).state_dict())
        getattr(target, player).load_state_dict(state, strict=True)
    z = torch.randn(2, LATENT_DIM)
    images = source.generator.eval()(z)
    assert torch.equal(target.generator.eval()(z), images)
    assert torch.equal(target.discriminator.eval()(images), source.discriminator.eval()(images))


@pytest.mark.parametrize("norm", GENERATOR_NORMS)
def test_in_eval_mode_a_picture_does_not_depend_on_its_batch(norm: str) -> None:
    generator = build(ImageSpec(1, 28, 28), {"generator_norm": norm}).generator
    generator(torch.randn(32, LATENT_DIM))
    generator.eval()
    z = torch.randn(9, LATENT_DIM)
    together = generator(z)
    assert torch.equal(generator(z), together)
    assert torch.allclose(torch.cat([generator(row) for row in z.unsqueeze(1)]), together, atol=1e-5)


@pytest.mark.parametrize("norm", DISCRIMINATOR_NORMS)
def test_only_batch_normalisation_mixes_the_samples_of_the_discriminator(norm: str) -> None:
    discriminator = build(ImageSpec(1, 28, 28), {"discriminator_norm": norm}).discriminator
    images = torch.randn(4, 1, 28, 28, requires_grad=True)
    (gradient,) = torch.autograd.grad(discriminator(images)[0], images)
    assert gradient[1:].any() == (norm == "batch")


def test_modulation_lets_the_latent_change_every_hidden_layer() -> None:
    generator = build(ImageSpec(3, 64, 64), {"modulation": True, "generator_norm": "none"}).generator
    z = torch.randn(2, LATENT_DIM)
    layers = [layer for layer in generator.hidden if isinstance(layer, torch.nn.ReLU)]
    assert len(generator.modulations) == len(layers) == 4
    before = generator(z)
    for modulation in generator.modulations:
        weight = modulation.shift.weight.detach().clone()
        torch.nn.init.zeros_(modulation.shift.weight)
        assert not torch.equal(generator(z), before)
        modulation.shift.weight.data.copy_(weight)


def test_the_minibatch_deviation_tells_copies_from_variety_and_real_from_generated() -> None:
    varied, copies = torch.randn(6, 3, 4, 4), torch.randn(1, 3, 4, 4).expand(6, 3, 4, 4)
    found = deviation(torch.cat([varied, copies]), group_size=4)
    assert found.shape == (12, 1, 4, 4)
    assert found[:6].min() > 0.3  # groups of 3: of 4 they would hold both kinds
    assert found[6:].max() < 1e-3


def test_runs_of_earlier_versions_keep_their_networks_and_a_new_one_gets_todays() -> None:
    assert build(ImageSpec(3, 32, 32)).generator.state_dict().keys() == {
        *(f"hidden.{layer}.weight" for layer in (0, 2, 4, 5, 7, 8)),
        *(f"hidden.{layer}.{name}" for layer in (2, 5, 8) for name in ("bias", *BATCH_NORM_BUFFERS)),
        "output.weight",
        "output.bias",
    }
    old = DCGANConfig.model_validate(DCGAN().migrate({"channels": 16}, "0.1.0"))
    assert (old.modulation, old.group_size, old.discriminator_channels) == (False, 1, None)
    of_0_2 = {"modulation": True, "discriminator_channels": 16, "group_size": 4}
    assert DCGANConfig.model_validate(DCGAN().migrate(of_0_2, "0.2.0")).upsampling == "transposed"
    assert not DCGANConfig.model_validate(DCGAN().migrate(of_0_2, "0.3.0")).simultaneous
    stored = resolve(assignments=["arch.name=dcgan"], environment={}, preferences=False).arch.options
    assert stored == DCGANConfig()
    new = resolve(assignments=["arch.name=dcgan"], environment={}).arch.options
    assert isinstance(new, DCGANConfig)
    assert new.modulation
    assert new.upsampling == "nearest"
    assert new.group_size > 1
    assert new.simultaneous
    assert new.hidden
    aided = resolve(assignments=["arch.name=aided"], environment={}).arch.options
    assert isinstance(aided, DCGANConfig)
    assert aided.simultaneous
    assert (new.output_activation, aided.output_activation) == ("tanh", "none")


@pytest.mark.parametrize("activation", ["tanh", "none"])
def test_without_tanh_a_saturated_pixel_has_a_gradient(activation: str) -> None:
    generator = build(ImageSpec(3, 16, 16), {"output_activation": activation}).generator
    bias = generator.get_parameter("output.bias")
    torch.nn.init.constant_(bias, 30.0)
    images = generator(torch.zeros(2, LATENT_DIM))
    assert (images.max() > 1) == (activation == "none")
    images.sum().backward()
    assert bias.grad is not None
    assert bool(bias.grad.any()) == (activation == "none")


def test_in_training_an_upsampling_is_folded_into_its_convolution_and_changes_nothing() -> None:
    layer = Nearest(5, 3)
    for side in (4, 8, 12):
        x = torch.randn(2, 5, side, side + 4, requires_grad=True)
        found = []
        for training in (True, False):
            images = layer.train(training)(x)
            found.append([images, *torch.autograd.grad(images.square().sum(), [x, *layer.parameters()])])
        torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_both_networks_learn_in_one_update_unless_the_discriminator_has_several() -> None:
    given = goodfellow_2014(losses.Relativistic())
    assert tuple(DCGAN().updates(DCGANConfig(), losses.Relativistic(), *given)) == given
    simultaneous = DCGANConfig(simultaneous=True)
    (update,) = DCGAN().updates(simultaneous, losses.Relativistic(), *given)
    assert update.networks == ("discriminator", "generator")
    assert {term.name: term.networks for term in update.losses} == {
        **dict.fromkeys(("d_loss", "r1", "r2"), ("discriminator",)),
        "g_loss": ("generator",),
    }
    several = goodfellow_2014(losses.Wasserstein(clip=0.01), discriminator_updates=5)
    assert tuple(DCGAN().updates(simultaneous, losses.Wasserstein(), *several)) == several
    (clipping,) = DCGAN().updates(simultaneous, losses.Wasserstein(), *goodfellow_2014(losses.Wasserstein(clip=0.01)))
    assert clipping.after is not None


def test_without_transposed_convolutions_a_flat_latent_draws_no_checkerboard() -> None:
    generator = build(ImageSpec(3, 32, 32), {"upsampling": "nearest", "generator_norm": "none"}).generator
    images = generator.output(torch.ones(1, generator.output[1].in_channels, 16, 16))
    inner = images[:, :, 1:-1, 1:-1]
    assert torch.allclose(inner, inner[:, :, :1, :1].expand_as(inner), atol=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "nearest"),
    [
        (8, 8, ["1x16x16"]),
        (30, 30, ["1x28x28", "1x32x32"]),
        (100, 100, ["1x96x96", "1x112x112"]),
        (300, 300, ["1x256x256"]),
        (28, 30, ["1x28x28", "1x28x32"]),
        (30, 60, ["1x28x60"]),
    ],
)
def test_an_unreachable_size_is_refused_with_the_nearest_reachable_ones(height: int, width: int, nearest: list[str]) -> None:
    reason = DCGAN().supports(DCGANConfig(), ImageSpec(1, height, width))
    assert reason is not None
    assert f"never gives 1x{height}x{width}; nearest: {' and '.join(nearest)}." in reason
    with pytest.raises(ValueError, match="never gives"):
        build(ImageSpec(1, height, width))


def test_every_square_with_a_base_of_4_to_7_can_be_drawn() -> None:
    sides = [side for side in range(1, 300) if DCGAN().supports(DCGANConfig(), ImageSpec(1, side, side)) is None]
    assert sides == sorted({base * 2**n for base in (4, 5, 6, 7) for n in range(2, 6)} | {256})


def test_a_base_is_never_smaller_than_4_and_a_longer_side_only_stretches_it() -> None:
    assert halvings(64, 64) == 4
    assert halvings(64, 128) == halvings(128, 64) == 4
    assert build(ImageSpec(1, 64, 128)).generator(torch.randn(2, LATENT_DIM)).shape == (2, 1, 64, 128)


def test_widths_double_down_to_the_base_and_stop_at_the_bound() -> None:
    networks = build(ImageSpec(3, 64, 64), {"channels": 8, "max_channels": 16})
    convolutions = [m for m in networks.discriminator.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [conv.out_channels for conv in convolutions] == [8, 16, 16, 16]
    doublings = [m for m in networks.generator.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert [layer.in_channels for layer in doublings] == [16, 16, 16, 8]


@pytest.mark.parametrize("options", [{"channels": 0}, {"generator_norm": "spectral"}, {"negative_slope": 2}, {"width": 64}])
def test_an_option_out_of_bounds_or_unknown_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DCGANConfig.model_validate(options)


def test_the_registry_finds_it_by_its_entry_point() -> None:
    try:
        distribution("gancli-dcgan")
    except PackageNotFoundError:
        pytest.skip("gancli-dcgan is not installed: pip install ./plugins/gancli-dcgan")
    assert ARCHITECTURES.load("dcgan") is DCGAN
    assert ARCHITECTURES.find("dcgan").distribution == "gancli-dcgan"
