"""The networks of :mod:`gancli_translate`. All are fully convolutional: they take images of any size."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gancli.plugin import ImageSpec

    Border = Literal["zeros", "reflect"]

__all__ = ["Heads", "PatchDiscriminator", "ResidualGenerator", "UNet", "sized"]

SLOPE = 0.2
STRIP_PIXELS = 2**18  # that are mixed at a time without gradients, at 2 kB each


def sized(image: ImageSpec, channels: int | None, blocks: int | None = None, patch: int | None = None) -> tuple[int, int, int]:
    """Channels, residual blocks and side of patches that suit the size of the images, where none were chosen."""
    side = min(image.height, image.width)
    suited = 16 if side < 64 else 32 if side < 128 else 64  # noqa: PLR2004  (as the option says)
    depth = 3 if side < 64 else 6 if side < 256 else 9  # noqa: PLR2004  (a number of pixels or dimensions)
    return channels or suited, blocks or depth, patch or (2 if side < 128 else 1)  # noqa: PLR2004  (a number of pixels or dimensions)


def padded(images: Tensor, multiple: int) -> Tensor:
    """Images with their last column and row repeated on the right and below, so that both sides are multiples."""
    height, width = images.shape[2:]
    below, right = -height % multiple, -width % multiple
    if torch.compiler.is_compiling() or below or right:  # a graph that is traced for export is to do for any size
        return functional.pad(images, (0, right, 0, below), mode="replicate")
    return images


def cropped(images: Tensor, like: Tensor) -> Tensor:
    """The upper left part, of the height and width of the other images."""
    return images.narrow(2, 0, like.shape[2]).narrow(3, 0, like.shape[3])


def convolution(
    inputs: int, outputs: int, side: int, stride: int = 1, *, border: Border = "reflect", norm: bool = True
) -> nn.Sequential:
    """Border, convolution, ReLU; before that instance normalisation, or else initial weights by He et al., 2015."""
    layer = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, padding_mode=border, bias=not norm)
    if norm:
        return nn.Sequential(layer, nn.InstanceNorm2d(outputs, affine=True), nn.ReLU())
    nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(zeroed(layer, "bias"), nn.ReLU())


def zeroed(layer: nn.Conv2d, *names: str) -> nn.Conv2d:
    """The layer, these of its parameters 0."""
    for name in names:
        nn.init.zeros_(layer.get_parameter(name))
    return layer


class Residual(nn.Module):
    """``x + f(x)``, f of two convolutions with instance normalisation; without, f begins as 0."""

    def __init__(self, channels: int, border: Border, *, norm: bool = True) -> None:
        super().__init__()
        self.first = convolution(channels, channels, 3, border=border, norm=norm)
        *second, _ = convolution(channels, channels, 3, border=border, norm=norm)
        self.second = nn.Sequential(*second)
        if not norm:
            nn.init.zeros_(second[0].get_parameter("weight"))

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, h, w)`` -> the same shape."""
        y: Tensor = x + self.second(self.first(x))
        return y


