"""Every operation, three times: by the network, step by step, and in a browser."""

import base64
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gancli.plugin import ImageSpec, TrainedGenerator
from gancli.randomness.latents import latents
from gancli_page.program import Program
from gancli_page.replay import OPERATIONS, replay
from gancli_page.tracing import trace

CHANNELS, HEIGHT, WIDTH, LATENT = 4, 6, 5, 8


def pixel_norm(x):
    return x * x.square().mean(1, keepdim=True).add(1e-8).rsqrt()


def attention(x):
    rows = x.flatten(2)
    return x + (torch.softmax(rows.transpose(1, 2) @ rows, -1) @ rows.transpose(1, 2)).transpose(1, 2).view_as(x)


def in_place(x):
    y = x * 2
    functional.relu_(y)
    return y + x


def halves(x):
    a, b = x.chunk(2, dim=1)
    return torch.cat([b * torch.sigmoid(a), a], 1)


def with_weights(layer):
    """A layer whose weights and statistics are those of nobody's fresh layer."""
    torch.manual_seed(1)
    for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]:
        if tensor.is_floating_point():
            tensor.data.uniform_(0.1, 1) if name.endswith("var") else tensor.data.normal_(0, 0.5)
    return layer


LAYERS = {
    "conv": nn.Conv2d(4, 6, 3, padding=1),
    "conv-strided-dilated": nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), bias=False),
    "conv-grouped": nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "conv-depthwise": nn.Conv2d(4, 4, 3, padding="same", groups=4),
    "conv-1x1": nn.Conv2d(4, 3, 1),
    "transposed": nn.ConvTranspose2d(4, 3, 4, 2, 1),
    "transposed-odd": nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), groups=2, bias=False, dilation=(2, 1)),
    "batch-norm": nn.BatchNorm2d(4),
    "batch-norm-plain": nn.BatchNorm2d(4, affine=False),
    "instance-norm": nn.InstanceNorm2d(4, affine=True),
    "instance-norm-plain": nn.InstanceNorm2d(4),
    "instance-norm-tracked": nn.InstanceNorm2d(4, track_running_stats=True),
    "group-norm": nn.GroupNorm(2, 4),
    "layer-norm": nn.LayerNorm((HEIGHT, WIDTH)),
    "spectral-norm": nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 4, 3, padding=1)),
    "linear-in-the-last-dimension": nn.Linear(WIDTH, 7),
    "dropout": nn.Dropout(),
    "prelu": nn.PReLU(4),
    "prelu-of-all": nn.PReLU(),
    "relu-in-place": nn.ReLU(inplace=True),
    "upsample": nn.Upsample(scale_factor=2),
    "upsample-odd": nn.Upsample(size=(11, 7)),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear-corners": nn.Upsample(size=(9, 13), mode="bilinear", align_corners=True),
    "bicubic": nn.Upsample(scale_factor=2, mode="bicubic"),
    "average-pool": nn.AvgPool2d(2),
    "pixel-shuffle": nn.PixelShuffle(2),
    "reflection-pad": nn.ReflectionPad2d(2),
    "zero-pad": nn.ZeroPad2d((1, 2, 0, 3)),
}

