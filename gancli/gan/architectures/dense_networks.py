"""The networks of :mod:`gancli.gan.architectures.dense`.

Centring: a generator whose output bias is artanh(m), m the mean image, starts from the mean image instead of from grey; a
discriminator that subtracts m sees what varies. On images that are mostly black it halves the distance to the data
that is reached in the same time. The mean is a buffer of the discriminator, so that a checkpoint holds it.

Patches: with ``patch_size`` P the image, padded with zeros to whole patches, is a grid of patches of P x P pixels.
The discriminator's first layer and the generator's last one are a linear layer each, with the same weights at every patch
(Dosovitskiy et al., 2020, "An image is worth 16x16 words", section 3.1); all layers between see the whole image.
With ``patch_layers`` 2 there is a hidden layer in between: a stroke that moves within its patch is not linear in the units.
Strokes look alike wherever they are, so that these layers learn from every patch of every image, and cost less.

Conditional models append an embedding of the class to the latent (generator) and add its projection onto the last hidden
layer to the logit (discriminator; Miyato & Koyama, 2018).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

from torch import Tensor, cat, nn, no_grad, zeros
from torch.nn.functional import pad

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gancli.gan.architectures.dense import DenseConfig
    from gancli.plugin import ImageSpec

_NEAR_END = 0.98  # tanh has no finite argument for the ends of its range


def _hidden(widths: Sequence[int], after: Callable[[], Sequence[nn.Module]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), *after()]
    return nn.Sequential(*layers)


def _shared(widths: Sequence[int], negative_slope: float, *, bias: bool = True) -> nn.Module:
    """The layers within a patch. One is not wrapped, so that its weights keep the name that checkpoints know."""
    last = nn.Linear(widths[-2], widths[-1], bias=bias)
    if len(widths) == 2:  # noqa: PLR2004  (input and output)
        return last
    return nn.Sequential(*_hidden(widths[:-1], lambda: [nn.LeakyReLU(negative_slope)]), last)


def _initialise(network: nn.Module, scheme: str, negative_slope: float) -> None:
    """``he``: He et al., 2015, normal, for LeakyReLU. ``article``: N(0, 0.02^2) in the first layer, Glorot uniform after it."""
    linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    for position, layer in enumerate(linears):
        if scheme == "he":
            nn.init.kaiming_normal_(layer.weight, a=negative_slope, nonlinearity="leaky_relu")
        elif position == 0:
            nn.init.normal_(layer.weight, std=0.02)
        else:
            nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class _Grid:
    """The patches of ``size`` x ``size`` pixels that an image is cut into; the first begin ``shift`` pixels before it."""

    def __init__(self, image: ImageSpec, size: int, shift: int = 0) -> None:
        self.image, self.size, self.shift = image, size, shift
        self.rows, self.columns = (-(-(side + shift) // size) for side in (image.height, image.width))
        self.count, self.pixels = self.rows * self.columns, image.channels * size**2

    def cut(self, images: Tensor) -> Tensor:
        """Images ``(n, c, h, w)`` -> patches ``(n, count, pixels)``; zeros are beyond the border."""
        image, size, near = self.image, self.size, self.shift
        far = (self.columns * size - near - image.width, self.rows * size - near - image.height)
        images = pad(images, (near, far[0], near, far[1]))
        patches = images.reshape(-1, image.channels, self.rows, size, self.columns, size).permute(0, 2, 4, 1, 3, 5)
        return patches.reshape(-1, self.count, self.pixels)

    def join(self, patches: Tensor) -> Tensor:
        """Patches ``(n, count, pixels)`` -> images ``(n, c, h, w)``."""
        image, size, near = self.image, self.size, self.shift
        patches = patches.reshape(-1, self.rows, self.columns, image.channels, size, size).permute(0, 3, 1, 4, 2, 5)
        images = patches.reshape(-1, image.channels, self.rows * size, self.columns * size)
        return images[:, :, near : near + image.height, near : near + image.width]


class _FromPixels(nn.Module):
    """Pixels ``(n, c h w)`` -> ``units`` numbers per patch, ``(n, count units)``; the same weights at every patch."""

    def __init__(self, grid: _Grid, config: DenseConfig) -> None:
        super().__init__()
        self.grid = grid
        widths = (grid.pixels, *[config.patch_units] * config.patch_layers)
        self.shared = _shared(widths, config.negative_slope)

    def forward(self, pixels: Tensor) -> Tensor:
        units: Tensor = self.shared(self.grid.cut(pixels.reshape(-1, *self.grid.image.shape)))
        return units.flatten(1)


class _ToPixels(nn.Module):
    """``(n, count units)`` -> pixels ``(n, c h w)``; the same weights at every patch, and a bias per pixel."""

    def __init__(self, grid: _Grid, config: DenseConfig) -> None:
        super().__init__()
        self.grid, self.units = grid, config.patch_units
        widths = (self.units, *[2 * self.units] * (config.patch_layers - 1), grid.pixels)
        self.shared = _shared(widths, config.negative_slope, bias=False)
        self.bias = nn.Parameter(zeros(grid.image.channels * grid.image.height * grid.image.width))

    def forward(self, units: Tensor) -> Tensor:
        patches = self.shared(units.reshape(-1, self.grid.count, self.units))
        return self.grid.join(patches).flatten(1) + self.bias


class DenseGenerator(nn.Module):
    """``z (n, latent_dim)`` [, labels ``(n,)``] -> images ``(n, c, h, w)`` in (-1, 1)."""

    def __init__(self, config: DenseConfig, image: ImageSpec, latent_dim: int) -> None:
        super().__init__()
        self.shape, self.latent_dim = image.shape, latent_dim
        self.embedding = nn.Embedding(image.classes, config.class_dim) if image.classes else None
        inputs = latent_dim + (config.class_dim if image.classes else 0)
        widths = [inputs, *config.generator_widths]
        grid = _Grid(image, config.patch_size) if config.patch_size else None
        if grid is not None:
            widths.append(grid.count * config.patch_units)
        self.hidden = _hidden(widths, lambda: [nn.LeakyReLU(config.negative_slope)])
        pixels = image.channels * image.height * image.width
        self.output = nn.Linear(widths[-1], pixels) if grid is None else _ToPixels(grid, config)
        self._centred = config.centre
        _initialise(self, config.initialisation, config.negative_slope)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate one image per latent."""
        if self.embedding is not None:
            z = cat([z, self.embedding(labels)], dim=1)
        pixels: Tensor = self.output(self.hidden(z)).tanh()
        return pixels.reshape(-1, *self.shape)

    def latent_weight(self) -> Tensor:
        """``(m, latent_dim)``: the weights of the first layer that z meets."""
        return cast("nn.Linear", self.hidden[0]).weight[:, : self.latent_dim]

    @no_grad()
    def centre(self, mean: Tensor) -> None:
        """Let a hidden layer of zeros be the mean image: bias = artanh(mean), kept off the ends of the range."""
        if self._centred:
            self.output.bias.copy_(mean.flatten().clamp(-_NEAR_END, _NEAR_END).atanh())


class DenseDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n,)``."""

    mean: Tensor | None

    def __init__(self, config: DenseConfig, image: ImageSpec) -> None:
        super().__init__()
        pixels = image.channels * image.height * image.width

        def after() -> Sequence[nn.Module]:
            return [nn.LeakyReLU(config.negative_slope), *([nn.Dropout(config.dropout)] if config.dropout else [])]

        if config.patch_size:
            grid = _Grid(image, config.patch_size + 1, (config.patch_size + 1) // 2)
            widths = (grid.count * config.patch_units, *config.discriminator_widths)
            self.hidden = nn.Sequential(_FromPixels(grid, config), *after(), *_hidden(widths, after))
        else:
            widths = (pixels, *config.discriminator_widths)
            self.hidden = _hidden(widths, after)
        self.output = nn.Linear(widths[-1], 1)
        self.embedding = nn.Embedding(image.classes, widths[-1]) if image.classes else None
        self.register_buffer("mean", zeros(pixels) if config.centre else None)
        _initialise(self, config.initialisation, config.negative_slope)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The logit of every image: positive means real."""
        pixels = images.flatten(1)
        features = self.hidden(pixels if self.mean is None else pixels - self.mean)
        logits: Tensor = self.output(features).squeeze(1)
        if self.embedding is not None:
            logits = logits + (self.embedding(labels) * features).sum(1)
        return logits

    @no_grad()
    def centre(self, mean: Tensor) -> None:
        """Subtract ``mean`` from the images from now on."""
        if self.mean is not None:
            self.mean.copy_(mean.flatten())
