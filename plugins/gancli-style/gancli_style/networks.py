"""The networks of :mod:`gancli_style`, and its path length regularisation."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from gancli.plugin import ImageSpec, StepContext
    from gancli_style import StyleConfig

__all__ = ["StyleDiscriminator", "StyleGenerator", "path_length"]

MEAN_W_RATE = 0.005
"""Of the running mean of w, per forward pass; 1 - w_avg_beta of the paper."""

PATH_RATE = 0.01
"""Of the running mean of path lengths, per evaluation."""

SLOPE, GAIN = 0.2, math.sqrt(2)


class Linear(nn.Module):
    """A linear layer with an equalised learning rate: weights N(0, 1), scaled by 1 / sqrt(fan-in) at run time.

    ``rate`` is a factor of its learning rate: the parameters are that many times larger, and scaled down as much.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = gain * rate / math.sqrt(inputs), gain * rate

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs) -> (n, outputs)``, times ``gain``."""
        return torch.addmm(self.bias, x, self.weight.t(), beta=self.rate, alpha=self.scale)


class Conv(nn.Module):
    """A convolution with an equalised learning rate, of the same size as its input; times ``gain``."""

    def __init__(self, inputs: int, outputs: int, side: int, *, bias: bool = True, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.gain = gain / math.sqrt(inputs * side * side), gain

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w) -> (n, outputs, h, w)``."""
        bias = None if self.bias is None else self.bias * self.gain
        return functional.conv2d(x, self.weight * self.scale, bias, padding=self.weight.shape[2] // 2)


class ToImage(nn.Module):
    """A 1x1 convolution whose input channels are scaled by a style."""

    def __init__(self, inputs: int, outputs: int, w_dim: int) -> None:
        super().__init__()
        self.style = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``(n, inputs, h, w)``, ``w (n, w_dim)`` -> ``(n, outputs, h, w)``."""
        weight: Tensor = self.style(w).unsqueeze(2) * (self.weight.flatten(1).t() * self.scale)
        made: Tensor = x.permute(0, 2, 3, 1).flatten(1, 2) @ weight  # a matrix per image instead of a scaled copy of x
        return made.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])


class Modulated(nn.Module):
    """A convolution whose input channels are scaled by a style, and whose output is demodulated; times sqrt(2).

    Equal to scaling each image's own weights (equations 1 and 3 of the paper), with one convolution for the whole batch.
    Demodulation undoes the scale of an equalised learning rate, so that it has none but for its share in epsilon.
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, up: str) -> None:
        super().__init__()
        self.style = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.epsilon = 1e-8 * inputs * 9
        self.up = up

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``(n, inputs, h, w)``, ``w (n, w_dim)`` -> ``(n, outputs, h, w)``, or of twice the size."""
        style: Tensor = self.style(w)
        x = x * style[:, :, None, None]
        if self.up == "transposed":
            x = blur(functional.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2))
        else:
            x = functional.conv2d(upsample(x) if self.up else x, self.weight, padding=1)
        norms = style.square() @ self.weight.square().sum((2, 3)).T
        return x * (norms / 2 + self.epsilon / 2).rsqrt()[:, :, None, None]


class Layer(nn.Module):
    """Modulated convolution, noise, bias, LeakyReLU that keeps the variance; in eval mode the noise is fixed."""

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, w_dim: int, size: tuple[int, int], up: str = "") -> None:
        super().__init__()
        self.conv = Modulated(inputs, outputs, w_dim, up)
        self.register_buffer("noise", torch.randn(1, 1, *size))
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``(n, inputs, h, w)``, ``w (n, w_dim)`` -> ``(n, outputs, h, w)``."""
        x = self.conv(x, w)
        noise = torch.randn_like(x[:, :1]) if self.training else self.noise
        x = x.add_(noise * (self.strength * GAIN)).add_((self.bias * GAIN)[:, None, None])  # in place: memory is the limit
        return functional.leaky_relu_(x, SLOPE)


