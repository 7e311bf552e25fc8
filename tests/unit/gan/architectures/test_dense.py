import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from gancli.gan.architectures.dense import Dense, DenseConfig
from gancli.plugin import ImageSpec
from gancli.plugins.registry import ARCHITECTURES, OBJECTIVES

MNIST = ImageSpec(1, 28, 28)
SHAPES = [ImageSpec(1, 28, 28), ImageSpec(3, 8, 6), ImageSpec(2, 1, 1), ImageSpec(1, 6, 6, classes=3)]


def build(image=MNIST, latent_dim=100, **options):
    torch.manual_seed(0)
    return Dense().build(DenseConfig(**options), image, latent_dim)


def small(image, **options):
    return build(image, 7, generator_widths=(16, 12), discriminator_widths=(12, 16), **options)


def labels(image, n):
    return (torch.arange(n) % image.classes,) if image.classes else ()


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_it_is_the_articles_network_by_size():
    networks = build()
    assert parameters(networks.generator) == 1_486_352
    assert parameters(networks.discriminator) == 1_460_225
    linear = [layer for layer in networks.generator.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(100, 256), (256, 512), (512, 1024), (1024, 784)]


@pytest.mark.parametrize("image", SHAPES, ids=str)
def test_shapes_types_and_ranges(image):
    networks = small(image)
    fake = networks.generator(10 * torch.randn(5, 7), *labels(image, 5))
    assert fake.shape == (5, *image.shape)
    assert fake.dtype == torch.float32
    assert fake.abs().max() <= 1
    logits = networks.discriminator(fake, *labels(image, 5))
    assert logits.shape == (5,)
    assert networks.discriminator(fake[:1], *labels(image, 1)).shape == (1,), "a batch of one is a batch"


def test_logits_are_not_squashed():
    networks = small(MNIST, centre=False)
    logits = networks.discriminator(1e3 * torch.randn(64, *MNIST.shape))
    assert logits.abs().max() > 5


def test_an_articles_initial_weights():
    for network in (build(initialisation="article").generator, build(initialisation="article").discriminator):
        first, *others = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        assert first.weight.std().item() == pytest.approx(0.02, rel=0.03)
        assert first.weight.abs().max() > 0.06, "normal, not uniform"
        for layer in others:
            bound = math.sqrt(6 / (layer.in_features + layer.out_features))
            assert layer.weight.abs().max() <= bound
            assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert not any(layer.bias.any() for layer in (first, *others))


def test_initial_weights_that_keep_the_variance():
    network = build(initialisation="he").generator
    for layer in (layer for layer in network.modules() if isinstance(layer, nn.Linear)):
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (1 + 0.2**2) / layer.in_features), rel=0.03)
        assert not layer.bias.any()


@pytest.mark.parametrize("name", OBJECTIVES.names())
@pytest.mark.parametrize("image", [ImageSpec(1, 6, 6), ImageSpec(1, 6, 6, classes=3)], ids=["plain", "conditional"])
def test_a_gradient_reaches_every_parameter_under_every_objective(name, image):
    networks, objective = small(image), OBJECTIVES.load(name)()
    real, z, condition = torch.rand(9, *image.shape) * 2 - 1, torch.randn(9, 7), labels(image, 9)
    fake = networks.generator(z, *condition)
    networks_in_turn = (
        (networks.discriminator, objective.discriminator_loss, (real, fake.detach())),
        (networks.generator, objective.generator_loss, (fake, real)),
    )
    for network, loss, pictures in networks_in_turn:
        network.zero_grad()
        loss(*(networks.discriminator(shown, *condition) for shown in pictures)).mean().backward()
        for key, parameter in network.named_parameters():
            assert parameter.grad is not None, key
            if not (name == "wasserstein" and key == "output.bias"):  # which cancels out of a difference
                assert parameter.grad.any() or key == "output.bias", key


def test_labels_matter_to_both_networks():
    image = ImageSpec(1, 6, 6, classes=3)
    networks = small(image)
    z, zeros, ones = torch.randn(4, 7), torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    fake = networks.generator(z, zeros)
    assert not torch.allclose(fake, networks.generator(z, ones))
    assert not torch.allclose(networks.discriminator(fake, zeros), networks.discriminator(fake, ones))


def test_a_projection_is_the_inner_product_with_the_last_hidden_layer():
    image = ImageSpec(1, 6, 6, classes=3)
    critic = small(image).discriminator.eval()
    images, zeros, ones = torch.rand(4, 1, 6, 6), torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    features = critic.hidden(images.flatten(1) - critic.mean)
    difference = features @ (critic.embedding.weight[0] - critic.embedding.weight[1])
    torch.testing.assert_close(critic(images, zeros) - critic(images, ones), difference)


def test_dropout_is_the_discriminators_alone_and_off_in_evaluation():
    networks = small(MNIST, dropout=0.5)
    assert not any(isinstance(layer, nn.Dropout) for layer in networks.generator.modules())
    images = torch.rand(3, *MNIST.shape)
    assert not torch.equal(networks.discriminator(images), networks.discriminator(images))
    networks.discriminator.eval()
    assert torch.equal(networks.discriminator(images), networks.discriminator(images))
    assert not any(isinstance(layer, nn.Dropout) for layer in small(MNIST).discriminator.modules())


def test_the_same_seed_gives_the_same_weights_and_no_other_randomness_is_used():
    first, second = build().generator.state_dict(), build().generator.state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("image", SHAPES, ids=str)
