"""StyleGAN2 as version 1 of the contract allows it: the path length is hidden in G's backward pass.

Version 1 knows penalties of D only. So the generator adds the term to its own gradient, by a function
that hands images on unchanged; nothing reports the value.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everywhere)

from gancli.plugin import ArchConfig, Architecture, Networks


class Options(ArchConfig):
    """Options of StyleGAN2."""

    channels: int = Field(8, ge=4, le=512, description="channels of every layer")
    path_weight: float = Field(2.0, ge=0, le=100, description="weight of the path length")


class StyleGAN2(Architecture[Options]):
    """Modulated convolutions against a residual network."""

    api = 1
    summary = "StyleGAN2 (Karras et al., 2020)"
    Config = Options
    defaults = {"objective.name": "non-saturating", "objective.r1_gamma": 1.0, "train.real_fake_batch": "separate"}

    def build(self, config, image, latent_dim):
        return Networks(Generator(config, image, latent_dim), Discriminator(config, image))


class WithLoss(torch.autograd.Function):
    """``(images, loss) -> images``, whose backward pass also gives d loss / d loss = 1."""

    @staticmethod
    def forward(ctx, images, loss):
        return images.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, torch.ones((), device=gradient.device)


class Equal(nn.Module):
    """A linear layer with an equalised learning rate."""

    def __init__(self, inputs, outputs, bias=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias))

    def forward(self, x):
        return F.linear(x, self.weight / math.sqrt(self.weight.shape[1]), self.bias)


class Generator(nn.Module):
    """``z (n, latent_dim) -> images (n, c, h, w)``."""

    def __init__(self, config, image, latent_dim):
        super().__init__()
        width = config.channels
        self.path_weight = config.path_weight
        self.mapping = nn.Sequential(Equal(latent_dim, width), nn.LeakyReLU(0.2), Equal(width, width))
        self.constant = nn.Parameter(torch.randn(1, width, image.height // 2, image.width // 2))
        self.styles = nn.ModuleList(Equal(width, width, 1.0) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.output = nn.Conv2d(width, image.channels, 1)
        self.register_buffer("mean_w", torch.zeros(width))
        self.register_buffer("mean_length", torch.zeros(()))
        self.register_buffer("calls", torch.tensor(0))

    def synthesis(self, w):
        x = self.constant.expand(w.shape[0], -1, -1, -1)
        for k, (style, conv) in enumerate(zip(self.styles, self.convs, strict=True)):
            x = F.interpolate(x, scale_factor=2.0) if k else x
            x = F.leaky_relu(conv(x * style(w)[:, :, None, None]), 0.2)
        return self.output(x).tanh()

    def forward(self, z):
        w = self.mapping(z)
        images = self.synthesis(w)
        if not (self.training and torch.is_grad_enabled()):
            return images
        with torch.no_grad():
            self.mean_w.lerp_(w.mean(0), 0.005)
            self.calls += 1
        if self.calls % 4 != 1:
            return images
        y = torch.randn_like(images) / math.sqrt(images[0, 0].numel())
        (gradients,) = torch.autograd.grad((images * y).sum(), w, create_graph=True)
        lengths = gradients.square().sum(1).sqrt()
        with torch.no_grad():
            self.mean_length.lerp_(lengths.mean(), 0.01)
        penalty = (lengths - self.mean_length).square().mean()
        return WithLoss.apply(images, 4 * self.path_weight * penalty)


class Discriminator(nn.Module):
    """images -> logits ``(n,)``, with the standard deviation of the batch as a feature."""

    def __init__(self, config, image):
        super().__init__()
        width = config.channels
        self.layers = nn.Sequential(
            nn.Conv2d(image.channels, width, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(width, width, 4, 2, 1), nn.Flatten()
        )
        self.logit = Equal(width * (image.height // 4) * (image.width // 4) + 1, 1)

    def forward(self, images):
        x = self.layers(images)
        deviation = x.var(0, correction=0).add(1e-8).sqrt().mean().expand(len(x), 1)
        return self.logit(torch.cat([x, deviation], 1)).squeeze(1)
