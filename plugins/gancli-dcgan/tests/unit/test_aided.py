"""What is the aided DCGAN's own: logits of frozen features beside the own one, and penalties that leave them alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

from gancli.config.schema import DataConfig
from gancli.data.choice import choose
from gancli.gan import losses
from gancli.gan.algorithm import goodfellow_2014
from gancli.gan.context import Context
from gancli.plugin import Asset, ImageSpec, LabellingDiscriminator, Networks, TwoStageGenerator
from gancli_dcgan import Aided, AidedConfig
from gancli_dcgan.networks import deviation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

efficientnet = pytest.importorskip("gancli_projected.efficientnet")
aided = pytest.importorskip("gancli_dcgan.aided")

BLOCKS = (1, 1, 1, 1, 1, 1, 1)


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Networks]:
    """``(image, **options)`` -> networks, on features of random weights."""
    monkeypatch.setattr(
        efficientnet, "pretrained", lambda _: efficientnet.EfficientNetLite(BLOCKS).eval().requires_grad_(False)
    )

    def built(image: ImageSpec, **options: Any) -> Networks:
        torch.manual_seed(0)
        config = AidedConfig.model_validate({"channels": 4, "max_channels": 16, "head_channels": 8, "group_size": 4} | options)
        return Aided().build(config, image, 8)

    return built


def context(networks: Networks, image: ImageSpec, n: int = 4) -> Context:
    """A step of both networks on n images."""
    labels = (torch.arange(n) % image.classes,) if image.classes else ()
    return Context(
        networks={"generator": networks.generator, "discriminator": networks.discriminator},
        generate=networks.generator,
        discriminator=networks.discriminator,
        trained=("discriminator", "generator"),
        real=torch.rand(n, *image.shape).mul(2).sub(1).requires_grad_(),
        z=torch.randn(n, 8),
        conditions=labels,
        second_order=True,
        joint=True,
    )


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 32, 32), (3, 32, 32), (4, 64, 96)])
@pytest.mark.parametrize("maps", [1, 4])
def test_every_map_has_a_logit_beside_the_own_one(
    build: Callable[..., Networks], shape: tuple[int, int, int], maps: int
) -> None:
    networks = build(ImageSpec(*shape, classes=3), maps=maps)
    labels = torch.tensor([0, 2])
    images = networks.generator(torch.randn(2, 8), labels)
    logits = networks.discriminator(images, labels)
    assert logits.shape == (2, 1 + maps)
    torch.testing.assert_close(logits[:, 0], networks.discriminator.own(images, labels))
    for column in logits.sum(0):
        networks.generator.zero_grad()
        column.backward(retain_graph=True)
        assert all(p.grad is not None and p.grad.any() for p in networks.generator.parameters())
    assert not any("frozen" in name or "features" in name for name in networks.discriminator.state_dict())


def test_a_loss_is_a_sum_over_the_discriminators_and_a_penalty_of_the_own_one_alone(build: Callable[..., Networks]) -> None:
    image, objective = ImageSpec(3, 32, 32, classes=3), losses.Relativistic()
    networks = build(image, head_weight=3.0, group_size=1)  # the deviation of a joint batch is another one
    config = AidedConfig(simultaneous=True)
    (update,) = Aided().updates(config, objective, *goodfellow_2014(objective))
    terms = {term.name: term for term in update.losses}
    assert {name: term.networks for name, term in terms.items()} == {
        **dict.fromkeys(("d_loss", "r1", "r2"), ("discriminator",)),
        "g_loss": ("generator",),
    }
    step = context(networks, image)
    each = objective.discriminator_loss(step.real_logits, step.fake_logits)
    torch.testing.assert_close(terms["d_loss"].value(step), each[:, 0] + 1.5 * each[:, 1] + 1.5 * each[:, 2])
    own = networks.discriminator.own
    (gradient,) = torch.autograd.grad(own(step.real, *step.conditions).sum(), step.real)
    torch.testing.assert_close(terms["r1"].value(step), 0.5 * gradient.square().flatten(1).sum(1))
    terms["r1"].value(step).sum().backward()
    assert all(p.grad is None for p in networks.discriminator.heads.parameters())


def test_without_the_weights_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    (asset,) = Aided().assets(AidedConfig())
    assert asset.path.is_file() == (asset.sha256 != "")
    monkeypatch.setitem(sys.modules, "gancli_projected.weights", None)
    (missing,) = Aided().assets(AidedConfig())
    assert not missing.path.is_file()
    assert "gancli-projected" in missing.origin


def test_its_generator_is_built_and_sampled_without_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gancli_projected.efficientnet", None)
    generator = Aided().build_generator(AidedConfig(channels=4, max_channels=16), ImageSpec(3, 32, 32), 8)
    assert generator(torch.randn(2, 8)).shape == (2, 3, 32, 32)


def test_it_is_chosen_for_images_in_colour_where_its_weights_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (32, 32), "red").save(tmp_path / "1.png")

    def chosen(channels: int) -> object:
        found = choose(DataConfig(dataset=str(tmp_path), channels=channels), None, {"runtime.device": "cpu"})
        assert found is not None
        return found[0]["arch.name"]

    assert (chosen(3), chosen(1)) == ("aided", "dcgan")
    monkeypatch.setattr(Aided, "assets", lambda *_: (Asset("weights", tmp_path / "missing", "", "Install them."),))
    assert chosen(3) == "dcgan"


def in_two_colours(n: int, image: ImageSpec) -> torch.Tensor:
    """Noise that is dark in a quarter of the images, bright in the others; uint8."""
    noise = torch.randint(64, (n, *image.shape), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return noise + torch.where(torch.arange(n) % 4 == 0, 0, 127).to(torch.uint8).view(n, 1, 1, 1)


def seen(images: torch.Tensor) -> torch.Tensor:
    """What D sees of uint8 images."""
    return images / 127.5 - 1


def test_clusters_are_of_similar_images_and_generated_as_often_as_they_are_in_the_data(build: Callable[..., Networks]) -> None:
    image = ImageSpec(3, 32, 32)
    networks, images = build(image, clusters=2), in_two_colours(128, image)
    Aided().prepare(networks, images)
    labels = networks.discriminator.label(seen(images))
    assert labels.tolist() == [int(labels[0]) if i % 4 == 0 else 1 - int(labels[0]) for i in range(128)]

    z = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))
    generator = networks.generator.eval()
    w = generator.mapping(z)
    ofs = [generator.mapping(z, torch.full((4000,), label)) for label in (0, 1)]
    chosen = torch.stack([(w == of).all(1) for of in ofs], 1)
    assert (chosen.sum(1) == 1).all()  # exactly one of them
    assert chosen.float().mean(0)[labels[0]] == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(generator(z[:4]), generator(z[:4], chosen[:4].int().argmax(1)))


def test_clusters_that_were_learnt_stay_and_are_counted_anew(build: Callable[..., Networks]) -> None:
    image = ImageSpec(3, 32, 32)
    networks, images = build(image, clusters=2), in_two_colours(128, image)
    Aided().prepare(networks, images)
    centroids, edges = networks.discriminator.centroids.clone(), networks.generator.edges.clone()
    Aided().prepare(networks, images[1::4])  # bright ones only, as with --from
    assert torch.equal(networks.discriminator.centroids, centroids)
    assert not torch.equal(networks.generator.edges, edges)
    labels = networks.discriminator.label(seen(images))
    z = torch.randn(500, 8)
    only = networks.generator.mapping(z, torch.full((500,), int(labels[1])))
    torch.testing.assert_close(networks.generator.mapping(z), only)


def test_few_images_have_few_clusters(build: Callable[..., Networks]) -> None:
    image = ImageSpec(3, 32, 32)
    for number in (1, 40):
        networks = build(image, clusters=8)
        images = in_two_colours(number, image)
        Aided().prepare(networks, images)
        assert networks.discriminator.label(seen(images)).unique().tolist() == [0]
        assert networks.generator(torch.randn(3, 8)).isfinite().all()
        assert networks.discriminator(seen(images)).isfinite().all()


def test_what_is_rare_belongs_to_the_cluster_nearest_to_it(build: Callable[..., Networks]) -> None:
    image = ImageSpec(3, 32, 32)
    networks, images = build(image, clusters=3), in_two_colours(128, image)
    images[1] = torch.arange(32, dtype=torch.uint8).mul(8).expand(image.shape)
    Aided().prepare(networks, images)
    found = networks.discriminator.label(seen(images))
    assert found.bincount().min() >= aided.SMALLEST_CLUSTER


@pytest.mark.parametrize("group_size", [1, 4])
def test_the_heads_see_where_the_images_of_a_group_are_alike(build: Callable[..., Networks], group_size: int) -> None:
    image = ImageSpec(3, 32, 32)
    discriminator = build(image, head_group_size=group_size, group_size=1).discriminator.eval()
    images = torch.rand(8, *image.shape) * 2 - 1
    alike = torch.cat([images[:4], images[:1].expand(4, -1, -1, -1)])  # the other half of the batch
    of_both, of_same = (discriminator(each)[:, 1:] for each in (images, alike))
    torch.testing.assert_close(of_both[:4], of_same[:4])
    moved = (of_both[4] - discriminator(torch.cat([images[:4], images[4:5].expand(4, -1, -1, -1)]))[4, 1:]).abs().min()
    assert (moved > 1e-6) == (group_size > 1)


def test_the_deviation_of_a_pixel_is_that_of_its_group() -> None:
    x = torch.randn(8, 5, 2, 3)
    found = deviation(x, 4, per_pixel=True)
    expected = x.unflatten(0, (2, 4)).var(1, correction=0).sqrt().mean(1).repeat_interleave(4, 0)
    torch.testing.assert_close(found[:, 0], expected)
    torch.testing.assert_close(deviation(x, 4), found.mean((2, 3), keepdim=True).expand_as(found))


def test_a_run_of_0_6_goes_on_without_its_mode_seeking_loss() -> None:
    stored = {"clusters": 32, "mode_seeking": 1.0}
    assert AidedConfig.model_validate(Aided().migrate(stored, "0.6.0")).clusters == 32


def test_classes_of_the_data_take_the_place_of_clusters(build: Callable[..., Networks]) -> None:
    labelled = build(ImageSpec(3, 32, 32, classes=3), clusters=8)
    assert not isinstance(labelled.discriminator, LabellingDiscriminator)
    assert not isinstance(labelled.generator, TwoStageGenerator)
    assert isinstance(build(ImageSpec(3, 32, 32), clusters=8).discriminator, LabellingDiscriminator)


def test_a_run_of_0_5_which_has_no_such_options_has_its_networks(build: Callable[..., Networks]) -> None:
    networks = build(ImageSpec(3, 32, 32))
    assert not isinstance(networks.generator, TwoStageGenerator)
    assert not isinstance(networks.discriminator, LabellingDiscriminator)
    assert AidedConfig().discriminator_channels is None
    assert [head[0].in_channels for head in networks.discriminator.heads] == list(efficientnet.WIDTHS[:2])


def test_the_generator_alone_is_that_of_the_networks(build: Callable[..., Networks]) -> None:
    image = ImageSpec(3, 32, 32)
    stored = build(image, clusters=4).generator.state_dict()
    config = AidedConfig.model_validate({"channels": 4, "max_channels": 16, "clusters": 4})
    Aided().build_generator(config, image, 8).load_state_dict(stored)
