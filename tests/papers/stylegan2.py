"""StyleGAN2: weight demodulation, path length, R1 and minibatch standard deviation.

Karras et al., 2020, "Analyzing and Improving the Image Quality of StyleGAN".
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everywhere)

from gancli.plugin import ArchConfig, Architecture, LossTerm, Networks

PATH_INTERVAL, R1_INTERVAL = 4, 16
"""Updates between two evaluations of the lazy terms of G and of D (appendix B)."""


class StyleGAN2Config(ArchConfig):
    """Options of StyleGAN2."""

    channels: int = Field(32, ge=4, le=512, description="channels of every layer")
    w_dim: int = Field(32, ge=4, le=512, description="dimensions of w")
    mapping_layers: int = Field(2, ge=1, le=8, description="layers of the mapping network")
    style_mixing: float = Field(0.9, ge=0, le=1, description="probability of two styles per image")


class StyleGAN2(Architecture[StyleGAN2Config]):
    """G with a mapping network and demodulated convolutions; residual D."""

    api = 2
    summary = "StyleGAN2 (Karras et al., 2020)"
    Config = StyleGAN2Config
    defaults = {
        "objective.name": "non-saturating",
        "objective.r1_gamma": 10.0,
        "objective.penalty_interval_steps": R1_INTERVAL,
        "train.learning_rate": 2e-3,
        "train.learning_rate_decay": 0,
        "train.betas": [0.0, 0.99],
        "train.batch_size": 32,
        "train.ema_halflife_images": 10_000,
        "train.real_fake_batch": "separate",  # a group of the standard deviation is of one kind
    }

    def supports(self, config, image):
        if image.classes:
            return "StyleGAN2 is unconditional."
        side = image.height
        if image.width == side and side >= 8 and side & (side - 1) == 0:
            return None
        return "StyleGAN2 generates squares whose side is a power of two, 8 or more."

    def build(self, config, image, latent_dim):
        return Networks(Generator(config, image, latent_dim), Discriminator(config, image))

    def updates(self, config, objective, discriminator, generator):
        path = LossTerm("path_length", path_length, 2.0, every=PATH_INTERVAL, second_order=True)
        return discriminator, replace(generator, losses=(*generator.losses, path))

    def parameter_groups(self, config, name, network):
        """One group, whose rates make up for the updates that the lazy terms add (appendix B)."""
        interval = PATH_INTERVAL if name == "generator" else R1_INTERVAL
        c = interval / (interval + 1)
        group = {"params": list(network.parameters()), "lr_scale": c}
        return [group | {"betas": (0.0, 0.99**c), "fixed_betas": True}]


def path_length(s):
    """(|J_w^T y| - a)^2, y ~ N(0, I) / sqrt(pixels), a the running mean of the norm (section 3.2)."""
    generator = s.network("generator")
    w = generator.mapping(s.z)
    images = generator.synthesis(w)
    y = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
    (gradients,) = torch.autograd.grad((images * y).sum(), w, create_graph=True)
    lengths = gradients.square().sum(-1).sqrt()
    with torch.no_grad():
        generator.mean_length.lerp_(lengths.mean(), 0.01)
    return (lengths - generator.mean_length).square()


class Equal(nn.Module):
    """A linear layer or convolution with an equalised learning rate: N(0, 1), scaled at run time."""

    def __init__(self, inputs, outputs, kernel=0, *, bias=0.0, rate=1.0):
        super().__init__()
        window = (kernel, kernel) if kernel else ()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *window) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale = rate / math.sqrt(self.weight[0].numel())
        self.rate = rate

    def forward(self, x):
        weight, bias = self.weight * self.scale, self.bias * self.rate
        if weight.ndim == 2:
            return F.linear(x, weight, bias)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


class Modulated(nn.Module):
    """A convolution whose inputs are scaled by a style and whose outputs have unit variance again."""

    def __init__(self, inputs, outputs, w_dim, kernel=3, *, demodulate=True):
        super().__init__()
        self.style = Equal(w_dim, inputs, bias=1.0)
        self.conv = Equal(inputs, outputs, kernel)
        self.demodulate = demodulate

    def forward(self, x, w):
        style = self.style(w)
        weight = self.conv.weight * self.conv.scale
        x = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            variance = style.square() @ weight.square().sum((2, 3)).T
            x = x * torch.rsqrt(variance + 1e-8)[:, :, None, None]
        return x + self.conv.bias[:, None, None]


class Styled(nn.Module):
    """Modulated convolution, noise, LeakyReLU. In eval mode the noise is the same for every image."""

    def __init__(self, inputs, outputs, w_dim, side):
        super().__init__()
        self.conv = Modulated(inputs, outputs, w_dim)
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(1, 1, side, side))

    def forward(self, x, w):
        x = self.conv(x, w)
        noise = torch.randn_like(x[:, :1]) if self.training else self.noise
        return F.leaky_relu(x + self.strength * noise, 0.2) * math.sqrt(2)


class Generator(nn.Module):
    """``z (n, latent_dim) -> images``, as synthesis(mapping(z))."""

    def __init__(self, config, image, latent_dim):
        super().__init__()
        dims = [latent_dim, *[config.w_dim] * config.mapping_layers]
        self.to_w = nn.ModuleList(Equal(a, b, rate=0.01) for a, b in pairwise(dims))
        sides = [4 << k for k in range(int(math.log2(image.height)) - 1)]
        width = config.channels
        self.constant = nn.Parameter(torch.randn(1, width, 4, 4))
        self.layers = nn.ModuleList(Styled(width, width, config.w_dim, side) for side in sides)
        to_image = (Modulated(width, image.channels, config.w_dim, 1, demodulate=False) for _ in sides)
        self.to_image = nn.ModuleList(to_image)
        self.style_mixing = config.style_mixing
        self.register_buffer("mean_w", torch.zeros(config.w_dim))
        self.register_buffer("mean_length", torch.zeros(()))

    def mapping(self, z):
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.to_w:
            w = F.leaky_relu(layer(w), 0.2) * math.sqrt(2)
        return w

    def synthesis(self, w):
        styles = w if w.ndim == 3 else w.unsqueeze(1).expand(-1, len(self.layers), -1)
        x, images = self.constant.expand(w.shape[0], -1, -1, -1), None
        for k, (layer, to_image) in enumerate(zip(self.layers, self.to_image, strict=True)):
            x = layer(F.interpolate(x, scale_factor=2.0) if k else x, styles[:, k])
            skip = to_image(x, styles[:, k])
            images = skip if images is None else F.interpolate(images, scale_factor=2.0) + skip
        return images

    def forward(self, z):
        w = self.mapping(z)
        if self.training:
            with torch.no_grad():
                self.mean_w.lerp_(w.float().mean(0), 0.005)
            w = self.mixed(w)
        return self.synthesis(w)

    def mixed(self, w):
        """Style mixing: the layers behind a random one take the w of another latent."""
        n, count = len(w), len(self.layers)
        other = self.mapping(torch.randn(n, self.to_w[0].weight.shape[1], device=w.device))
        first = torch.randint(1, count, (n, 1), device=w.device)
        first = torch.where(torch.rand(n, 1, device=w.device) < self.style_mixing, first, count)
        own = torch.arange(count, device=w.device) < first
        return torch.where(own.unsqueeze(2), w.unsqueeze(1), other.unsqueeze(1))


class Discriminator(nn.Module):
    """images -> logits ``(n,)``."""

    def __init__(self, config, image):
        super().__init__()
        width = config.channels
        self.first = Equal(image.channels, width, 1)
        count = int(math.log2(image.height)) - 2
        self.layers = nn.ModuleList(Equal(width, width, 3) for _ in range(count))
        self.skips = nn.ModuleList(Equal(width, width, 1) for _ in range(count))
        self.last = Equal(width + 1, width, 3)
        self.hidden = Equal(width * 16, width)
        self.logit = Equal(width, 1)

    def forward(self, images):
        x = self.first(images)
        for layer, skip in zip(self.layers, self.skips, strict=True):
            x = F.avg_pool2d(F.leaky_relu(layer(x), 0.2) + skip(x), 2) / math.sqrt(2)
        x = F.leaky_relu(self.last(with_standard_deviation(x)), 0.2)
        return self.logit(F.leaky_relu(self.hidden(x.flatten(1)), 0.2)).squeeze(1)


def with_standard_deviation(x, group=4):
    """One channel more: the standard deviation over a group of images, averaged (Karras et al., 2018)."""
    size = math.gcd(len(x), group)
    deviation = x.unflatten(0, (size, -1)).var(0, correction=0).add(1e-8).sqrt().mean((1, 2, 3))
    channel = deviation.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, channel], 1)