def upsample(x: Tensor) -> Tensor:
    """Twice the size, through the filter [1, 3, 3, 1]."""
    size = [2 * x.shape[2], 2 * x.shape[3]]
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def blur(x: Tensor) -> Tensor:
    """The filter [1, 3, 3, 1] of what a transposed convolution made; ``(n, c, h + 1, w + 1) -> (n, c, h, w)``."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device, dtype=x.dtype) / 4
    kernel = (line[:, None] * line).expand(x.shape[1], 1, 4, 4)
    return functional.conv2d(x, kernel, padding=1, groups=x.shape[1])


class StyleGenerator(nn.Module):
    """``z (n, latent_dim)`` [, labels] -> images ``(n, c, h, w)``: synthesis(mapping(z))."""

    mean_w: Tensor
    path_mean: Tensor

    def __init__(self, config: StyleConfig, image: ImageSpec, latent_dim: int, halvings: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(image.classes, config.class_dim) if image.classes else None
        inputs = latent_dim + (config.class_dim if image.classes else 0)
        widths = [inputs, *[config.w_dim] * config.mapping_layers]
        rate = config.mapping_lr_scale
        self.mapping_layers = nn.ModuleList(Linear(a, b, rate=rate, gain=GAIN) for a, b in pairwise(widths))
        self.mixing = config.mixing
        self.register_buffer("mean_w", torch.zeros(config.w_dim))
        self.register_buffer("path_mean", torch.zeros(()))

        channels = [min(config.channels * config.growth**k, config.max_channels) for k in range(halvings, -1, -1)]
        sizes = [(image.height >> k, image.width >> k) for k in range(halvings, -1, -1)]
        self.constant = nn.Parameter(torch.randn(1, channels[0], *sizes[0]))
        self.first = Layer(channels[0], channels[0], config.w_dim, sizes[0])
        self.up = nn.ModuleList(
            Layer(a, b, config.w_dim, size, config.upsampling)
            for a, b, size in zip(channels, channels[1:], sizes[1:], strict=False)
        )
        self.same = nn.ModuleList(Layer(b, b, config.w_dim, size) for b, size in zip(channels[1:], sizes[1:], strict=True))
        self.to_image = nn.ModuleList(ToImage(width, image.channels, config.w_dim) for width in channels)
        self.image_bias = nn.Parameter(torch.zeros(image.channels))
        self.layers = 2 * halvings + 1

    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``(n, latent_dim) -> w (n, w_dim)``."""
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        if self.embedding is not None:
            y = self.embedding(labels)
            w = torch.cat([w, y * (y.square().mean(1, keepdim=True) + 1e-8).rsqrt()], 1)
        for layer in self.mapping_layers:
            w = functional.leaky_relu(layer(w), SLOPE)
        return w

    def synthesis(self, w: Tensor) -> Tensor:
        """``(n, w_dim)``, or ``(n, layers, w_dim)``: one w for every convolution -> images."""
        ws = w.unsqueeze(1).expand(-1, self.layers, -1) if w.ndim == 2 else w  # noqa: PLR2004  (one for all)
        x = self.first(self.constant.expand(w.shape[0], -1, -1, -1), ws[:, 0])
        image: Tensor = self.to_image[0](x, ws[:, 0]) + self.image_bias[:, None, None]
        for k, (up, same) in enumerate(zip(self.up, self.same, strict=True)):
            x = same(up(x, ws[:, 2 * k + 1]), ws[:, 2 * k + 2])
            image = upsample(image) + self.to_image[k + 1](x, ws[:, 2 * k + 2])
        return image

    def latent_weight(self) -> Tensor:
        """``(m, w_dim)``: the layers that turn w into styles."""
        styles = [module.style for module in self.modules() if isinstance(module, Modulated | ToImage)]
        return torch.cat([style.weight * style.scale for style in styles])

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of latents; while training with noise, style mixing, and an update of ``mean_w``."""
        if not self.training:
            return self.synthesis(self.mapping(z, labels))
        n, twice = len(z), None if labels is None else labels.repeat(2)
        w = self.mapping(torch.cat([z, torch.randn_like(z)]), twice) if self.mixing else self.mapping(z, labels)
        with torch.no_grad():
            self.mean_w.lerp_(w.detach()[:n].mean(0).float(), MEAN_W_RATE)
        return self.synthesis(self.mixed(w[:n], w[n:]) if self.mixing else w)

    def mixed(self, w: Tensor, other: Tensor) -> Tensor:
        """Style mixing: from a random layer on, the w of other latents, with the probability ``mixing``."""
        cut = torch.randint(1, self.layers, (len(w), 1), device=w.device)
        cut = torch.where(torch.rand(len(w), 1, device=w.device) < self.mixing, cut, self.layers)
        later = torch.arange(self.layers, device=w.device) >= cut
        return torch.where(later.unsqueeze(2), other.unsqueeze(1), w.unsqueeze(1))


class ResidualDown(nn.Module):
    """Two convolutions and half the size, beside a 1x1 convolution (figure 7 of the paper)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = Conv(inputs, inputs, 3, gain=GAIN), Conv(inputs, outputs, 3)
        self.skip = Conv(inputs, outputs, 1, bias=False, gain=1 / GAIN)

    def forward(self, x: Tensor) -> Tensor:
        """``(n, inputs, h, w) -> (n, outputs, h / 2, w / 2)``; (GAIN f(y) + skip) / GAIN, where f is LeakyReLU."""
        y = functional.leaky_relu_(self.first(x), SLOPE)
        y = functional.leaky_relu_(self.second(functional.avg_pool2d(y, 2)), SLOPE)
        skip: Tensor = self.skip(functional.avg_pool2d(x, 2))
        return y + skip


class StyleDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n,)``."""

    def __init__(self, config: StyleConfig, image: ImageSpec, halvings: int) -> None:
        super().__init__()
        width = config.discriminator_channels or config.channels
        channels = [min(width * config.growth**k, config.max_channels) for k in range(halvings + 1)]
        self.group_size = config.group_size
        self.from_image = Conv(image.channels, channels[0], 1, gain=GAIN)
        self.down = nn.ModuleList(ResidualDown(a, b) for a, b in pairwise(channels))
        self.last = Conv(channels[-1] + 1, channels[-1], 3, gain=GAIN)
        features = channels[-1] * (image.height >> halvings) * (image.width >> halvings)
        self.hidden = Linear(features, channels[-1], gain=GAIN)
        self.output = Linear(channels[-1], 1)
        self.embedding = nn.Embedding(image.classes, channels[-1]) if image.classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits of images."""
        x = functional.leaky_relu_(self.from_image(images), SLOPE)
        for block in self.down:
            x = block(x)
        x = functional.leaky_relu_(self.last(torch.cat([x, self.deviation(x)], 1)), SLOPE)
        x = functional.leaky_relu_(self.hidden(x.flatten(1)), SLOPE)
        logits: Tensor = self.output(x).squeeze(1)
        if self.embedding is not None:  # projection (Miyato & Koyama, 2018)
            logits = logits + (self.embedding(labels) * x).sum(1) / math.sqrt(x.shape[1])
        return logits

    def deviation(self, x: Tensor) -> Tensor:
        """Minibatch standard deviation: of each feature over groups of images, averaged; one more channel."""
        n = len(x)
        kind = n // 2 if n % 2 == 0 else n  # real and generated images of one batch are never in one group
        group = next(size for size in range(min(self.group_size, kind), 0, -1) if kind % size == 0)
        grouped = x.reshape(n // group, group, *x.shape[1:]).float()
        centred = grouped - grouped.mean(1, keepdim=True)
        deviation = (centred.square().mean(1) + 1e-8).sqrt().mean((1, 2, 3))
        return deviation.repeat_interleave(group)[:, None, None, None].expand(n, 1, *x.shape[2:]).to(x.dtype)


def path_length(s: StepContext) -> Tensor:
    """(|J^T y| - a)^2 of half of the batch, y ~ N(0, I) / sqrt(pixels), a the running mean of |J^T y| (equation 4)."""
    generator = s.network("generator")
    assert isinstance(generator, StyleGenerator)  # noqa: S101  (it is that of this architecture)
    half = max(1, len(s.z) // 2)
    w = generator.mapping(s.z[:half], *(each[:half] for each in s.conditions))
    ws = w.unsqueeze(1).repeat(1, generator.layers, 1)
    images = generator.synthesis(ws)
    noise = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
    (gradients,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
    lengths = gradients.square().sum(2).mean(1).sqrt()
    with torch.no_grad():
        generator.path_mean.lerp_(lengths.detach().mean(), PATH_RATE)
    return (lengths - generator.path_mean).square()
