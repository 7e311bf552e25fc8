"""Levers of a training that the library does not have, for `search.py`: networks, and ways to take a step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import nn

from gancli.gan.architectures.dense import Dense, DenseConfig
from gancli.gan.architectures.dense_networks import DenseDiscriminator, DenseGenerator
from gancli.gan.context import Context
from gancli.gan.schedules import ema_decay, rates_at
from gancli.gan.state import Average
from gancli.plugin import Networks
from gancli.randomness.seeds import normal_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gancli.gan.state import Trained
    from gancli.plugin import ImageSpec, LossTerm
    from gancli.training.setup import Training

__all__ = ["Lab", "Step", "precondition"]

CALIBRATION_IMAGES = 10_000
ACTIVATIONS = {"silu": nn.SiLU, "gelu": nn.GELU, "relu": nn.ReLU}


class LabConfig(DenseConfig):
    """Options of dense, and more."""

    activation: Literal["leaky", "silu", "gelu", "relu"] = Field("leaky", description="of all hidden layers")
    g_norm: Literal["none", "rms", "layer"] = Field("none", description="normalisation before G's activations")
    g_basis: bool = Field(default=False, description="G's last layer starts as the principal components of the data")
    g_end: float = Field(0.98, description="the mean image is kept within this before artanh")
    d_whiten: float = Field(0.0, description="p: D sees each principal component times (variance + eps)^(-p/2)")
    d_whiten_floor: float = Field(0.01, description="eps, as a multiple of the mean variance of a pixel")
    d_whiten_start: bool = Field(default=False, description="whiten by D's initial weights alone")
    d_batch_std: bool = Field(default=False, description="D's last layer sees the batch's mean standard deviation")


class LabGenerator(DenseGenerator):
    """The dense generator, with these levers."""

    def __init__(self, config: LabConfig, image: ImageSpec, latent_dim: int) -> None:
        super().__init__(config, image, latent_dim)
        self.hidden = _changed(self.hidden, config.activation, config.g_norm)
        self.lab = config

    @torch.no_grad()
    def precondition(self, pixels: Tensor) -> None:
        """Adapt to real images, float32 ``(n, c h w)`` in [-1, 1]."""
        self.output.bias.copy_(pixels.mean(0).clamp(-self.lab.g_end, self.lab.g_end).atanh())
        if self.lab.g_basis:
            values, vectors = _components(pixels.clamp(-0.9, 0.9).atanh())
            turned = torch.randn(len(values), self.output.in_features) / self.output.in_features**0.5
            self.output.weight.copy_((vectors * values.sqrt()) @ turned)


class LabDiscriminator(DenseDiscriminator):
    """The dense discriminator, with these levers."""

    def __init__(self, config: LabConfig, image: ImageSpec) -> None:
        super().__init__(config, image)
        self.hidden = _changed(self.hidden, config.activation, "none")
        self.lab = config
        pixels = image.channels * image.height * image.width
        self.register_buffer("whitening", torch.eye(pixels) if config.d_whiten and not config.d_whiten_start else None)
        if config.d_batch_std:
            self.output = nn.Linear(self.output.in_features + 1, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:  # noqa: ARG002  (unconditional)
        """Logits ``(n,)``; a batch of two kinds holds the real images first."""
        pixels = images.flatten(1) - self.mean
        features = self.hidden(pixels if self.whitening is None else pixels @ self.whitening)
        if self.lab.d_batch_std:
            spread = torch.cat([kind.std(0, correction=0).mean().expand(len(kind), 1) for kind in features.chunk(2)])
            features = torch.cat([features, spread], 1)
        return self.output(features).squeeze(1)

    @torch.no_grad()
    def precondition(self, pixels: Tensor) -> None:
        """Adapt to real images, float32 ``(n, c h w)`` in [-1, 1]."""
        if not self.lab.d_whiten:
            return
        values, vectors = _components(pixels)
        scale = (values + self.lab.d_whiten_floor * values.mean()) ** (-self.lab.d_whiten / 2)
        scale *= (values.sum() / (values * scale.square()).sum()).sqrt()  # D's input keeps its total variance
        whitening = (vectors * scale) @ vectors.T
        if self.lab.d_whiten_start:
            first = self.hidden[0].weight
            first.copy_(first @ whitening)
        else:
            self.whitening.copy_(whitening)


def _changed(hidden: nn.Sequential, activation: str, norm: str) -> nn.Sequential:
    """The same layers with another activation, and a normalisation before it."""
    layers: list[nn.Module] = []
    for layer in hidden:
        if isinstance(layer, nn.LeakyReLU):
            if norm != "none":
                layers.append({"rms": nn.RMSNorm, "layer": nn.LayerNorm}[norm](layers[-1].out_features))
            layers.append(layer if activation == "leaky" else ACTIVATIONS[activation]())
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def _components(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Variances ``(d,)`` and, in columns, directions ``(d, d)`` of the principal components."""
    values, vectors = torch.linalg.eigh(torch.cov(pixels.T))
    return values.clamp(min=0), vectors


