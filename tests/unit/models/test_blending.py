import pytest
import torch
from torch import nn

from gancli.models.blending import Blender
from gancli.plugin import ImageSpec
from gancli.plugins.registry import ARCHITECTURES

IMAGE = ImageSpec(1, 16, 16, classes=4)
DIM = 6


class OneHot(nn.Module):
    """Looks nothing up."""

    def forward(self, z, labels):
        return (z.mean(1, keepdim=True) + nn.functional.one_hot(labels, 4)).view(-1, 1, 2, 2) / 5


class Functional(nn.Module):
    """Looks labels up, but not by a module."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(4, DIM)

    def forward(self, z, labels):
        return (z + nn.functional.embedding(labels, self.table.weight)).tanh().view(-1, 1, 2, 3)


class Both(Functional):
    """Looks them up, and uses them otherwise too."""

    def forward(self, z, labels):
        return (z + self.table(labels) + labels[:, None]).tanh().view(-1, 1, 2, 3)


class Many(nn.Module):
    """Two tables, one of them at every layer and with labels counted from 1, and a table of positions."""

    def __init__(self):
        super().__init__()
        self.scale, self.shift = nn.Embedding(5, DIM), nn.Embedding(4, DIM)
        self.place = nn.Embedding(2, DIM)

    def forward(self, z, labels):
        for _ in range(2):
            z = z * self.scale(labels + 1) + self.shift(labels) + self.place(torch.arange(2)).sum(0)
        return z.tanh().view(-1, 1, 2, 3)


def blender(generator, pairs=((0, 1, 2), (1, 2, 0))):
    return Blender(generator, generator, DIM, torch.tensor(pairs))


def built(arch):
    plugin = ARCHITECTURES.load(arch)
    torch.manual_seed(0)
    return plugin().build(plugin.Config(), IMAGE, DIM).generator.eval().requires_grad_(requires_grad=False)


@pytest.fixture(params=["dense", "dcgan", "many"])
def generator(request):
    if request.param == "dcgan":
        pytest.importorskip("gancli_dcgan")
    torch.manual_seed(0)
    return Many().requires_grad_(requires_grad=False) if request.param == "many" else built(request.param)


@pytest.fixture
def z():
    return torch.randn(5, DIM, generator=torch.Generator().manual_seed(1))


def labels(value):
    return torch.full((5,), value)


def test_embeddings_are_blended(generator, z):
    blend = blender(generator)
    assert blend.blends_embeddings
    ends = [generator(z, labels(k)) for k in (1, 2)]
    for weight, end in zip((0.0, 1.0), ends, strict=True):
        torch.testing.assert_close(blend.draw(z, labels(1), labels(2), torch.full((5,), weight)), end)
    middle = blend.draw(z, labels(1), labels(2), torch.full((5,), 0.5))
    assert not torch.allclose(middle, (ends[0] + ends[1]) / 2, atol=1e-4), "it is no cross-fade"


def test_the_way_between_two_classes_is_continuous(generator, z):
    blend = blender(generator)
    weights = torch.linspace(0, 1, 201)
    n = len(weights)
    drawn = blend.draw(z[:1].expand(n, -1), torch.full((n,), 0), torch.full((n,), 1), weights)
    whole = (drawn[-1] - drawn[0]).norm()
    assert whole > 0
    assert (drawn[1:] - drawn[:-1]).flatten(1).norm(dim=1).max() < 0.1 * whole


def test_dense_with_half_a_class_is_dense_with_the_mean_of_two_vectors(z):
    generator = built("dense")
    blend = blender(generator)
    middle = blend.draw(z, labels(1), labels(2), torch.full((5,), 0.5))
    generator.embedding.weight[0] = generator.embedding.weight[1:3].mean(0)
    torch.testing.assert_close(middle, generator(z, labels(0)))


def test_every_sample_has_its_own_weight_and_classes(generator, z):
    blend = blender(generator)
    first, second = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 2, 0, 1, 2])
    weight = torch.tensor([0.0, 0.3, 1.0, 0.7, 0.5], dtype=torch.float64)
    together = blend.draw(z, first, second, weight)
    alone = [blend.draw(*(values[i : i + 1] for values in (z, first, second, weight))) for i in range(5)]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("kind", [OneHot, Functional, Both])
def test_a_generator_that_uses_labels_otherwise_is_cross_faded(kind, z):
    torch.manual_seed(0)
    generator = kind().requires_grad_(requires_grad=False)
    blend = blender(generator)
    assert not blend.blends_embeddings
    ends = [generator(z, labels(k)) for k in (1, 2)]
    middle = blend.draw(z, labels(1), labels(2), torch.full((5,), 0.25))
    torch.testing.assert_close(middle, 0.75 * ends[0] + 0.25 * ends[1])


def test_the_generator_is_left_as_it_was(generator, z):
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    expected = generator(z, labels(3))
    blender(generator).draw(z, labels(0), labels(1), torch.full((5,), 0.5))
    assert not any(module._forward_hooks for module in generator.modules())
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert torch.equal(generator(z, labels(3)), expected)


def test_hooks_go_away_when_drawing_fails(z):
    generator = Many()
    blend = blender(generator)
    with pytest.raises(IndexError):
        blend.draw(z, labels(0), labels(9), torch.full((5,), 0.5))
    assert not any(module._forward_hooks for module in generator.modules())
