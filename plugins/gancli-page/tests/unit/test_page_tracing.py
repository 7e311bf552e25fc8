"""What becomes a program, and what says why it cannot."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gancli.errors import ExportError
from gancli.plugin import ImageSpec, TrainedGenerator
from gancli.randomness.latents import latents
from gancli_page.replay import replay
from gancli_page.tracing import trace

IMAGE = ImageSpec(2, 4, 4)


class Generator(nn.Module):
    """A linear layer, something, and a second linear layer's image."""

    def __init__(self, then):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.then, self.last = nn.Linear(6, 8), then, nn.Linear(8, 32)

    def forward(self, z):
        return self.last(self.then(self.first(z))).tanh().reshape(len(z), *IMAGE.shape)


class Noisy(nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x)


class Sorted(nn.Module):
    def forward(self, x):
        return x.sort(dim=1).values


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class ByPosition(nn.Module):
    def forward(self, x):
        return x * torch.arange(len(x), dtype=torch.float32).unsqueeze(1)


def model(then, latent_dim=6):
    return TrainedGenerator(Generator(then).eval(), latent_dim, IMAGE, (), {})


class Lambda(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


@pytest.mark.parametrize(
    ("then", "message"),
    [
        (Sorted(), r"cannot compute 'aten::sort' of layer 'then': there is no kernel for it"),
        (Noisy(), r"'aten::randn_like' of layer 'then': it draws random numbers"),
        (Lambda(lambda x: x - x.mean(0)), r"'aten::mean' .*mixes the images of a batch"),
        (Lambda(lambda x: x - x.mean()), r"'aten::mean' .*mixes the images of a batch"),
        (Lambda(lambda x: x + x.mean(0, keepdim=True)), r"'aten::mean' .*mixes the images of a batch"),
        (Lambda(lambda x: x.flip(0)), r"'aten::flip' .*mixes the images of a batch"),
        (Lambda(lambda x: x.roll(1, 0)), r"'aten::roll' .*mixes the images of a batch"),
        (Lambda(lambda x: x + x[:1]), r"'aten::slice' .*mixes the images of a batch"),
        (Lambda(lambda x: torch.cat([x, x])[: len(x)]), r"'aten::cat' .*mixes the images of a batch"),
        (ByPosition(), r"'aten::mul' .*treats the images of a batch differently"),
        (nn.BatchNorm1d(8, track_running_stats=False), r"'aten::batch_norm' of layer 'then': it normalises over the batch"),
        (Lambda(lambda x: functional.pad(x[:, :7], (0, 1), value=3.0)), r"'aten::pad' .*pads with something else than zeros"),
        (Lambda(lambda x: functional.linear(x, x[:1].repeat(8, 1))), r"'aten::slice' .*mixes the images"),
        (Lambda(lambda x: torch.div(x, 2, rounding_mode="floor")), r"'aten::div' .*it rounds"),
    ],
)
def test_what_a_page_cannot_compute_is_named_with_its_layer_and_the_reason(then, message):
    with pytest.raises(ExportError, match=message) as caught:
        trace(model(then))
    assert caught.value.exit_code == 9
    assert "Export .onnx" in caught.value.remedy


def test_a_generator_that_decides_by_its_numbers_is_refused():
    with pytest.raises(ExportError, match=r"^torch\.export cannot follow the generator"):
        trace(model(Branching()))


def test_a_generator_of_another_shape_is_refused():
    with pytest.raises(ExportError, match=r"one image of 2x4x4 per latent"):
        trace(TrainedGenerator(nn.Linear(6, 32), 6, IMAGE, (), {}))


def test_what_does_not_depend_on_the_latent_is_computed_once():
    program = trace(model(nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))))
    assert [step.op for step in program.steps] == ["linear", "linear", "linear", "tanh", "reshape"]


def test_batch_normalisation_becomes_one_scale_and_one_shift():
    layer = nn.BatchNorm1d(8)
    layer.running_mean.normal_()
    layer.running_var.uniform_(0.5, 2)
    program = trace(model(layer))
    assert [step.op for step in program.steps[1:3]] == ["mul", "add"]
    assert [constant.shape for constant in program.constants[2:4]] == [(8,), (8,)]


def test_the_factors_of_a_product_and_a_sum_belong_to_weight_and_bias():
    weight, bias = torch.randn(8, 8), torch.randn(8)
    traced = model(Lambda(lambda x: torch.addmm(bias, x, weight, beta=3, alpha=0.5)))
    z = latents(range(4), 6)
    np.testing.assert_allclose(replay(trace(traced), z), traced.draw(z), atol=1e-5)


def test_a_weight_that_is_used_twice_is_stored_once():
    twice = nn.Linear(8, 8)
    program = trace(model(nn.Sequential(twice, nn.ReLU(), twice)))
    assert [step.op for step in program.steps].count("linear") == 4
    assert len(program.constants) == 6


@pytest.mark.parametrize("n", [1, 13, 29])
def test_image_i_does_not_depend_on_the_others(n):
    traced = trace(model(nn.LayerNorm(8)))
    z = latents(range(40), 6)
    np.testing.assert_allclose(replay(traced, z[:n]), replay(traced, z)[:n], rtol=1e-6, atol=1e-6)


def test_tracing_leaves_the_generator_and_the_random_numbers_alone():
    traced = model(nn.LeakyReLU(inplace=True))
    weights, state = [p.clone() for p in traced.network.parameters()], torch.random.get_rng_state()
    trace(traced)
    assert all(torch.equal(a, b) for a, b in zip(weights, traced.network.parameters(), strict=True))
    assert torch.equal(state, torch.random.get_rng_state())
