from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.autograd import backward

from gancli.gan import losses
from gancli.gan.algorithm import goodfellow_2014
from gancli.gan.context import Context
from gancli.plugin import ImageSpec, Networks, Objective
from gancli_resnet import ResNet, ResNetConfig, resolutions
from gancli_resnet.networks import Block

LATENT_DIM = 12
SPECS = [
    ImageSpec(1, 8, 8),
    ImageSpec(1, 16, 16),
    ImageSpec(1, 28, 28),
    ImageSpec(3, 30, 30),
    ImageSpec(3, 33, 50),
    ImageSpec(2, 64, 64),
    ImageSpec(4, 96, 40),
    ImageSpec(3, 256, 256),
    ImageSpec(3, 32, 32, classes=5),
]
OBJECTIVES = [losses.NonSaturating, losses.Hinge, losses.LeastSquares, losses.Wasserstein, losses.Relativistic]
PLAYERS = ("generator", "discriminator")
TINY = {"channels": 4, "growth": 2, "max_channels": 16, "group_size": 4}


def build(image: ImageSpec, options: dict[str, Any] | None = None, seed: int = 0) -> Networks:
    torch.manual_seed(seed)
    return ResNet().build(ResNetConfig.model_validate(TINY | (options or {})), image, LATENT_DIM)


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


def generator_loss(networks: Networks, objective: Objective, image: ImageSpec) -> torch.Tensor:
    z, *labels = draw(image)
    fake_logits = networks.discriminator(networks.generator(z, *labels), *labels)
    return objective.generator_loss(fake_logits, torch.zeros(3)).mean()


def play(networks: Networks, objective: Objective, image: ImageSpec) -> None:
    """One update of both players; the gradients stay where they are."""
    for player, loss in zip(PLAYERS, (generator_loss, discriminator_loss), strict=True):
        network = getattr(networks, player)
        network.zero_grad()
        backward(loss(networks, objective, image), inputs=list(network.parameters()))
        with torch.no_grad():
            for p in network.parameters():
                p.sub_(0.01 * p.grad.sign())


def unreached(network: torch.nn.Module) -> set[str]:
    """Parameters without a gradient."""
    return {name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()}


def branches(network: torch.nn.Module) -> set[str]:
    """Parameters of the blocks, but for the last layer of each."""
    blocks = [(name, block) for name, block in network.named_modules() if isinstance(block, Block)]
    names = {f"{name}.{inner}" for name, block in blocks for inner, _ in block.named_parameters()}
    return {name for name in names if ".project." not in name}


@pytest.mark.parametrize("image", SPECS, ids=str)
def test_images_have_the_shape_type_and_range_of_the_contract(image: ImageSpec) -> None:
    z, *labels = draw(image)
    images = build(image).generator(20 * z, *labels)
    assert images.shape == (3, *image.shape)
    assert images.dtype == torch.float32
    assert 0.5 < images.abs().max() <= 1


@pytest.mark.parametrize("image", SPECS, ids=str)
def test_logits_are_one_unbounded_number_per_image(image: ImageSpec) -> None:
    _, *labels = draw(image)
    networks = build(image)
    logits = networks.discriminator(1e4 * torch.randn(3, *image.shape), *labels)
    assert logits.shape == (3,)
    assert logits.dtype == torch.float32
    assert logits.abs().max() > 1


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_gradient_reaches_every_parameter_under_every_objective(objective: type[Objective], classes: int) -> None:
    """At the very first step it reaches all but the inside of the branches, whose last layers are zero; then all."""
    image = ImageSpec(1, 16, 16, classes)
    networks = build(image)
    play(networks, objective(), image)
    for player in PLAYERS:
        network = getattr(networks, player)
        assert unreached(network) == branches(network)
    play(networks, objective(), image)
    for player in PLAYERS:
        assert unreached(getattr(networks, player)) == set()


def test_every_block_starts_as_the_identity() -> None:
    networks = build(ImageSpec(1, 16, 16), {"blocks": 2})
    blocks = [m for player in PLAYERS for m in getattr(networks, player).modules() if isinstance(m, Block)]
    assert len(blocks) == 2 * 2 * len(resolutions(16, 16))
    for block in blocks:
        x = torch.randn(2, block.expand.in_channels, 5, 5)
        assert torch.equal(block(x), x)


@pytest.mark.parametrize("depth", [1, 4, 16, 64])
def test_however_deep_the_trunk_grown_blocks_multiply_its_variance_by_e_at_most(depth: int) -> None:
    """Once the zero layers have grown to the scale of the others: (1 + 1/L)^L. Without the factor it would be 2^L."""
    torch.manual_seed(0)
    blocks = [Block(32, ResNetConfig(group_size=16, expansion=2), depth) for _ in range(depth)]
    x = y = torch.randn(16, 32, 12, 12)
    for block in blocks:
        torch.nn.init.normal_(block.project.weight, std=block.project.in_channels**-0.5)
        y = block(y)
    assert 0.75 * (1 + 1 / depth) ** depth < y.var() / x.var() < 1.3 * (1 + 1 / depth) ** depth