class Lab(Dense):
    """Dense, with these levers."""

    Config = LabConfig

    def build(self, config: LabConfig, image: ImageSpec, latent_dim: int) -> Networks:
        """Both networks; :func:`precondition` follows when the data are known."""
        return Networks(LabGenerator(config, image, latent_dim), LabDiscriminator(config, image))


def precondition(game: Training) -> None:
    """Adapt the networks to more of the data than its mean."""
    images = game.data.images.images
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    pixels = images[order[:CALIBRATION_IMAGES]].flatten(1).float() / 127.5 - 1
    for network in game.state.networks.values():
        network.precondition(pixels)
    game.state.averages["generator"] = Average(game.state.networks["generator"])


class Step:
    """A training step with levers that the library does not have; without any, it is the library's own.

    Args:
        game: the training.
        total: steps of the whole run.
        kind: ``alternate``: D, then G on fresh noise; ``reuse``: G is updated on the images that D has just
            seen; ``single``: and by D's own gradient at them, from before D's update: at a generated image
            both losses have the same gradient up to a factor (Nowozin et al., 2016, section 3.2).
        decay: how the learning rate falls in the last ``train.learning_rate_decay`` of the run: ``linear`` or ``cosine``.
        clip: largest norm of a network's gradient; 0: any.
        feature_matching: weight of |E h(x) - E h(G(z))|^2 in G's loss, h D's last hidden layer (Salimans et
            al., 2016, section 3.1).
        noise: standard deviation of normal noise on D's inputs at the start; falls to 0 at half of the run.
        halflife: of the EMA, as a fraction of the run; 0: as the library.
        penalty_end: factor of the penalties at the end of the run, reached geometrically.
    """

    def __init__(  # noqa: PLR0913  (one argument per lever)
        self,
        game: Training,
        total: int,
        *,
        kind: Literal["alternate", "reuse", "single"] = "alternate",
        decay: Literal["linear", "cosine"] = "linear",
        clip: float = 0.0,
        feature_matching: float = 0.0,
        noise: float = 0.0,
        halflife: float = 0.0,
        penalty_end: float = 1.0,
    ) -> None:
        self.kind, self.decay, self.clip, self.feature_matching = kind, decay, clip, feature_matching
        self.noise, self.halflife, self.penalty_end = noise, halflife, penalty_end
        self.game, self.total, self.objective = game, total, game.objective
        self.rules, self.state, self.batches = game.config.train, game.state, game.trainer.batches
        self.g, self.d = self.state.trained["generator"], self.state.trained["discriminator"]
        levers = (kind, decay, clip, feature_matching, noise, halflife, penalty_end)
        self.plain = levers == ("alternate", "linear", 0.0, 0.0, 0.0, 0.0, 1.0)

    def __call__(self, fraction: float) -> None:
        """One step at this fraction of the run."""
        if self.plain:
            self.game.trainer.step(fraction)
            return
        state, batch = self.state, self.rules.batch_size
        self._set_rates(fraction)
        real = self.batches[state.step][0]
        with torch.set_grad_enabled(self.kind != "alternate"):
            fake = self.g.network(self._latents("discriminator"))
        sigma = self.noise * max(0.0, 1 - 2 * fraction)
        gradient = self._update_d(_noisy(real, sigma), _noisy(fake.detach(), sigma), self.penalty_end**fraction)
        if self.kind == "alternate":
            fake = self.g.network(self._latents("generator"))
        self.g.optimizer.zero_grad(set_to_none=True)
        if self.kind == "single":
            fake.backward(gradient)
        else:
            with state.only_training(("generator",)):
                self._loss_of_g(real, _noisy(fake, sigma)).backward()
        self._move(self.g)
        state.step += 1
        state.images_seen += batch
        halflife = self.halflife * self.total * batch or self.rules.ema_halflife_images
        decay = ema_decay(batch, state.images_seen, halflife_images=halflife, rampup=self.rules.ema_rampup)
        state.averages["generator"].update(self.g.network, decay)

    def _update_d(self, real: Tensor, fake: Tensor, strength: float) -> Tensor | None:
        """D's update; with ``single``, the gradient of G's loss at the generated images, from before it."""
        terms = [term for term in self.game.trainer.updates[0].losses if self.state.step % term.every == 0]
        second_order = any(term.second_order for term in terms)
        single = self.kind == "single"
        context = self._context(real.detach().requires_grad_(second_order))
        context.fake = fake.requires_grad_(second_order or single)
        self.d.optimizer.zero_grad(set_to_none=True)
        self._total(terms, context, strength).backward()
        gradient = None
        if single:
            gradient = fake.grad * self._factor(context.fake_logits.detach(), context.real_logits.detach())
        self._move(self.d)
        return gradient

    def _total(self, terms: Sequence[LossTerm], context: Context, strength: float) -> Tensor:
        weights = [term.weight * term.every * (strength if term.second_order else 1) for term in terms]
        values = [term.value(context).mean() for term in terms]
        return torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum()

    def _context(self, real: Tensor) -> Context:
        return Context(
            networks=self.state.networks,
            generate=self.g.network,
            judge=self.d.network,
            trained=("discriminator",),
            real=real,
            z=real.new_empty(0),
            conditions=(),
            second_order=False,
            joint=True,
        )

    def _loss_of_g(self, real: Tensor, fake: Tensor) -> Tensor:
        d = self.d.network
        real_logits = d(real) if self.objective.generator_sees_real else torch.zeros(len(fake))
        loss: Tensor = self.objective.generator_loss(d(fake), real_logits).mean()
        if self.feature_matching:
            means = [d.hidden(images.flatten(1) - d.mean).mean(0) for images in (real, fake)]
            loss = loss + self.feature_matching * (means[0].detach() - means[1]).square().mean()
        return loss

    def _factor(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """Derivative of G's loss by D(G(z)) over that of D's loss, ``(n, 1, 1, 1)``."""
        t = fake_logits.requires_grad_()
        (of_g,) = torch.autograd.grad(self.objective.generator_loss(t, real_logits).sum(), t)
        (of_d,) = torch.autograd.grad(self.objective.discriminator_loss(real_logits, t).sum(), t)
        return (of_g / of_d.clamp(min=1e-6)).view(-1, 1, 1, 1)

    def _latents(self, purpose: str) -> Tensor:
        shape = self.rules.batch_size, self.game.config.model.latent_dim
        return normal_at(shape, self.rules.seed, f"latents of the {purpose}'s turn", self.state.step)

    def _set_rates(self, fraction: float) -> None:
        rates = rates_at(self.rules, fraction)
        factor = 1.0
        falling = 1 - self.rules.learning_rate_decay
        if self.decay == "cosine" and falling < fraction < 1:
            done = (fraction - falling) / (1 - falling)
            factor = (1 + math.cos(math.pi * done)) / 2 / (1 - done)  # instead of 1 - done
        for name, trained in self.state.trained.items():
            trained.set_rates(factor * rates.of(name), rates.betas)

    def _move(self, trained: Trained) -> None:
        if self.clip:
            nn.utils.clip_grad_norm_(trained.network.parameters(), self.clip)
        trained.optimizer.step()


def _noisy(images: Tensor, sigma: float) -> Tensor:
    return images + sigma * torch.randn_like(images) if sigma else images
