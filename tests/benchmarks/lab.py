"""Levers of a training that the library does not have, for `search.py`: networks, and ways to take a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn.functional import softplus

from gancli.gan.architectures.dense import Dense, DenseConfig
from gancli.gan.penalties import r1
from gancli.gan.schedules import ema_decay, rates_at
from gancli.plugin import Networks

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.plugin import ImageSpec
    from gancli.training.setup import Game

ACTIVATIONS = {"silu": nn.SiLU, "gelu": nn.GELU, "relu": nn.ReLU, "softplus": nn.Softplus}


class LabConfig(DenseConfig):
    """Options of dense, and more."""

    activation: Literal["leaky", "silu", "gelu", "relu", "softplus"] = "leaky"
    g_residual: bool = False
    d_residual: bool = False
    g_norm: Literal["none", "rms", "layer", "batch"] = "none"
    d_norm: Literal["none", "rms", "layer"] = "none"
    g_bottleneck: int = Field(0, description="linear units before the pixels")
    g_basis: bool = Field(False, description="the output layer starts with the principal components of the data")
    g_fixed_basis: bool = Field(False, description="and stays there")
    d_whiten: float = Field(0.0, description="D sees (l + eps)^(-p/2) times each principal component")
    d_components: int = Field(0, description="so many of them; 0: all pixels")
    d_whiten_floor: float = Field(0.01, description="eps, as a multiple of the mean variance of a pixel")
    d_start: bool = Field(False, description="whitening is folded into the initial weights only")
    batch_std: bool = False
    z_skip: bool = False
    z_norm: bool = False
    near_end: float = 0.98
    g_patches: int = Field(0, description="G ends in patches, each made from so many units")
    d_patches: int = Field(0, description="D begins with patches, each seen by so many units")
    g_patch: int = Field(7, description="pixels per side of G's patches")
    d_patch: int = Field(7, description="pixels per side of D's patches")
    d_shifted: bool = Field(False, description="a second grid of patches, half a patch further")
    d_patch_layers: int = Field(1, description="layers within each patch")
    last_gain: float = Field(1.0, description="factor of the initial weights of both output layers")


def to_patches(x: Tensor, size: int, shift: int = 0) -> Tensor:
    """``(n, h, w)`` -> ``(n, patches, size^2)``, those that lie within the image."""
    rows, columns = ((side - shift) // size for side in x.shape[1:])
    x = x[:, shift : shift + rows * size, shift : shift + columns * size]
    x = x.reshape(-1, rows, size, columns, size)
    return x.transpose(2, 3).reshape(len(x), rows * columns, size**2)


def from_patches(x: Tensor, size: int, height: int, width: int) -> Tensor:
    """``(n, patches, size^2)`` -> ``(n, h w)``."""
    x = x.view(len(x), height // size, width // size, size, size)
    return x.transpose(2, 3).reshape(len(x), height * width)


class Layer(nn.Module):
    """Linear, norm, activation; with a residual connection where widths are equal."""

    def __init__(self, fan_in: int, fan_out: int, config: LabConfig, norm: str, residual: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(fan_in, fan_out)
        self.norm = {"rms": nn.RMSNorm, "layer": nn.LayerNorm, "batch": nn.BatchNorm1d}[norm](fan_out) if norm != "none" else None
        self.activation = ACTIVATIONS[config.activation]() if config.activation != "leaky" else nn.LeakyReLU(config.negative_slope)
        self.residual = residual and fan_in == fan_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        y = self.activation(y if self.norm is None else self.norm(y))
        return (x + y) * 0.7071 if self.residual else y


def _initialise(network: nn.Module, slope: float) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=slope, nonlinearity="leaky_relu")
            nn.init.zeros_(layer.bias)


class Offset(nn.Module):
    """x + b."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class LabGenerator(nn.Module):
    def __init__(self, config: LabConfig, image: ImageSpec, latent_dim: int) -> None:
        super().__init__()
        self.config, self.shape = config, image.shape
        pixels = image.channels * image.height * image.width
        extra = latent_dim if config.z_skip else 0
        layers, width = [], latent_dim
        for position, units in enumerate(config.generator_widths):
            layers.append(Layer(width + (extra if position else 0), units, config, config.g_norm, config.g_residual))
            width = units
        self.layers = nn.ModuleList(layers)
        self.bottleneck = nn.Linear(width, config.g_bottleneck) if config.g_bottleneck else None
        if config.g_patches:
            self.bottleneck = nn.Linear(width, config.g_patches * pixels // config.g_patch**2)
            self.patches = nn.Linear(config.g_patches, config.g_patch**2)
            self.output = Offset(pixels)
        else:
            self.output = nn.Linear(config.g_bottleneck or width, pixels)
        _initialise(self, config.negative_slope)
        with torch.no_grad():
            if not config.g_patches:
                self.output.weight.mul_(config.last_gain)

    def forward(self, z: Tensor) -> Tensor:
        if self.config.z_norm:
            z = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        h = z
        for position, layer in enumerate(self.layers):
            h = layer(torch.cat([h, z], 1) if position and self.config.z_skip else h)
        if self.bottleneck is not None:
            h = self.bottleneck(h)
        if self.config.g_patches:
            h = nn.functional.leaky_relu(h, self.config.negative_slope).view(len(h), -1, self.config.g_patches)
            h = from_patches(self.patches(h), self.config.g_patch, *self.shape[1:])
        return self.output(h).tanh().reshape(-1, *self.shape)

    @torch.no_grad()
    def precondition(self, pixels: Tensor) -> None:
        end = self.config.near_end
        self.output.bias.copy_(pixels.mean(0).clamp(-end, end).atanh())
        if self.config.g_basis:
            y = pixels.clamp(-0.9, 0.9).atanh()
            values, vectors = torch.linalg.eigh(torch.cov(y.T))
            values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
            fan_in = self.output.in_features
            if self.bottleneck is not None:
                self.output.weight.copy_(vectors[:, :fan_in] * values[:fan_in].sqrt())
                nn.init.orthogonal_(self.bottleneck.weight)
            else:
                turned = torch.randn(len(values), fan_in) / fan_in**0.5
                self.output.weight.copy_((vectors * values.sqrt()) @ turned)
            if self.config.g_fixed_basis:
                self.output.weight.requires_grad_(False)


class LabDiscriminator(nn.Module):
    def __init__(self, config: LabConfig, image: ImageSpec) -> None:
        super().__init__()
        self.config = config
        pixels = image.channels * image.height * image.width
        inputs = config.d_components or pixels
        self.side = image.shape
        self.patches = None
        if config.d_patches:
            inner = [nn.Linear(config.d_patch**2, config.d_patches), nn.LeakyReLU(config.negative_slope)]
            for _ in range(config.d_patch_layers - 1):
                inner += [nn.Linear(config.d_patches, config.d_patches), nn.LeakyReLU(config.negative_slope)]
            self.patches = nn.Sequential(*inner)
            inputs = self._patches(torch.zeros(1, pixels)).shape[1] * config.d_patches
        layers, width = [], inputs
        for units in config.discriminator_widths:
            layers.append(Layer(width, units, config, config.d_norm, config.d_residual))
            width = units
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(width + config.batch_std, 1)
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("basis", torch.zeros(pixels, config.d_components or pixels) if config.d_whiten and not config.d_start else None)
        _initialise(self, config.negative_slope)
        with torch.no_grad():
            self.output.weight.mul_(config.last_gain)

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1) - self.mean
        if self.patches is not None:
            x = self.patches(self._patches(x)).flatten(1)
        return self.head(x if self.basis is None else x @ self.basis)

    def _patches(self, x: Tensor) -> Tensor:
        x, size = x.view(-1, *self.side[1:]), self.config.d_patch
        grids = [to_patches(x, size, shift) for shift in ((0, size // 2) if self.config.d_shifted else (0,))]
        return torch.cat(grids, 1)

    def head(self, x: Tensor) -> Tensor:
        h = self.layers(x)
        if self.config.batch_std:
            groups = h.view(2, -1, h.shape[1]) if len(h) > 128 else h.view(1, -1, h.shape[1])
            spread = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean(1)
            h = torch.cat([h, spread.repeat_interleave(groups.shape[1]).unsqueeze(1)], 1)
        return self.output(h).squeeze(1)

    @torch.no_grad()
    def precondition(self, pixels: Tensor) -> None:
        config = self.config
        self.mean.copy_(pixels.mean(0))
        if not config.d_whiten:
            return
        values, vectors = torch.linalg.eigh(torch.cov(pixels.T))
        values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
        floor = config.d_whiten_floor * float(values.mean())
        scale = (values + floor) ** (-config.d_whiten / 2)
        scale *= (values.sum() / (values * scale.square()).sum()).sqrt()  # the same energy comes in
        kept = vectors * scale
        if config.d_start:
            first = self.layers[0].linear.weight
            first.copy_(first @ (kept @ vectors.T))
        else:
            self.basis.copy_(kept[:, : self.basis.shape[1]] if config.d_components else kept @ vectors.T)


class Lab(Dense):
    """Dense, with the levers above."""

    Config = LabConfig

    def build(self, config: LabConfig, image: ImageSpec, latent_dim: int) -> Networks:
        return Networks(LabGenerator(config, image, latent_dim), LabDiscriminator(config, image))

    def calibrate(self, networks: Networks, mean: Tensor) -> None:
        pass


def precondition(game: Game) -> None:
    """What needs more of the data than its mean."""
    images = game.data.images.images
    chosen = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:10_000]]
    pixels = chosen.flatten(1).float() / 127.5 - 1
    for player in game.state.players.values():
        player.network.precondition(pixels)


class Step:
    """One step of a training, with these levers.

    Args:
        kind: alternate: as the library; reuse: G is updated on the images that D has just seen; single: and on D's own gradient
            at them, before D moves (Nowozin et al., 2016, section 3.2).
        decay: linear, or cosine over the same part of the run.
        decay_to: factor of the learning rate at the end.
        clip: largest norm of a gradient; 0: any.
        feature_matching: weight of |E h(x) - E h(G(z))|^2, h D's last hidden layer.
        noise: standard deviation of noise on D's inputs at the start; falls to 0 at half of the run.
        halflife: of the EMA, as a fraction of the run; 0: as the library.
        beta2_end: moves there from betas[1] with the fraction of the run.
        shrink: R1's weight falls (or rises) to this factor at the end, geometrically.
        g_rate: factor of G's learning rate.
    """

    def __init__(self, game: Game, total: int, *, kind: str = "alternate", decay: str = "linear", decay_to: float = 0.0,
                 clip: float = 0.0, feature_matching: float = 0.0, noise: float = 0.0, halflife: float = 0.0,
                 shrink: float = 1.0, g_rate: float = 1.0) -> None:  # fmt: skip
        self.game, self.total = game, total
        self.kind, self.decay, self.decay_to, self.clip = kind, decay, decay_to, clip
        self.feature_matching, self.noise, self.halflife, self.shrink, self.g_rate = (
            feature_matching, noise, halflife, shrink, g_rate)  # fmt: skip
        trainer = game.trainer
        self.trainer, self.state, self.rules, self.objective = trainer, game.state, game.config.train, trainer.objective
        self.g, self.d = self.state.players["generator"], self.state.players["discriminator"]

    def __call__(self, fraction: float) -> None:
        trainer, state, objective = self.trainer, self.state, self.objective
        self._set_rates(fraction)
        real, _ = trainer.batches[state.step]
        n = len(real)
        due = state.step % objective.penalty_interval_steps == 0
        z = trainer._latents("discriminator")
        sigma = self.noise * max(0.0, 1 - 2 * fraction)
        if self.kind == "alternate":
            with torch.no_grad():
                fake = self.g.network(z)
        else:
            fake = self.g.network(z)
        shown = fake.detach()
        penalties = trainer.penalties if due else ()
        if sigma:
            real, shown = real + sigma * torch.randn_like(real), shown + sigma * torch.randn_like(shown)
        real.requires_grad_(bool(penalties))
        shown.requires_grad_(bool(penalties) or self.kind == "single")
        logits = self.d.network(torch.cat([real, shown]))
        real_logits, fake_logits = logits[:n], logits[n:]
        loss = objective.discriminator_loss(real_logits, fake_logits).mean()
        for penalty in penalties:
            value = penalty.value(self.d.network, real, real_logits, shown, fake_logits).mean()
            loss = loss + objective.penalty_interval_steps * penalty.weight * self.shrink**fraction * value
        self.d.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.kind == "single":
            t = fake_logits.detach()
            wanted = torch.autograd.functional if False else None  # noqa: F841
            factor = self._factor(t, real_logits.detach())
            gradient = shown.grad * factor.view(-1, 1, 1, 1)
        self._move(self.d)
        if self.kind == "single":
            self.g.optimizer.zero_grad(set_to_none=True)
            fake.backward(gradient)
        else:
            with self.d.frozen():
                self._generator_turn(real.detach(), fake, sigma)
        self._move(self.g)
        state.step += 1
        state.images_seen += self.rules.batch_size
        halflife = self.halflife * self.total * self.rules.batch_size or self.rules.ema_halflife_images
        decay = ema_decay(self.rules.batch_size, state.images_seen, halflife_images=halflife, rampup=self.rules.ema_rampup)
        state.average.update(self.g.network, decay)

    def _generator_turn(self, real: Tensor, fake: Tensor, sigma: float) -> None:
        if self.kind == "alternate":
            fake = self.g.network(self.trainer._latents("generator"))
        if sigma:
            fake = fake + sigma * torch.randn_like(fake)
        fake_logits = self.d.network(fake)
        real_logits = self.d.network(real) if self.objective.generator_sees_real else torch.zeros(len(real))
        loss = self.objective.generator_loss(fake_logits, real_logits).mean()
        if self.feature_matching:
            network = self.d.network
            h = lambda x: network.layers((x.flatten(1) - network.mean) if network.basis is None else (x.flatten(1) - network.mean) @ network.basis)  # noqa: E731, E501
            with torch.no_grad():
                target = h(real).mean(0)
            loss = loss + self.feature_matching * (h(fake).mean(0) - target).square().mean()
        self.g.optimizer.zero_grad(set_to_none=True)
        loss.backward()

    def _factor(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Derivative of G's loss over that of D's, at each generated image."""
        t = fake_logits.clone().requires_grad_()
        (mine,) = torch.autograd.grad(self.objective.generator_loss(t, real_logits).sum(), t)
        t = fake_logits.clone().requires_grad_()
        (theirs,) = torch.autograd.grad(self.objective.discriminator_loss(real_logits, t).sum(), t)
        return (mine / theirs.clamp(min=1e-6)).clamp(-1e4, 1e4)

    def _set_rates(self, fraction: float) -> None:
        import math

        rates = rates_at(self.rules, fraction)
        for name, player in self.state.players.items():
            rate = rates.learning_rate[name]
            if self.decay != "linear":
                flat = rates_at(self.rules.model_copy(update={"learning_rate_decay": 0.0}), fraction).learning_rate[name]
                start = 1 - self.rules.learning_rate_decay
                done = max(0.0, (fraction - start) / (1 - start))
                rate = flat * ((1 + math.cos(math.pi * done)) / 2 if self.decay == "cosine" else (1 - done) ** 2)
                rate = max(rate, flat * self.decay_to)
            player.set_rates(rate * (self.g_rate if name == "generator" else 1), rates.betas)

    def _move(self, player) -> None:  # noqa: ANN001
        if self.clip:
            nn.utils.clip_grad_norm_(player.network.parameters(), self.clip)
        player.optimizer.step()
