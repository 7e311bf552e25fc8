"""Checks of networks in training: updates, loss terms, gradients, and exact resuming."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from gancli.config.resolve import load_objective
from gancli.errors import GancliError
from gancli.gan.algorithm import goodfellow_2014
from gancli.gan.schedules import rates_at
from gancli.plugin import LossTerm, Update
from gancli.plugins.registry import OBJECTIVES
from gancli.runtime.device import Runtime
from gancli.storage.tensors import decode, encode
from gancli.testing.checks import Rules, fail, flag, skip
from gancli.testing.subject import ArchitectureSubject, differing, redraw_constants, states

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from gancli.config.schema import RunConfig
    from gancli.gan.trainer import Trainer
    from gancli.plugin import StepContext
    from gancli.testing.subject import Case

__all__ = ["TRAINING"]

TRAINING = Rules[ArchitectureSubject]()
_STEPS = 4
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,40}")
_COLUMNS_OF_GANCLI = frozenset({"kind", "step", "epoch", "images_seen", "real_score", "fake_score"})
_SAME = 1e-3
"""Relative difference of a gradient that adding in another order may make."""
_NOISE = 3
"""So many times the difference that other random numbers make may be chance."""


@TRAINING.add(
    "updates",
    "Its updates train the generator, and name networks and loss terms that there are",
    why="A step is these updates, in their order; the terms are the columns of the log and of the loss plot.",
    fix="Return Update(networks, losses) with names of Networks and LossTerm(name, value) with names of their own, of "
    "lower-case letters, digits and underscores.",
    needs=("copies", "logits", "range", "defaults"),
)
def _updates_fit(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        for config in _with_each_objective(subject):
            objective = load_objective(config)
            for update in case.plugin.updates(case.config, objective, *goodfellow_2014(objective)):
                if not isinstance(update, Update) or not all(isinstance(x, LossTerm) for x in update.losses):
                    raise fail(f"For {case}, updates() holds {update!r:.200}, not an Update of LossTerms.")
                counts = [update.repeats, *(term.every for term in update.losses)]
                if not update.networks or not update.losses or min(counts) < 1:
                    raise fail(f"For {case}, the update '{update.name}' trains nothing: {update!r:.200}.")
                for name in (term.name for term in update.losses):
                    if not _COLUMN.fullmatch(name) or name in _COLUMNS_OF_GANCLI:
                        raise fail(f"For {case}, a loss term is named '{name}', which cannot be a column.")
            case.trainer(config)


@TRAINING.add(
    "terms",
    "Loss terms are finite tensors that depend on what their update trains",
    why="A number or a detached tensor trains nothing; a NaN ends the training with exit code 7.",
    fix="Return the formula itself, computed from the context's tensors without .item(), .detach() or no_grad().",
    needs=("updates",),
)
def _terms_are_sound(subject: ArchitectureSubject) -> None:
    def observed(case: Case, update: Update, term: LossTerm) -> LossTerm:
        def value(s: StepContext) -> Tensor:
            found, where = term.value(s), f"For {case}, the loss term '{term.name}'"
            if not isinstance(found, torch.Tensor):
                raise fail(f"{where} is {type(found).__name__}, not a tensor.")
            if not found.mean().isfinite():
                raise fail(f"{where} is not finite.")
            if not found.requires_grad:
                raise fail(f"{where} has no gradient in {' and '.join(update.networks)}.")
            return found

        return replace(term, value=value)

    for case in subject.smallest:
        trainer = case.trainer(subject.resolve())
        redraw_constants(trainer.state.networks.values())
        for update in trainer.updates:
            losses = tuple(observed(case, update, term) for term in update.losses)
            _gradients(trainer, [replace(update, losses=losses)])


@TRAINING.add(
    "micro-batches",
    "The gradient of two micro-batches is that of the whole batch",
    why="With train.accumulate or several processes the batch is divided and the means are averaged: a sum would get another "
    "weight, and a term that compares images of a batch would see fewer of them.",
    fix="Return one value per image, or a mean: no sum() over the batch, no norm of the whole batch. A term that is meant to "
    "compare images may stay as it is.",
    needs=("terms", "batch-independent", "no-other-chance"),
)
def _batches_can_be_divided(subject: ArchitectureSubject) -> None:
    """In eval mode, so that neither batch normalisation nor dropout makes a difference of its own."""
    divided = []
    for case in subject.smallest:
        if _mixes(case, training=False):
            continue  # such as minibatch standard deviation: no division gives the same
        config, other_noise = subject.resolve(), _OtherNoise(torch.device("cpu"))
        whole, noisy = (_gradient_of_each_term(case.trainer(config, runtime)) for runtime in (None, other_noise))
        parts = _gradient_of_each_term(case.trainer(subject.resolve(train__accumulate=2)))
        for name, gradient in whole.items():
            allowed = _SAME * gradient.norm() + 1e-7 + _NOISE * (noisy[name] - gradient).norm()
            if (parts[name] - gradient).norm() <= allowed:
                continue
            if (2 * parts[name] - gradient).norm() <= allowed:
                raise fail(f"For {case}, the loss term '{name}' is a sum over the batch, not a mean.")
            divided.append(f"For {case}, the loss term '{name}' depends on how the batch is divided.")
    if divided:
        raise flag(divided[0])


@TRAINING.add(
    "gradients",
    "A gradient reaches every parameter that is trained",
    why="A parameter without one never learns; it is a layer that was forgotten, or cut off by detach() or no_grad().",
    fix="Use every layer that you register, for every kind of images, and register none that you do not need.",
    needs=("updates",),
)
def _gradients_arrive(subject: ArchitectureSubject) -> None:
    """Under one objective at least: losses of differences have no gradient in the last bias of D, for instance."""
    for case in subject.smallest:
        missed: set[str] | None = None
        for config in (subject.resolve(), *(config for config in _with_each_objective(subject))):
            trainer = case.trainer(config)
            redraw_constants(trainer.state.networks.values())
            found = _gradients(trainer)
            reached = {key for _, key, gradient in found if gradient.any() and gradient.isfinite().all()}
            missed = ({key for _, key, _ in found} if missed is None else missed) - reached
            if not missed:
                break
        else:
            names = ", ".join(sorted(missed or ())[:5])
            raise fail(f"For {case}, no gradient reaches {names}.")


@TRAINING.add(
    "frozen",
    "Networks that no update trains stay as they were built",
    why="Checkpoints hold only a hash of them: whatever changes in one is lost when a run is resumed.",
    fix="Name the network in an Update, or let its forward pass in eval mode change nothing.",
    needs=("updates",),
)
def _frozen_networks_stay(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        trainer = case.trainer(subject.resolve())
        frozen = trainer.state.frozen
        if not frozen:
            raise skip("All of its networks are trained.")
        before = states(frozen)
        for _ in range(2):
            trainer.step(0.5)
        if name := differing(before, states(frozen)):
            raise fail(f"For {case}, {name} changes in training, and no update trains it.")
        if any(network.training for network in frozen.values()):
            raise fail(f"For {case}, a frozen network is switched to training mode.")


@TRAINING.add(
    "one-by-one",
    "The discriminator's logits belong to single images, as far as the chosen objective needs it",
    why="With statistics of the batch in D real and fake images are told apart by the batch they come in; and with batch "
    "normalisation gradient penalties and the relativistic loss, which are per image, become something else.",
    fix="With minibatch standard deviation keep real and fake images, the two halves of a batch, in groups of their own, or "
    "set 'train.real_fake_batch': 'separate' in `defaults`. With batch normalisation set that, and 'objective.r1_gamma': 0, "
    "or leave it out of the discriminator.",
    needs=("logits", "defaults"),
)
def _logits_are_per_image(subject: ArchitectureSubject) -> None:
    config = subject.resolve()
    objective = load_objective(config)
    for case in subject.smallest:
        if not _mixes(case, training=True):
            continue
        where = f"For {case}, a logit depends on the other images of the batch,"
        if config.train.real_fake_batch == "joint" and _mixes(case, training=True, kinds=True):
            raise flag(f"{where} and real and fake ones come in one batch.")
        penalties = [x for x in ("r1_gamma", "r2_gamma", "gradient_penalty") if getattr(objective, x)]
        compared = [*penalties, *(["the comparison of logits"] if objective.generator_sees_real else [])]
        if compared and not _mixes(case, training=False):  # batch normalisation
            chosen = f"the objective '{config.objective.name}' with {' and '.join(compared)}"
            raise flag(f"{where} which does not go with {chosen}.")


@TRAINING.add(
    "exact-resume",
    "A training that stops and is resumed ends in the same bits as one that never stopped",
    why="gancli promises it to its users.",
    fix="Keep whatever changes while training in buffers: no counters, caches or histories in plain attributes.",
    needs=("updates", "state-dict", "no-other-chance"),
)
def _resumes_exactly(subject: ArchitectureSubject) -> None:
    config = subject.resolve()
    for case in subject.smallest:
        whole, halved, fresh = (case.trainer(config) for _ in range(3))
        for _ in range(_STEPS):
            whole.step(0.5)
        for _ in range(_STEPS // 2):
            halved.step(0.5)
        stored = {group: encode(tensors) for group, tensors in halved.state.tensors().items()}
        tensors = {group: decode(data, group) for group, data in stored.items()}
        fresh.state.restore(tensors, halved.state.counters())
        for _ in range(_STEPS // 2):
            fresh.step(0.5)
        for group, found in whole.state.tensors().items():
            if name := differing(found, fresh.state.tensors()[group]):
                raise fail(f"For {case}, {group}/{name} ends in other bits when the training is stopped and resumed.")


def _with_each_objective(subject: ArchitectureSubject) -> Iterator[RunConfig]:
    """The installed ones, with their default options; one that cannot be loaded is another plugin's trouble."""
    for entry in OBJECTIVES.entries():
        try:
            OBJECTIVES.load_entry(entry)
            config = subject.resolve(objective__name=entry.qualified)
        except GancliError:
            continue
        yield config


