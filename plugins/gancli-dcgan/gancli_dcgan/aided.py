"""A second discriminator on the features of a pretrained network that is never trained.

Kumari et al., 2022, "Ensembling off-the-shelf models for GAN training": each discriminator of an ensemble, one of which learns
from pixels, has its own logit and its own loss, and the generator minimises the sum. What differs from the paper: one frozen
network, of which only the first maps are used, since the deeper ones cost more than they give in small images; heads bounded
by spectral normalisation instead of label smoothing; penalties on the own discriminator.

The deeper maps find clusters of similar images (k-means), which both networks learn like classes (Liu et al., 2020, "Diverse
Image Generation via Self-Conditioned GANs"; there the features are the discriminator's own). The first number of z chooses the
cluster, each as often as it is in the data, so that the model stays unconditional.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, cat, channels_last, nn, stack, tensor
from torch.nn.functional import avg_pool2d
from torch.nn.utils.parametrizations import spectral_norm

from gancli_dcgan.networks import deviation
from gancli_projected.efficientnet import WIDTHS, three_channels

if TYPE_CHECKING:
    from collections.abc import Callable

    from gancli.plugin import LossTerm, StepContext
    from gancli_dcgan import AidedConfig
    from gancli_dcgan.networks import DCGANGenerator
    from gancli_projected.efficientnet import EfficientNetLite

__all__ = ["AidedDiscriminator", "ClusteredGenerator", "ClusteringDiscriminator", "aided_term"]

SMALLEST_CLUSTER = 30
"""Images in a cluster, at least: what is rarer belongs to the cluster nearest to it."""
FAR = 100.0
"""A number that is never drawn for z."""
STEEPNESS = 1e4
"""Of the step from one cluster to the next: the same numbers in every export, and practically never between two."""
MEAN_W_RATE = 0.01
EMBEDDING_STD = 0.02
"""All clusters begin alike: from N(0, 1) on, each became one image (Shahbazi et al., 2022, "Collapse by Conditioning")."""
SEEN_SIDE = 64
"""Clusters are found in images of about this side."""


class AidedDiscriminator(nn.Module):
    """images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n, 1 + maps)``: the own one, and one of each map.

    Labels are seen by the own one alone.
    """

    def __init__(self, own: nn.Module, features: EfficientNetLite, config: AidedConfig) -> None:
        super().__init__()
        self._frozen = (features,)  # in a tuple it is not a submodule
        self.own = own
        self.group_size = config.head_group_size
        inputs = [width + (self.group_size > 1) for width in WIDTHS[: config.maps]]
        self.heads = nn.ModuleList(_head(width, config.head_channels, config) for width in inputs)
        self.weights = [1.0, *[config.head_weight / config.maps] * config.maps]

    def forward(self, images: Tensor, *labels: Tensor) -> Tensor:
        """Logits of images: positive ones mean real."""
        colour = three_channels(images).contiguous(memory_format=channels_last)
        maps = self._frozen[0](colour, len(self.heads))
        if self.group_size > 1:
            maps = [cat([x, deviation(x, self.group_size, per_pixel=True)], 1) for x in maps]
        seen = [head(x).mean((1, 2, 3)) for head, x in zip(self.heads, maps, strict=True)]
        return stack([self.own(images, *labels), *seen], 1)


class ClusteringDiscriminator(AidedDiscriminator):
    """The same, with labels: those given, or else the clusters nearest to the images."""

    mean: Tensor
    deviation: Tensor
    centroids: Tensor

    def __init__(self, own: nn.Module, features: EfficientNetLite, config: AidedConfig) -> None:
        super().__init__(own, features, config)
        self.register_buffer("mean", torch.zeros(sum(WIDTHS[2:])))
        self.register_buffer("deviation", torch.ones(sum(WIDTHS[2:])))
        self.register_buffer("centroids", torch.zeros(config.clusters, sum(WIDTHS[2:])))

    def forward(self, images: Tensor, *labels: Tensor) -> Tensor:
        """Logits of images: positive ones mean real."""
        return super().forward(images, *(labels or (self.label(images),)))

    @torch.no_grad()
    def label(self, images: Tensor) -> Tensor:
        """The nearest clusters of images, ``(n,)``."""
        return self._nearest((self._described(images) - self.mean) / self.deviation)

    @torch.no_grad()
    def find_clusters(self, images: Tensor) -> Tensor:
        """k-means of uint8 images (Lloyd's algorithm, started by k-means++), unless there are clusters already.

        Returns:
            how many images each has, ``(clusters,)``.
        """
        parts = (part.to(self.mean.device) / 127.5 - 1 for part in torch.split(images, 64))
        x = cat([self._described(part) for part in parts])
        fresh = not self.centroids.any()
        if fresh:
            self.mean.copy_(x.mean(0))
            self.deviation.copy_(x.std(0, correction=0).clamp(min=1e-3))
        x = (x - self.mean) / self.deviation
        if fresh:
            found = _k_means(x, min(len(self.centroids), len(x)))
            order = (found @ torch.linalg.svd(found).Vh[0]).argsort()  # so that similar ones are neighbours in z
            self.centroids.fill_(FAR * FAR)[: len(found)] = found[order]
        return torch.bincount(self._nearest(x), minlength=len(self.centroids))

    def _nearest(self, x: Tensor) -> Tensor:
        return torch.cdist(x, self.centroids).argmin(1)

    def _described(self, images: Tensor) -> Tensor:
        """Means of the two deepest maps, ``(n, 432)``."""
        small = avg_pool2d(three_channels(images), max(1, min(images.shape[2:]) // SEEN_SIDE))
        maps = self._frozen[0](small.contiguous(memory_format=channels_last))[2:]
        return cat([each.mean((2, 3)) for each in maps], 1).float()


def _k_means(x: Tensor, k: int) -> Tensor:
    """Centroids ``(k, d)`` of ``x (n, d)``; fewer than k, if clusters would be too small."""
    chance = torch.Generator().manual_seed(0)
    found = x[torch.randint(len(x), (1,), generator=chance)]
    while len(found) < k:
        far = torch.cdist(x, found).amin(1).square().cpu()
        found = cat([found, x[torch.multinomial(far + 1e-9, 1, generator=chance)]])
    while True:
        for _ in range(30):
            nearest = torch.cdist(x, found).argmin(1)
            found = stack([x[nearest == i].mean(0) if (nearest == i).any() else found[i] for i in range(len(found))])
        sizes = torch.bincount(torch.cdist(x, found).argmin(1), minlength=len(found))
        if len(found) == 1 or sizes.min() >= SMALLEST_CLUSTER:
            return found
        found = found[torch.arange(len(found), device=found.device) != sizes.argmin()]


class ClusteredGenerator(nn.Module):
    """``z (n, latent_dim)`` [, labels ``(n,)``] -> images: without labels the first number of z chooses the cluster.

    w is the latent whose first number is 0, with the embedding of the cluster behind it.
    """

    edges: Tensor
    mean_w: Tensor

    def __init__(self, network: nn.Module, config: AidedConfig, latent_dim: int) -> None:
        super().__init__()
        self.network = cast("DCGANGenerator", network)
        nn.init.normal_(cast("nn.Embedding", self.network.embedding).weight, std=EMBEDDING_STD)
        self.register_buffer("edges", torch.full((config.clusters - 1,), FAR))
        self.register_buffer("mean_w", torch.zeros(latent_dim + config.class_dim))

    def set_shares(self, counts: Tensor) -> None:
        """How often each cluster is chosen, in proportion to ``counts (clusters,)``."""
        self.edges.copy_(torch.special.ndtri(counts.double().cumsum(0)[:-1] / counts.sum()).clamp(-FAR, FAR))

    def mapping(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``(n, latent_dim) -> w (n, latent_dim + class_dim)``."""
        embedding, first = cast("nn.Embedding", self.network.embedding), z[:, :1]
        if labels is None:
            above = ((first - self.edges) * STEEPNESS + 0.5).clamp(0, 1)
            chosen = cat([first * 0 + 1, above], 1) - cat([above, first * 0], 1)  # 1 for the cluster
            embedded = chosen @ embedding.weight
        else:
            embedded = embedding(labels)
        return cat([first * 0, z[:, 1:], embedded], 1)

    def synthesis(self, w: Tensor) -> Tensor:
        """``w (n, latent_dim + class_dim) -> images``."""
        return self.network.synthesis(w)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate one image per latent."""
        w = self.mapping(z, labels)
        if self.training:
            self.mean_w.lerp_(w.detach().mean(0).float(), MEAN_W_RATE)
        return self.synthesis(w)


def _head(inputs: int, channels: int, config: AidedConfig) -> nn.Sequential:
    """A map of features to a map of logits."""
    hidden, logit = nn.Conv2d(inputs, channels, 3, padding=1), nn.Conv2d(channels, 1, 1)
    return nn.Sequential(spectral_norm(hidden), nn.LeakyReLU(config.negative_slope), spectral_norm(logit))


@dataclass(frozen=True)
class _Own:
    """What penalties read of a step, of the own discriminator alone and of images as they are, not augmented."""

    real: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    discriminate: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, s: StepContext) -> _Own:
        """One pass over real and generated images."""
        own = cast("AidedDiscriminator", s.network("discriminator")).own
        logits = own(cat([s.real, s.fake]), *(cat([each] * 2) for each in s.conditions)).float()
        n = len(s.real)
        return cls(s.real, s.fake, logits[:n], logits[n:], lambda images: own(images, *s.conditions).float())


def aided_term(term: LossTerm) -> LossTerm:
    """A loss term of an objective for these logits: a loss is the weighted sum of all, a penalty that of the own logit."""

    def loss(s: StepContext) -> Tensor:
        each = term.value(s)
        weights = cast("AidedDiscriminator", s.network("discriminator")).weights
        return (each * tensor(weights, device=each.device)).sum(1)

    def penalty(s: StepContext) -> Tensor:
        return term.value(cast("StepContext", s.once(_Own.of)))

    return replace(term, value=penalty if term.second_order else loss)
