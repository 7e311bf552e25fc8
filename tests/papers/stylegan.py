"""A two-stage generator with a w of its own for every layer, and a slower mapping network.

Karras et al., 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks".
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F  # noqa: N812  (as everywhere)

from gancli.plugin import ArchConfig, Architecture, Networks


class StyleGANConfig(ArchConfig):
    """Options of the style-based generator."""

    channels: int = Field(16, ge=4, le=512, description="channels of every layer")
    w_dim: int = Field(16, ge=4, le=512, description="dimensions of w")


class StyleGAN(Architecture[StyleGANConfig]):
    """Adaptive instance normalisation of a learnt constant."""

    api = 2
    summary = "Style-based generator (Karras et al., 2019)"
    Config = StyleGANConfig
    defaults = {"train.learning_rate": 1e-3, "train.betas": [0.0, 0.99]}

    def supports(self, config, image):
        if image.classes:
            return "The style-based generator is unconditional."
        fits = image.height % 4 == 0 and image.width % 4 == 0
        return None if fits else "Both sides have to be multiples of 4."

    def build(self, config, image, latent_dim):
        return Networks(Generator(config, image, latent_dim), Discriminator(config, image))

    def parameter_groups(self, config, name, network):
        """The mapping network learns a hundred times slower (appendix C)."""
        if name != "generator":
            return network.parameters()
        mapping = list(network.to_w.parameters())
        slow = {id(weight) for weight in mapping}
        others = [weight for weight in network.parameters() if id(weight) not in slow]
        return [{"params": others}, {"params": mapping, "lr_scale": 0.01}]


class Generator(nn.Module):
    """``z (n, latent_dim) -> images (n, c, h, w)``, as synthesis(mapping(z))."""

    def __init__(self, config, image, latent_dim):
        super().__init__()
        base = image.height // 4, image.width // 4
        self.w_dim, width = config.w_dim, config.channels
        self.to_w = nn.Sequential(nn.Linear(latent_dim, config.w_dim), nn.LeakyReLU(0.2), nn.Linear(config.w_dim, config.w_dim))
        self.constant = nn.Parameter(torch.randn(1, width, *base))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.styles = nn.ModuleList(nn.Linear(config.w_dim, 2 * width) for _ in range(3))
        self.to_image = nn.Conv2d(width, image.channels, 1)
        self.register_buffer("mean_w", torch.zeros(config.w_dim))

    def mapping(self, z):
        """One w for every layer: ``(n, 3, w_dim)``."""
        return self.to_w(z).unsqueeze(1).expand(-1, len(self.convs), -1)

    def synthesis(self, w):
        w = w if w.ndim == 3 else w.unsqueeze(1).expand(-1, len(self.convs), -1)
        x = self.constant.expand(w.shape[0], -1, -1, -1)
        for k, (conv, to_style) in enumerate(zip(self.convs, self.styles, strict=True)):
            x = conv(F.interpolate(x, scale_factor=2.0) if k else x)
            scale, shift = to_style(w[:, k])[:, :, None, None].chunk(2, 1)
            x = F.leaky_relu(F.instance_norm(x) * (1 + scale) + shift, 0.2)
        return self.to_image(x).tanh()

    def forward(self, z):
        w = self.mapping(z)
        if self.training:
            with torch.no_grad():
                self.mean_w.lerp_(w.float().mean((0, 1)), 0.005)
        return self.synthesis(w)


class Discriminator(nn.Module):
    """images -> logits ``(n,)``."""

    def __init__(self, config, image):
        super().__init__()
        width = config.channels
        self.layers = nn.Sequential(
            nn.Conv2d(image.channels, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(width * (image.height // 4) * (image.width // 4), 1),
        )

    def forward(self, images):
        return self.layers(images).squeeze(1)