class ResidualGenerator(nn.Module):
    """``(z, source (n, c, h, w)) -> images (n, c', h, w)``: residual blocks at a quarter of the size (Johnson et al., 2016).

    With ``patch = 2`` squares of 2x2 pixels become channels at first and pixels again before the last convolution, which
    leaves out the others at full resolution: half of the cost of a small network. Its borders are zeros, by which it sees
    where an image ends.

    With ``reach = r`` the network makes a colour and (2r + 1)^2 - 1 weights for every pixel p, all 0 at first:

        image(p) = source(p) + sum_k weight_k(p) (source(p + k) - source(p)) + colour(p)

    Weights move, sharpen and smooth, and flat surfaces stay flat (dynamic filters, Jia et al., 2016). There is no
    normalisation then, which makes noise out of flat surfaces, and no square of channels becomes pixels.

    With ``curves = k`` it also makes k vectors v, 0 at first, for the whole image, which change the colour x(p) that the
    filters left at p; the hinges u and b are learnt (in the place of lookup tables, Zeng et al., 2020):

        image(p) = x(p) + sum_k v_k max(u_k . x(p) + b_k, 0) + colour(p)

    What has one colour in the source has one in the translation: no smudges grow where the source is empty.

    Args:
        source: shape of the source images.
        outputs: channels of the images; with ``reach`` as many as those of the source images.
        channels: channels at full resolution.
        blocks: residual blocks.
        patch: 1, as published, or 2.
        reach: pixels, 0 as published: the network makes the images.
        curves: hinges, if there is ``reach``; 0: there are no curves.

    Attributes:
        widths: channels of each layer that :meth:`encode` returns.
    """

    around: Tensor
    total: Tensor
    sums: Tensor

    def __init__(
        self,
        source: tuple[int, int, int],
        outputs: int,
        channels: int,
        blocks: int,
        patch: int,
        reach: int = 0,
        curves: int = 0,
    ) -> None:
        super().__init__()
        narrow, middle, wide = channels, 2 * channels, 4 * channels
        layer = partial(convolution, border="zeros" if patch > 1 else "reflect", norm=not reach)
        self.outputs, self.reach, self.curves, side = outputs, reach, curves if reach else 0, 2 * reach + 1
        if patch > 1:
            first = [nn.Sequential(nn.PixelUnshuffle(2), layer(4 * source[0], middle, 3))]
        else:
            first = [layer(source[0], narrow, 7), layer(narrow, middle, 3, 2)]
        doubled = nn.Upsample(scale_factor=2, mode="bilinear" if reach else "nearest")
        last: list[nn.Module]
        if reach:
            weights = zeroed(nn.Conv2d(wide, side**2 - 1, 3, padding=1), "weight", "bias")
            self.weights = nn.Sequential(weights, doubled, doubled)
            others = torch.eye(side**2).view(-1, side, side)
            others = torch.cat([others[: side**2 // 2], others[side**2 // 2 + 1 :]])
            others[:, reach, reach] = -1
            each = torch.eye(outputs)
            self.register_buffer("around", torch.einsum("ab,kij->akbij", each, others).flatten(0, 1), persistent=False)
            self.register_buffer("total", each.repeat_interleave(len(others), 1)[:, :, None, None], persistent=False)
            if curves:
                self.hinges = nn.Conv2d(outputs, curves, 1)
                nn.init.uniform_(self.hinges.get_parameter("bias"), -1, 1)
                vectors = zeroed(nn.Conv2d(wide, outputs * curves, 1), "weight", "bias")
                self.vectors = nn.Sequential(nn.Conv2d(wide, wide, 1), nn.ReLU(), vectors)
                self.register_buffer("sums", each.repeat_interleave(curves, 1)[:, :, None, None], persistent=False)
            made = zeroed(nn.Conv2d(narrow, outputs, 3, padding=1), "weight", "bias")
            last = [nn.Conv2d(middle, narrow, 3, padding=1), nn.ReLU(), doubled, made]
        elif patch > 1:
            last = [
                nn.Conv2d(middle, 4 * narrow, 3, padding=1),
                nn.PixelShuffle(2),
                nn.ReLU(),
                nn.Conv2d(narrow, outputs, 3, padding=1),
            ]
        else:
            last = [
                nn.Upsample(scale_factor=2),
                layer(middle, narrow, 3),
                nn.Conv2d(narrow, outputs, 7, padding=3, padding_mode="reflect"),
            ]
        blocks_made = (Residual(wide, layer.keywords["border"], norm=not reach) for _ in range(blocks))
        self.encoder = nn.ModuleList([*first, layer(middle, wide, 3, 2), *blocks_made])
        before = len(first)
        self.contrasted = (*range(before + 1), before + (blocks + 1) // 2)
        self.widths = [source[0], *(narrow, middle)[-before:], wide, wide]
        self.decoder = nn.Sequential(doubled, layer(wide, middle, 3), *last)

    def encode(self, images: Tensor) -> list[Tensor]:
        """The images and the features of some layers: what CUT contrasts."""
        x = padded(images, 4)
        found = [x]
        for number, layer in enumerate(self.encoder):
            x = layer(x)
            if number in self.contrasted:
                found.append(x)
            if number == self.contrasted[-1]:
                break
        return found

    def translate(self, source: Tensor) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
        """Images of any size -> images of that size, what :meth:`encode` returns, and what :meth:`changes` does."""
        x = padded(source, 4)
        found = [x]
        for number, layer in enumerate(self.encoder):
            x = layer(x)
            if number in self.contrasted:
                found.append(x)
        made: Tensor = self.decoder(x)
        if not self.reach:
            return cropped(made.tanh(), source), found, {}
        weights = self.weights(x)
        images = found[0] + self.mixed(found[0], weights)
        colours = self.curved(images, self.vectors(x.mean((2, 3), keepdim=True))) if self.curves else torch.zeros_like(made)
        images = images + colours + made
        learns = torch.is_grad_enabled() and not torch.compiler.is_compiling()
        changes = self.changes(weights, colours, made) if learns else {}
        if not self.training:  # in training the gradient is to come back from beyond
            images = images.clamp(-1, 1)
        return cropped(images, source), found, changes

    @staticmethod
    def changes(weights: Tensor, curves: Tensor, places: Tensor) -> dict[str, Tensor]:
        """What may cost, per image: the variation of the weights, |colour| that the curves and that single places add."""
        down, across = (weights.diff(dim=axis).abs().sum(1).mean((1, 2)) for axis in (2, 3))
        return {
            "filters": down + across,
            "curves": curves.abs().mean((1, 2, 3)),
            "places": places.abs().mean((1, 2, 3)),
        }

    def mixed(self, source: Tensor, weights: Tensor) -> Tensor:
        """What the weights ``(n, k, h, w)`` take from the pixels around each pixel, less the pixel itself."""
        bordered = functional.pad(source, (self.reach,) * 4, mode="replicate")

        def strip(bordered: Tensor, weights: Tensor) -> Tensor:
            others = functional.conv2d(bordered, self.around)
            return functional.conv2d(others * torch.cat([weights] * source.shape[1], 1), self.total)

        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return strip(bordered, weights)
        count, _, height, width = source.shape  # the products of a whole photo would take gigabytes
        rows = max(1, STRIP_PIXELS // (count * width))
        tops = range(0, height, rows)
        strips = [strip(bordered[:, :, i : i + rows + 2 * self.reach], weights[:, :, i : i + rows]) for i in tops]
        return torch.cat(strips, 2)

    def curved(self, images: Tensor, vectors: Tensor) -> Tensor:
        """How the vectors ``(n, c k, 1, 1)`` change the colours of images ``(n, c, h, w)``."""
        heights = self.hinges(images).relu()
        return functional.conv2d(torch.cat([heights] * images.shape[1], 1) * vectors, self.sums)

    def forward(self, z: Tensor, source: Tensor) -> Tensor:  # noqa: ARG002  (there is no noise)
        """The translated source images; z is not used."""
        return self.translate(source)[0]


class UNet(nn.Module):
    """``(z, source) -> images``: an encoder and a decoder with skip connections (Ronneberger et al., 2015).

    Args:
        source: shape of the source images.
        outputs: channels of the images.
        channels: channels after the first halving.
        halvings: how often the size is halved; by default until the shorter side is 2 to 3 pixels.
        dropout: of the innermost layers of the decoder.
    """

    def __init__(self, source: tuple[int, int, int], outputs: int, channels: int, halvings: int | None, dropout: float) -> None:
        super().__init__()
        self.halvings = halvings or min(source[1:]).bit_length() - 2
        widths = [min(channels * 2**k, 8 * channels) for k in range(self.halvings)]
        self.down = nn.ModuleList(
            self._down(a, b, norm=k > 0) for k, (a, b) in enumerate(zip([source[0], *widths], widths, strict=False))
        )
        # What comes up is joined with the encoder's features of the same size, except at the bottom.
        inputs = [widths[-1], *(2 * width for width in reversed(widths[:-1]))]
        results = [*reversed(widths[:-1]), channels]
        self.up = nn.ModuleList(
            self._up(a, b, dropout if k < min(3, self.halvings - 2) else 0.0)
            for k, (a, b) in enumerate(zip(inputs, results, strict=True))
        )
        self.output = nn.Conv2d(channels, outputs, 3, padding=1)

    @staticmethod
    def _down(inputs: int, outputs: int, *, norm: bool) -> nn.Sequential:
        layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        return nn.Sequential(layers[0], nn.GroupNorm(1, outputs), layers[1]) if norm else nn.Sequential(*layers)

    @staticmethod
    def _up(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
        return nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.GroupNorm(1, outputs),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def forward(self, z: Tensor, source: Tensor) -> Tensor:  # noqa: ARG002  (the noise is dropout)
        """The translated source images, of any size; z is not used."""
        x = padded(source, 2**self.halvings)
        features: list[Tensor] = []
        for down in self.down:
            x = down(x)
            features.append(x)
        for k, up in enumerate(self.up):
            x = up(x if k == 0 else torch.cat([x, features[-1 - k]], 1))
        images: Tensor = self.output(x).tanh()
        return cropped(images, source)


class Pool(nn.Module):
    """Earlier translations: each image is shown, or, with probability 1/2, changes places with one of the pool.

    Shrivastava et al., 2017, section 2.3. Images are kept in 8 bits, as those of data sets are. Several processes show
    new ones only: a checkpoint holds one pool, and not that of each.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(shape, dtype=torch.uint8))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """``(n, c, h, w)`` in [-1, 1] -> as many, new and old."""
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            return images
        coded = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        size, filled = len(self.images), int(self.filled)
        shown = []
        for code, image in zip(coded, images, strict=True):
            place = int(torch.randint(size, ()))
            swapped = bool(torch.rand(()) < 0.5)  # noqa: PLR2004  (a half)
            if filled < size:
                self.images[filled] = code
                filled += 1
                shown.append(image)
            elif swapped:
                shown.append(self.images[place].float() / 127.5 - 1)
                self.images[place] = code
            else:
                shown.append(image)
        self.filled.fill_(filled)
        return torch.stack(shown)


class PatchDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, source] -> logits ``(n, k)``, one per patch (Isola et al., 2017).

    Args:
        inputs: channels of the images.
        channels: channels after the first halving.
        layers: halvings.
        beside: channels of the source images that it sees beside the others; 0: it does not look at them.
        pool: shape of the pool of earlier translations, or None.
        norm: what is normalised: each channel (instance), as published, or all of a layer, which leaves it the colours.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        layers: int,
        *,
        beside: int = 0,
        pool: tuple[int, ...] | None = None,
        norm: Literal["instance", "layer"] = "instance",
    ) -> None:
        super().__init__()
        self.beside = beside
        self.pool = Pool(pool) if pool else None
        widths = [inputs + beside, *(min(channels * 2**k, 8 * channels) for k in range(layers + 1))]
        steps: list[nn.Module] = []
        for k, (a, b) in enumerate(pairwise(widths)):
            steps.append(nn.Conv2d(a, b, 4, 2 if k < layers else 1, 1))
            if k:
                steps.append(nn.InstanceNorm2d(b, affine=True) if norm == "instance" else nn.GroupNorm(1, b))
            steps.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*steps, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, images: Tensor, source: Tensor | None = None) -> Tensor:
        """The logits of all patches."""
        if self.beside and source is not None:
            images = torch.cat([images, source], 1)
        logits: Tensor = self.layers(images)
        return logits.flatten(1)


class Heads(nn.Module):
    """For each layer two linear layers, to unit vectors: what CUT compares.

    Args:
        widths: channels of the layers.
        outputs: dimensions of the vectors.
    """

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(width, outputs), nn.ReLU(), nn.Linear(outputs, outputs)) for width in widths
        )

    def forward(self, features: Sequence[Tensor], locations: Sequence[Tensor]) -> list[Tensor]:
        """Features ``(n, c, h, w)`` of every layer at locations ``(p,)`` -> unit vectors ``(n, p, outputs)``."""
        chosen = [each.flatten(2)[:, :, where].transpose(1, 2) for each, where in zip(features, locations, strict=True)]
        return [functional.normalize(head(each), dim=2) for head, each in zip(self.heads, chosen, strict=True)]