def test_a_strict_round_trip_of_the_state(image):
    torch.manual_seed(1)
    mean = torch.rand(image.shape) * 2 - 1
    source, target = small(image), small(image)
    Dense().calibrate(source, mean)
    for one, other in ((source.generator, target.generator), (source.discriminator, target.discriminator)):
        other.load_state_dict(one.state_dict())
    images = torch.rand(2, *image.shape)
    assert torch.equal(source.discriminator(images, *labels(image, 2)), target.discriminator(images, *labels(image, 2)))


def test_centring_starts_at_the_mean_image_and_shows_differences_from_it():
    mean = torch.linspace(-1, 1, 36).view(1, 6, 6)
    image = ImageSpec(1, 6, 6)
    networks = small(image)
    Dense().calibrate(networks, mean)
    nothing = torch.zeros(1, 7)
    torch.testing.assert_close(networks.generator(nothing)[0], mean.clamp(-0.98, 0.98), atol=1e-5, rtol=0)
    uncentred = small(image, centre=False).discriminator
    images = torch.rand(4, 1, 6, 6)
    torch.testing.assert_close(networks.discriminator(images), uncentred(images - mean))


PATCHES = {"patch_size": 3, "patch_units": 5, "generator_widths": (16,), "discriminator_widths": (12,)}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("image", SHAPES, ids=str)
def test_patches_make_and_judge_images_of_any_size(image, layers):
    networks = build(image, 7, **PATCHES, patch_layers=layers)
    mean = torch.linspace(-1, 1, math.prod(image.shape)).view(image.shape)
    Dense().calibrate(networks, mean)
    fake = networks.generator(torch.randn(5, 7), *labels(image, 5))
    assert fake.shape == (5, *image.shape)
    networks.discriminator(fake, *labels(image, 5)).sum().backward()
    for network in (networks.generator, networks.discriminator):
        for key, parameter in network.named_parameters():
            assert parameter.grad.any(), key


def test_every_pixel_is_seen_once_and_the_weights_of_all_patches_are_the_same():
    networks = build(ImageSpec(2, 7, 10), 7, **PATCHES)
    first = networks.discriminator.hidden[0]
    torch.nn.init.ones_(first.shared.weight)
    images = torch.rand(4, 2, 7, 10)
    torch.testing.assert_close(first(images.flatten(1)).view(4, -1, 5).sum(1)[:, 0], images.sum((1, 2, 3)))
    last = networks.generator.output
    patch = torch.randn(5)
    images = last(patch.repeat(last.grid.count)[None]).view(2, 7, 10)
    for row, column in ((0, 3), (3, 0), (3, 6)):
        torch.testing.assert_close(images[:, row : row + 3, column : column + 3], images[:, :3, :3])


def test_a_patch_may_have_a_hidden_layer():
    networks = build(MNIST, 64, patch_size=7, patch_layers=2, generator_widths=(256, 512), discriminator_widths=(512, 256))
    assert [type(layer) for layer in networks.generator.output.shared] == [nn.Linear, nn.LeakyReLU, nn.Linear]
    assert parameters(networks.generator) == 688_912
    assert parameters(networks.discriminator) == 664_705
    assert "shared.weight" in build(MNIST, **PATCHES).generator.output.state_dict(), "checkpoints know it by this name"


def test_the_borders_of_the_two_networks_patches_are_not_the_same():
    """A generated image may be torn only between the generator's patches: there the discriminator has to look."""
    networks = build(MNIST, 7, **PATCHES | {"patch_size": 7})
    borders = [
        {row * grid.size - grid.shift for row in range(grid.rows + 1)} & set(range(1, 28))
        for grid in (networks.generator.output.grid, networks.discriminator.hidden[0].grid)
    ]
    assert borders[0] == {7, 14, 21}
    assert not borders[0] & borders[1]


def test_without_centring_nothing_changes():
    networks = small(ImageSpec(1, 6, 6), centre=False)
    before = {key: value.clone() for key, value in networks.generator.state_dict().items()}
    Dense().calibrate(networks, torch.full((1, 6, 6), 0.5))
    assert all(torch.equal(value, before[key]) for key, value in networks.generator.state_dict().items())
    assert "mean" not in networks.discriminator.state_dict()


@pytest.mark.parametrize(
    "options",
    [
        {"generator_widths": ()},
        {"generator_widths": (0,)},
        {"discriminator_widths": (65537,)},
        {"discriminator_widths": (8,) * 33},
        {"dropout": 1.0},
        {"negative_slope": -0.1},
        {"patch_size": -1},
        {"patch_units": 0},
        {"patch_layers": 3},
        {"class_dim": 0},
        {"initialisation": "zero"},
        {"width": 5},
        {"dropout": math.nan},
    ],
)
def test_F40_options_are_bounded(options):
    with pytest.raises(ValidationError):
        DenseConfig(**options)


def test_every_option_is_described():
    assert all(field.description for field in DenseConfig.model_fields.values())
    assert DenseConfig() == DenseConfig.model_validate_json(DenseConfig().model_dump_json())


def test_it_is_found_as_any_plugin_is():
    entry = ARCHITECTURES.find("dense")
    assert entry.qualified == "gancli/dense"
    assert ARCHITECTURES.load_entry(entry) is Dense


@pytest.mark.parametrize("classes", [0, 3])
def test_what_the_latent_weight_does_not_see_changes_nothing(classes):
    image = ImageSpec(1, 6, 6, classes)
    generator = build(image, 7, generator_widths=(4,)).generator.eval()
    weight, z = generator.latent_weight(), torch.randn(3, 7)
    unseen = torch.linalg.svd(weight.detach()).Vh[4:]
    torch.testing.assert_close(generator(z + unseen.sum(0), *labels(image, 3)), generator(z, *labels(image, 3)))
    assert not torch.allclose(generator(z + weight[0], *labels(image, 3)), generator(z, *labels(image, 3)))
