"""The game, and nothing else.

One step (Goodfellow et al., 2014, algorithm 1, with one discriminator update per generator update):

1. D learns to tell real from fake. G only supplies the fakes; no gradient flows into it.
2. D is frozen: gradients flow through it, not into it. G learns to fool it, on fresh noise.
3. The averaged copy of G moves.

Each turn is played on every share of the batch (:mod:`.shares`: one, unless memory or several processes ask for more); their
gradients add up to that of the mean loss before the optimiser moves.

The noise of step k is addressed by (seed, purpose, k) for the whole batch, whatever the networks themselves draw by the share
as well, so that a step depends on nothing but the state before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gancli.randomness.seeds import normal_at

from .augmentation import NoAugmentation
from .mixed_precision import MixedPrecision
from .penalties import penalties_of
from .schedules import ema_decay, rates_at
from .shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from gancli.config.schema import TrainConfig
    from gancli.data.batches import Batches
    from gancli.plugin import Objective, Penalty
    from gancli.runtime.device import Runtime

    from .augmentation import Augments
    from .shares import Share
    from .state import Player, TrainingState

    Critic = Callable[[Tensor], Tensor]
    Network = Callable[..., Tensor]
    Report = dict[str, Tensor]

__all__ = ["Trainer"]


class Trainer:
    """Plays the game on a state, one step at a time.

    Args:
        state: the players; changed in place.
        objective: what they want.
        batches: the real pictures of every step, those that this process takes.
        runtime: where it runs, and in how many processes.
        rules: batch size and its division, step sizes, averaging and seed.
        latent_dim: dimensions of z.
        augmentation: what happens to pictures on their way to D; by default nothing.
    """

    def __init__(
        self,
        state: TrainingState,
        objective: Objective,
        batches: Batches,
        runtime: Runtime,
        *,
        rules: TrainConfig,
        latent_dim: int,
        augmentation: Augments | None = None,
    ) -> None:
        self.state = state
        self.objective = objective
        self.batches = batches
        self.runtime = runtime
        self.rules = rules
        self.latent_dim = latent_dim
        self.augmentation = augmentation or NoAugmentation()
        self.mixed_precision = MixedPrecision(runtime, [player.network for player in state.players.values()])
        self.shares = Shares(rules.batch_size, rules.accumulate, runtime.processes)
        self.penalties = penalties_of(objective)
        self.generator: Player = state.players["generator"]
        self.discriminator: Player = state.players["discriminator"]
        self._judge = _JUDGES[rules.real_fake_batch]
        self._reference = _logits_of if objective.generator_sees_real else _no_logits

    def step(self, fraction: float, ramp: float = 1.0, *, settled: bool = False) -> dict[str, Tensor]:
        """One round of the game, at ``fraction`` of the run, with ``ramp`` times the step size of the schedule.

        Args:
            fraction: share of the run that is done.
            ramp: factor of the step size.
            settled: the burn-in is over, whatever the fraction says: the run was made longer.

        Returns:
            ``d_loss``, ``g_loss``, ``real_score`` (mean of s(D(x))), ``fake_score`` (mean of s(D(G(z)))) and one entry
            per penalty that was due: 0-dimensional tensors on the device, without gradient.
        """
        rates = rates_at(self.rules, fraction, ramp, settled=settled)
        for name, player in self.state.players.items():
            player.set_rates(rates.learning_rate[name], rates.betas)
        real, labels = self.batches[self.state.step]
        report = self._discriminator_turn(real, labels, rates.penalty) | self._generator_turn(real, labels)
        self.state.step += 1
        self.state.images_seen += self.rules.batch_size
        self._average(self.rules.batch_size)
        return report

    def _discriminator_turn(self, real: Tensor, labels: tuple[Tensor, ...], strength: float = 1.0) -> Report:
        penalties, z = self._due_penalties(), self._latents("discriminator")

        def play(share: Share) -> tuple[Tensor, Report]:
            return self._discriminator_loss(share, real, labels, z, penalties, strength)

        report = self._turn("discriminator", self.discriminator, play)
        return self.augmentation.adapt(report, self.rules.batch_size, self.state.step)

    def _discriminator_loss(
        self, share: Share, real: Tensor, labels: tuple[Tensor, ...], z: Tensor, penalties: tuple[Penalty, ...], strength: float
    ) -> tuple[Tensor, Report]:
        real, z, labels = real[share.here].detach(), z[share.here], tuple(y[share.here] for y in labels)
        with torch.no_grad(), self.mixed_precision():
            fake = self.generator(z, *labels).float()
        with self.mixed_precision(enabled=not penalties):  # second derivatives are taken in float32
            real.requires_grad_(bool(penalties))
            fake.requires_grad_(bool(penalties))
            plain_or_compiled = self.discriminator.network if penalties else self.discriminator
            network = self.augmentation.before(plain_or_compiled, "discriminator", self.state.step, share)
            real_logits, fake_logits = self._judge(network, real, fake, labels)
        loss = d_loss = self.objective.discriminator_loss(real_logits, fake_logits).mean()
        report = {"d_loss": d_loss.detach(), **_scores(real_logits, fake_logits), **self.augmentation.observe(real_logits)}
        for penalty in penalties:
            critic = _bind(network, labels)
            value = penalty.value(critic, real, real_logits, fake, fake_logits).mean()
            loss = loss + strength * self.objective.penalty_interval_steps * penalty.weight * value
            report[penalty.name] = value.detach()
        return loss, report

    def _generator_turn(self, real: Tensor, labels: tuple[Tensor, ...]) -> Report:
        z = self._latents("generator")
        with self.discriminator.frozen():
            return self._turn("generator", self.generator, lambda share: self._generator_loss(share, real, labels, z))

    def _generator_loss(self, share: Share, real: Tensor, labels: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor, Report]:
        real, z, labels = real[share.here].detach(), z[share.here], tuple(y[share.here] for y in labels)
        with self.mixed_precision():
            network = self.augmentation.before(self.discriminator, "generator", self.state.step, share)
            critic = _bind(network, labels)
            fake = self.generator(z, *labels)
            fake_logits = critic(fake).float()
            real_logits = self._reference(critic, real)
        loss = self.objective.generator_loss(fake_logits, real_logits).mean()
        return loss, {"g_loss": loss.detach()}

    def _turn(self, turn: str, player: Player, play: Callable[[Share], tuple[Tensor, Report]]) -> Report:
        """One update of ``player``, on the mean of the losses that ``play`` finds on every share; the means of its reports."""
        player.optimizer.zero_grad(set_to_none=True)
        tally = self.shares.tally(other.network for other in self.state.players.values())
        for share in self.shares:
            self.runtime.seed_networks(self.rules.seed, turn, self.state.step, share.index)
            tally.rewind()
            loss, report = play(share)
            (loss / self.shares.count).backward()  # type: ignore[no-untyped-call]
            tally.add(report)
        means = tally.means(player.network)
        player.optimizer.step()
        self.mixed_precision.expire(player.network)
        return means

    def _due_penalties(self) -> tuple[Penalty, ...]:
        return () if self.state.step % self.objective.penalty_interval_steps else self.penalties

    def _latents(self, purpose: str) -> Tensor:
        """Noise for the pictures of this process, drawn for the whole batch."""
        shape = self.rules.batch_size, self.latent_dim
        z = normal_at(shape, self.rules.seed, f"latents of the {purpose}'s turn", self.state.step)
        return self.runtime.send(z[self.shares.part])

    def _average(self, batch_size: int) -> None:
        decay = ema_decay(
            batch_size,
            self.state.images_seen,
            halflife_images=self.rules.ema_halflife_images,
            rampup=self.rules.ema_rampup,
        )
        self.state.average.update(self.generator.network, decay)


def _judge_jointly(critic: Network, real: Tensor, fake: Tensor, labels: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """D sees real and fake in one batch: one pass, and one set of batch statistics."""
    logits: Tensor = critic(torch.cat([real, fake]), *(torch.cat([y, y]) for y in labels)).float()
    return logits[: len(real)], logits[len(real) :]


def _judge_separately(critic: Network, real: Tensor, fake: Tensor, labels: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """D sees real and fake in a batch each, as batch normalisation in D wants it."""
    return critic(real, *labels).float(), critic(fake, *labels).float()


_JUDGES = {"joint": _judge_jointly, "separate": _judge_separately}


def _scores(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    return {
        "real_score": real_logits.detach().sigmoid().mean(),
        "fake_score": fake_logits.detach().sigmoid().mean(),
    }


def _bind(critic: Network, labels: tuple[Tensor, ...]) -> Critic:
    return lambda images: critic(images, *labels)


def _logits_of(critic: Critic, images: Tensor) -> Tensor:
    return critic(images).float()


def _no_logits(critic: Critic, images: Tensor) -> Tensor:  # noqa: ARG001  (the null object of _logits_of)
    return torch.zeros(len(images), device=images.device)