def test_a_class_changes_the_picture_and_the_judgement() -> None:
    image = ImageSpec(1, 16, 16, classes=2)
    networks = build(image)
    z = torch.randn(1, LATENT_DIM).expand(2, -1)
    images = networks.generator(z, torch.tensor([0, 1]))
    assert (images[0] - images[1]).abs().max() > 0.01
    logits = networks.discriminator(images[:1].expand(2, -1, -1, -1), torch.tensor([0, 1]))
    assert (logits[0] - logits[1]).abs() > 0.01


def test_the_same_seed_gives_the_same_weights() -> None:
    image = ImageSpec(3, 32, 32, classes=3)
    first, second, other = (build(image, seed=seed) for seed in (1, 1, 2))
    for player in PLAYERS:
        states = [getattr(networks, player).state_dict() for networks in (first, second, other)]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


def test_a_state_dict_goes_round_strictly() -> None:
    image = ImageSpec(1, 28, 28, classes=2)
    source, target = (build(image, seed=seed) for seed in (1, 2))
    for player in PLAYERS:
        state = copy.deepcopy(getattr(source, player).state_dict())
        getattr(target, player).load_state_dict(state, strict=True)
    z, labels = draw(image)
    images = source.generator(z, labels)
    assert torch.equal(target.generator(z, labels), images)
    assert torch.equal(target.discriminator(images, labels), source.discriminator(images, labels))


def test_neither_a_picture_nor_a_logit_depends_on_its_batch() -> None:
    image = ImageSpec(1, 28, 28)
    networks = build(image)
    play(networks, losses.Relativistic(), image)  # so that the blocks do something
    z = torch.randn(9, LATENT_DIM)
    images = networks.generator(z)
    assert torch.allclose(torch.cat([networks.generator(row) for row in z.unsqueeze(1)]), images, atol=1e-5)
    inputs = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(networks.discriminator(inputs)[0], inputs)
    assert gradient[0].any()
    assert not gradient[1:].any()


def test_nothing_is_normalised() -> None:
    networks = build(ImageSpec(1, 16, 16))
    kinds = {type(m).__name__ for player in PLAYERS for m in getattr(networks, player).modules()}
    assert not [kind for kind in kinds if "Norm" in kind]


def test_upsampling_makes_no_pattern_of_its_own() -> None:
    """A constant map stays constant at every size, odd ones included: a transposed convolution would leave a grid."""
    generator = build(ImageSpec(1, 50, 30)).generator
    torch.nn.init.ones_(generator.get_parameter("trunk.0.basis"))
    images = generator(torch.randn(2, LATENT_DIM))
    assert torch.allclose(images, images[..., :1, :1].expand_as(images), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (257, 64), (64, 1)])
def test_an_impossible_size_is_refused_with_the_possible_ones(height: int, width: int) -> None:
    image = ImageSpec(1, height, width)
    reason = ResNet().supports(ResNetConfig(), image)
    assert reason == "It makes sides of 8 to 256 pixels: scale the images to a size between."
    with pytest.raises(ValueError, match=f"1x{height}x{width}"):
        build(image)


def test_any_side_comes_from_a_base_of_4_to_7() -> None:
    for height, width in itertools.product(range(8, 257, 7), repeat=2):
        sizes = resolutions(height, width)
        assert 4 <= min(sizes[-1]) <= 7
        assert all((a + 1) // 2 == b for large, small in itertools.pairwise(sizes) for a, b in zip(large, small, strict=True))


def test_hidden_channels_are_rounded_up_to_whole_groups() -> None:
    blocks = [m for m in build(ImageSpec(1, 16, 16), {"group_size": 5}).generator.modules() if isinstance(m, Block)]
    assert [(block.mix.in_channels, block.mix.groups) for block in blocks] == [(35, 7), (20, 4), (10, 2)]


def test_options_change_the_networks() -> None:
    image = ImageSpec(1, 28, 28)

    def size(**options: int) -> int:
        return sum(p.numel() for p in build(image, options).generator.parameters())

    assert size(channels=8) > size()
    assert size(growth=4) > size()
    assert size(max_channels=8) < size()
    assert size(blocks=2) > size()
    assert size(expansion=4) > size()
    assert size(group_size=8) > size()


def test_every_option_has_a_description_and_a_default() -> None:
    for name, field in ResNetConfig.model_fields.items():
        assert field.description, name
        assert not field.is_required(), name


@pytest.mark.parametrize("options", [{"channels": 0}, {"blocks": 17}, {"negative_slope": 2}, {"expansion": 1.5}, {"width": 64}])
def test_an_option_out_of_bounds_or_unknown_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ResNetConfig.model_validate(options)


def test_options_go_through_json() -> None:
    assert ResNetConfig.model_validate_json(ResNetConfig(channels=16).model_dump_json()) == ResNetConfig(channels=16)