FUNCTIONS = {
    "pixel-norm": pixel_norm,
    "attention": attention,
    "in-place": in_place,
    "halves": halves,
    "residual": lambda x: (x + functional.leaky_relu(x, 0.1)) / 2**0.5,
    "constant-first": lambda x: 1 - x,
    "scaled-sum": lambda x: torch.add(x, x.flip(2), alpha=0.5),
    "per-channel": lambda x: (
        x * torch.arange(4.0).view(4, 1, 1) - torch.arange(4.0).view(1, 4, 1, 1).expand(len(x), -1, -1, -1)
    ),
    "row-plus-column": lambda x: x.mean(2, keepdim=True) + x.sum((1, 3), keepdim=True),
    "constant-beside": lambda x: torch.cat([x, torch.linspace(0, 1, 30).view(1, 1, 6, 5).expand(len(x), 1, 6, 5)], 1),
    "constant-on-top": lambda x: torch.cat([torch.linspace(0, 1, 15).view(1, 1, 3, 5).expand(len(x), 4, 3, 5), x], 2),
    "moved": lambda x: x.permute(0, 3, 1, 2)[:, 1:4, ::2].roll(1, 2).repeat(1, 2, 1, 1),
    "chosen": lambda x: x[:, 2, 1:].unsqueeze(1),
    "extremes": lambda x: torch.maximum(x, -x).clamp(max=0.9) + torch.minimum(x, x.square()).clamp(min=-0.2),
    "gelu-tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "powers": lambda x: (x.abs() + 1).sqrt() + (x.abs() + 1).reciprocal() + x**3 + (x.abs() + 1) ** 0.3,
    "waves": lambda x: torch.sin(x) + torch.cos(x) + torch.log(torch.exp(x) + 1) + -x,
    **{
        name: getattr(functional, name)
        for name in ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "tanh", "hardtanh", "relu6")
    },
}


class Network(nn.Module):
    def __init__(self, then):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(LATENT, CHANNELS * HEIGHT * WIDTH)
        self.then = then

    def forward(self, z):
        return self.then(self.linear(z).unflatten(1, (CHANNELS, HEIGHT, WIDTH)))