def _gradients(trainer: Trainer, updates: Sequence[Update] | None = None) -> list[tuple[str, str, Tensor]]:
    """``(update, network/parameter, gradient)`` of the trainer's next step, whose learning rates are 0."""
    found = []
    for update in trainer.updates if updates is None else updates:
        for trained in trainer.state.trained.values():
            trained.set_rates(0.0, trainer.rules.betas)
        trainer.apply(update, 0, rates_at(trainer.rules, 1.0))
        for network in update.networks:
            for name, weight in trainer.state.networks[network].named_parameters():
                gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
                if weight.requires_grad:
                    found.append((update.name, f"{network}/{name}", gradient))
    return found


def _gradient_of_each_term(trainer: Trainer) -> dict[str, Tensor]:
    """By the term's name, of all parameters together, in eval mode."""
    torch.manual_seed(0)
    redraw_constants(trainer.state.networks.values())
    for network in trainer.state.networks.values():
        network.eval()
    return {
        term.name: torch.cat([gradient.flatten() for *_, gradient in _gradients(trainer, [alone])])
        for update in trainer.updates
        for term in update.losses
        for alone in [replace(update, losses=(term,), after=None)]
    }


@dataclass(frozen=True)
class _OtherNoise(Runtime):
    """A runtime whose random numbers of dropout and the like are others."""

    def seed_networks(self, seed: int, turn: str, step: int, share: int = 0) -> None:
        super().seed_networks(seed + 1, turn, step, share)


def _mixes(case: Case, *, training: bool, kinds: bool = False) -> bool:
    """Whether a logit depends on other images of the batch; with ``kinds`` on those of its second half, the fake ones."""
    images = case.images(4).requires_grad_()
    logits = case.build_redrawn().discriminator.train(training)(images, *case.conditions(4))
    (gradient,) = torch.autograd.grad(logits[0].sum(), images)
    return bool(gradient[2 if kinds else 1 :].any())
