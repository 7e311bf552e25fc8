"""How it is minimised: one training step, and the one place where weights move.

A step is a sequence of updates (:mod:`gancli.gan.algorithm`), each of which trains some networks on the sum of its loss terms
while all others are frozen. Its batch is cut into micro-batches if memory or several processes ask for that. All noise of an
update is addressed by (seed, networks, number of the update), so that a step depends on nothing but the state before it.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from functools import partial, reduce
from itertools import chain
from operator import add
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gancli.gan.augmentation import NoAugmentation
from gancli.gan.capture import Noise, as_written
from gancli.gan.context import Context
from gancli.gan.schedules import Rates, ema_decay, rates_at
from gancli.plugin import LabellingDiscriminator
from gancli.randomness.seeds import normal_at
from gancli.runtime.micro_batches import MicroBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gancli.config.schema import TrainConfig
    from gancli.data.batches import Batches
    from gancli.gan.capture import Report, Run
    from gancli.gan.state import TrainingState
    from gancli.plugin import LossTerm, Update
    from gancli.runtime.device import Runtime


@dataclass(eq=False)
class Trainer:
    """Trains the networks of a state, step by step, on real images of which ``batches`` holds those of this process.

    ``run`` computes what a step asks of the device: as it is written, or by replaying it (:mod:`gancli.gan.capture`).
    """

    state: TrainingState
    updates: Sequence[Update]
    batches: Batches
    runtime: Runtime
    _: KW_ONLY
    rules: TrainConfig
    latent_dim: int
    augmentation: NoAugmentation = field(default_factory=NoAugmentation)

    def __post_init__(self) -> None:
        self.micro_batches = MicroBatches(self.rules.batch_size, self.rules.accumulate, self.runtime.processes)
        self.batches_per_step = max(update.repeats for update in self.updates)
        self.run: Run = as_written

    def step(self, fraction: float, ramp: float = 1.0, *, settled: bool = False) -> Report:
        """One step: every update in its order and number, then the EMA; see :func:`.rates_at`.

        Returns:
            the mean of every loss term that was due, ``real_score`` and ``fake_score`` (means of
            s(D(x)) and s(D(G(z))) in D's update): 0-dimensional tensors on the device, no gradient.
        """
        rates = rates_at(self.rules, fraction, ramp, settled=settled)
        for name, trained in self.state.trained.items():
            trained.set_rates(rates.of(name), rates.betas)

        report: Report = {}
        for update in self.updates:
            for repeat in range(update.repeats):
                report |= self.apply(update, repeat, rates)

        images = self.rules.batch_size * self.batches_per_step
        self.state.step += 1
        self.state.images_seen += images
        halflife, rampup = self.rules.ema_halflife_images, self.rules.ema_rampup
        decay = ema_decay(images, self.state.images_seen, halflife_images=halflife, rampup=rampup)
        self.run(("ema",), self._average, (1 - decay,), Noise.NONE)
        return report

    def apply(self, update: Update, repeat: int, rates: Rates) -> Report:
        """One update, of the loss terms that are due, on its own images and noise."""
        number = self.state.step * update.repeats + repeat
        terms = [term for term in update.losses if number % term.every == 0]
        if not terms:
            return {}
        real, conditions = self.batches[self.state.step * self.batches_per_step + repeat]
        shape = self.rules.batch_size, self.latent_dim
        z = normal_at(shape, self.rules.seed, f"latents of the {update.name}'s turn", number)
        z = self.runtime.send(z[self.micro_batches.part])
        noise = Noise(
            seed=partial(self.runtime.seed_networks, self.rules.seed, update.name, number),
            uniform=partial(self.runtime.uniform_at, self.rules.seed, f"augmentation of the {update.name}'s turn", number),
        )
        kind = update.name, *(term.name for term in terms)
        factors = [rates.factor(term) for term in terms]
        report = self.run(kind, partial(self._minimise, update, terms), (z, real, *factors, *conditions), noise)
        if "discriminator" in update.networks:
            report = self.augmentation.adapt(report, self.rules.batch_size, number)
        return report

    def _minimise(
        self, update: Update, terms: Sequence[LossTerm], noise: Noise, z: Tensor, real: Tensor, *others: Tensor
    ) -> Report:
        """The gradient of the mean loss over all micro-batches, then the optimisers' steps."""
        factors, conditions = others[: len(terms)], others[len(terms) :]
        discriminator: Any = self.state.networks.get("discriminator")
        finds_labels = not conditions and isinstance(discriminator, LabellingDiscriminator)
        second_order = any(term.second_order for term in terms)
        trained = [self.state.trained[name] for name in update.networks]

        with self.state.only_training(update.networks):
            for network in trained:
                network.optimizer.zero_grad(set_to_none=True)
            total = self.micro_batches.total(self.state.networks.values())
            for part in self.micro_batches:
                noise.seed(part.index)
                total.rewind_buffers()
                images, latents, given = real[part.here], z[part.here], tuple(each[part.here] for each in conditions)
                if finds_labels:
                    with torch.no_grad():  # images of a class side by side: minibatch statistics then compare like with like
                        labels, order = discriminator.label(images).sort(stable=True)
                    images, latents, given = images[order], latents[order], (labels,)
                discriminate = self._forward("discriminator", update, second_order=second_order)
                context = Context(
                    networks=self.state.networks,
                    generate=self._forward("generator", update, second_order=second_order),
                    discriminator=self.augmentation.before(discriminate, noise.uniform, part),
                    trained=update.networks,
                    real=images.detach().requires_grad_(second_order),
                    z=latents,
                    conditions=given,
                    second_order=second_order,
                    joint=self.rules.real_fake_batch == "joint",
                )
                with self.runtime.autocast(enabled=not second_order):
                    values = {term.name: term.value(context).mean() for term in terms}
                summands: dict[tuple[str, ...], list[Tensor]] = {}  # by what they train: () is everything
                for factor, term in zip(factors, terms, strict=True):
                    summands.setdefault(term.networks, []).append(factor * values[term.name])
                for left, (names, losses) in zip(reversed(range(len(summands))), summands.items(), strict=True):
                    loss, weights = reduce(add, losses), [w for name in names for w in self.state.trained[name].learnt()]
                    torch.autograd.backward(loss / self.micro_batches.count, retain_graph=left > 0, inputs=weights or None)
                total.add({name: value.detach() for name, value in values.items()} | self._scores(update, context))
            report = total.means(chain.from_iterable(network.network.parameters() for network in trained))

        for network in trained:
            network.optimizer.step()
        if update.after is not None:
            with torch.no_grad():
                update.after(self.state.networks)
        return report

    def _average(self, noise: Noise, weight: float | Tensor) -> Report:  # noqa: ARG002  (there is none in it)
        """The EMA of every network that has one."""
        for name, average in self.state.averages.items():
            average.update(self.state.networks[name], weight)
        return {}

    def _forward(self, name: str, update: Update, *, second_order: bool) -> Callable[..., Tensor]:
        """The forward pass of a network, in its precision; float32 and uncompiled where it is differentiated twice."""
        exact = second_order and name in update.networks
        compute = self.state.networks[name] if exact else self.state.forward(name)

        def forward(*inputs: Tensor) -> Tensor:
            with self.runtime.autocast(enabled=not exact):
                result: Tensor = compute(*inputs)
                return result

        return forward

    def _scores(self, update: Update, context: Context) -> Report:
        """s(D(x)) and s(D(G(z))) of D's own update, and what the augmentation adapts to."""
        if "discriminator" not in update.networks or not context.has_logits:
            return {}
        return {
            "real_score": context.real_logits.detach().sigmoid().mean(),
            "fake_score": context.fake_logits.detach().sigmoid().mean(),
            **self.augmentation.observe(context.real_logits),
        }