class Conditional(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.scale = nn.Embedding(3, 4), nn.Embedding(3, 12)

    def forward(self, z, labels):
        chosen = functional.one_hot(labels.long(), 3).float()
        x = torch.cat([z, self.table(labels), chosen], 1)[:, :12] * self.scale(labels)
        return x.view(-1, 1, 3, 4)


def model(network, classes=0):
    z, labels = torch.zeros(2, LATENT), (torch.zeros(2, dtype=torch.int64),) if classes else ()
    shape = network.eval()(z, *labels).shape[1:]
    return TrainedGenerator(network, LATENT, ImageSpec(*shape, classes), tuple(map(str, range(classes))), {})


MODELS = {
    **{name: model(Network(with_weights(layer))) for name, layer in LAYERS.items()},
    **{name: model(Network(then)) for name, then in FUNCTIONS.items()},
    "labels": model(Conditional(), classes=3),
}


class AnySize(nn.Module):
    """A network for source images of any size, with every operation that programs for any size have of their own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(12, 8, 3, 2, 1, padding_mode="reflect"), nn.InstanceNorm2d(8, affine=True)
        )
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.ZeroPad2d((1, 1, 1, 1)), nn.Conv2d(16, 12, 3), nn.PixelShuffle(2)
        )
        self.other = nn.ConvTranspose2d(8, 3, 5, 4, 1, output_padding=1)
        self.smooth = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 12, 1), nn.PixelShuffle(2))
        self.whole = nn.Conv2d(8, 3, 1)

    def forward(self, _z, source):
        height, width = source.shape[2:]
        x = self.down(functional.pad(source, (0, -width % 4, 0, -height % 4), mode="replicate"))
        made = self.up(torch.cat([x.relu(), x], 1)) + self.other(x) + self.smooth(x)
        made = made * self.whole(x.relu().mean((2, 3), keepdim=True)) + x.sum((1, 2, 3), keepdim=True) / 64
        return made[:, :, :height, :width].clamp(-1, 1)


class Even(nn.Module):
    """A network for sides that are multiples of 2."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh())

    def forward(self, _z, source):
        return self.layers(source)


class OneSize(nn.Module):
    """A network for source images of one size."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3 * 16 * 16, 3 * 16 * 16)

    def forward(self, _z, source):
        return self.linear(source.flatten(1)).unflatten(1, source.shape[1:]).tanh()


def translator(network):
    return TrainedGenerator(network.eval(), 1, ImageSpec(3, 16, 16, source=(3, 16, 16)), (), {})


TRANSLATORS = {
    "any size": (translator(AnySize()), (4, True), [(16, 16), (8, 20), (17, 22)]),
    "even": (translator(Even()), (2, False), [(16, 16), (18, 10)]),
    "one size": (translator(OneSize()), (0, False), [(16, 16)]),
}


@cache
def program(name):
    return trace(MODELS[name] if name in MODELS else TRANSLATORS[name][0])


def expected(drawn, n):
    z = latents(range(n), LATENT)
    labels = np.arange(n) % drawn.image.classes if drawn.image.classes else None
    return z, labels, drawn.draw(z, labels)


@pytest.mark.parametrize("name", MODELS)
def test_a_program_draws_what_the_network_draws_step_by_step(name):
    for n in (1, 7):
        z, labels, images = expected(MODELS[name], n)
        np.testing.assert_allclose(replay(program(name), z, labels), images, rtol=1e-4, atol=2e-5)


def in_browser(browser, traced, z, labels):
    numbers = base64.b64encode(traced.packed(32)).decode()
    drawn = browser.js(
        "const [text, numbers, z, labels, sides] = arguments, program = JSON.parse(text);"
        "const draw = Kernels.compile(program, Kernels.decode(numbers, program));"
        "const run = () => Array.from(draw(Float32Array.from(z), labels && Int32Array.from(labels), sides));"
        "run();"  # so that the second one meets what the first has left behind
        "return run();",
        traced.to_json(32),
        numbers,
        z.ravel().tolist(),
        None if labels is None else labels.tolist(),
        z.shape[2:],
    )
    return np.asarray(drawn, np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_a_program_draws_what_the_network_draws_in_a_browser(name, browser, pages):
    if not browser.opened:
        browser.open(pages["dcgan"])
    for n in (1, 7):
        z, labels, images = expected(MODELS[name], n)
        drawn = in_browser(browser, program(name), z, labels).reshape(images.shape)
        np.testing.assert_allclose(drawn, images, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_program_translates_what_the_network_translates(name, browser, pages):
    if not browser.opened:
        browser.open(pages["dcgan"])
    trained, sizes, sides = TRANSLATORS[name]
    assert (program(name).multiple, program(name).pads) == sizes
    for n, (height, width) in enumerate(sides, 1):
        sources = (latents(range(n), 3 * height * width) / 2).clip(-1, 1).reshape(n, 3, height, width)
        images = trained.draw(sources)
        np.testing.assert_allclose(replay(program(name), sources), images, rtol=1e-4, atol=2e-5)
        drawn = in_browser(browser, program(name), sources, None).reshape(images.shape)
        np.testing.assert_allclose(drawn, images, rtol=1e-4, atol=2e-5)


def test_the_browser_has_all_operations_and_these_tests_use_them(browser, pages):
    if not browser.opened:
        browser.open(pages["dcgan"])
    assert set(browser.js("return Object.keys(Kernels.OPERATIONS)")) == set(OPERATIONS)
    assert {step.op for name in (*MODELS, *TRANSLATORS) for step in program(name).steps} == set(OPERATIONS)


@pytest.mark.parametrize("bits", [5, 8, 13, 16, 32])
def test_the_browser_reads_numbers_as_numpy_does(bits, browser, pages):
    if not browser.opened:
        browser.open(pages["dcgan"])
    numbers = np.random.default_rng(0)
    odd = np.float32([0, -0.0, 1e-40, 3.4e38, -np.pi, np.inf, np.nan])
    constants = (odd, *(numbers.normal(size=shape).astype(np.float32) for shape in ((7, 11), (), (3, 2, 3, 1), (40, 33))))
    stored = Program(1, 0, (), constants)
    read = browser.js(
        "return Array.from(Kernels.decode(arguments[0], JSON.parse(arguments[1])), String)",
        base64.b64encode(stored.packed(bits)).decode(),
        stored.to_json(bits),
    )
    again = np.concatenate([one.ravel() for one in Program.parse(stored.to_json(bits), stored.packed(bits)).constants])
    np.testing.assert_array_equal(np.float32([float(text.replace("Infinity", "inf")) for text in read]), again)


@pytest.mark.parametrize("name", MODELS)
def test_a_program_survives_being_stored(name):
    traced = program(name)
    again = Program.parse(traced.to_json(32), traced.packed(32))
    assert again.steps == traced.steps
    assert all(np.array_equal(a, b) for a, b in zip(again.constants, traced.constants, strict=True))
