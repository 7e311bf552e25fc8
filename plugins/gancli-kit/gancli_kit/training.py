"""Checks of networks in training: updates, loss terms, gradients, and exact resuming."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gancli.config.resolve import load_objective
from gancli.errors import GancliError
from gancli.gan.algorithm import goodfellow_2014
from gancli.gan.schedules import rates_at
from gancli.plugin import LossTerm, StepContext, Update
from gancli.plugins.registry import OBJECTIVES
from gancli.runtime.device import Runtime
from gancli.storage.tensors import decode, encode
from gancli_kit.checks import Rules, fail, flag, skip
from gancli_kit.subject import ArchitectureSubject, Case, differing, redraw_constants, states

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gancli.config.schema import RunConfig
    from gancli.gan.trainer import Trainer

TRAINING = Rules()
_STEPS = 4
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,40}")
_COLUMNS_OF_GANCLI = frozenset({"kind", "step", "epoch", "images_seen", "real_score", "fake_score"})
_SAME = 1e-3  # relative difference of a gradient that adding in another order may make
_NOISE = 3  # so many times the difference that other random numbers make may be chance


@TRAINING.check(each="smallest", needs="copies logits range defaults")
def updates(subject: ArchitectureSubject, case: Case) -> None:
    """Its updates train the generator, and name networks and loss terms that there are
    Why: A step is these updates, in their order; the terms are the columns of the log and of the loss plot.
    Fix: Return Update(networks, losses) with names of Networks and LossTerm(name, value) with names of their own, of
    lower-case letters, digits and underscores.
    """
    for config in _with_each_objective(subject):
        objective = load_objective(config)
        for update in case.plugin.updates(case.config, objective, *goodfellow_2014(objective)):
            if not isinstance(update, Update) or not all(isinstance(x, LossTerm) for x in update.losses):
                raise fail(f"updates() holds {update!r:.200}, not an Update of LossTerms.")
            counts = [update.repeats, *(term.every for term in update.losses)]
            if not update.networks or not update.losses or min(counts) < 1:
                raise fail(f"the update '{update.name}' trains nothing: {update!r:.200}.")
            for name in (term.name for term in update.losses):
                if not _COLUMN.fullmatch(name) or name in _COLUMNS_OF_GANCLI:
                    raise fail(f"a loss term is named '{name}', which cannot be a column.")
        case.trainer(config)


@TRAINING.check(each="smallest", needs="updates")
def terms(subject: ArchitectureSubject, case: Case) -> None:
    """Loss terms are finite tensors that depend on what their update trains
    Why: A number or a detached tensor trains nothing; a NaN ends the training with exit code 7.
    Fix: Return the formula itself, computed from the context's tensors without .item(), .detach() or no_grad().
    """

    def observed(update: Update, term: LossTerm) -> LossTerm:
        def value(s: StepContext) -> Tensor:
            found = term.value(s)
            if not isinstance(found, torch.Tensor):
                raise fail(f"the loss term '{term.name}' is {type(found).__name__}, not a tensor.")
            if not found.mean().isfinite():
                raise fail(f"the loss term '{term.name}' is not finite.")
            if not found.requires_grad:
                raise fail(f"the loss term '{term.name}' has no gradient in {' and '.join(update.networks)}.")
            return found

        return replace(term, value=value)

    trainer = case.trainer(subject.resolve())
    redraw_constants(trainer.state.networks.values())
    for update in trainer.updates:
        _gradients(trainer, [replace(update, losses=tuple(observed(update, term) for term in update.losses))])


@TRAINING.check(needs="terms batch-independent no-other-chance")
def micro_batches(subject: ArchitectureSubject) -> None:
    """The gradient of two micro-batches is that of the whole batch
    Why: With train.accumulate or several processes the batch is divided and the means are averaged: a sum would get
    another weight, and a term that compares images of a batch would see fewer of them.
    Fix: Return one value per image, or a mean: no sum() over the batch, no norm of the whole batch. A term that is meant
    to compare images may stay as it is.
    """
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


@TRAINING.check(each="smallest", needs="updates")
def gradients(subject: ArchitectureSubject, case: Case) -> None:
    """A gradient reaches every parameter that is trained
    Why: A parameter without one never learns; it is a layer that was forgotten, or cut off by detach() or no_grad().
    Fix: Use every layer that you register, for every kind of images, and register none that you do not need.
    """
    missed: set[str] | None = None  # under every objective: the last bias of D, say, has none where logits are compared
    for config in (subject.resolve(), *_with_each_objective(subject)):
        trainer = case.trainer(config)
        redraw_constants(trainer.state.networks.values())
        found = _gradients(trainer)
        reached = {key for key, gradient in found if gradient.any() and gradient.isfinite().all()}
        missed = ({key for key, _ in found} if missed is None else missed) - reached
        if not missed:
            return
    raise fail(f"no gradient reaches {', '.join(sorted(missed or ())[:5])}.")


@TRAINING.check(each="smallest", needs="updates")
def frozen(subject: ArchitectureSubject, case: Case) -> None:
    """Networks that no update trains stay as they were built
    Why: Checkpoints hold only a hash of them: whatever changes in one is lost when a run is resumed.
    Fix: Name the network in an Update, or let its forward pass in eval mode change nothing.
    """
    trainer = case.trainer(subject.resolve())
    networks = trainer.state.frozen
    if not networks:
        raise skip("All of its networks are trained.")
    before = states(networks)
    for _ in range(2):
        trainer.step(0.5)
    if name := differing(before, states(networks)):
        raise fail(f"{name} changes in training, and no update trains it.")
    if any(network.training for network in networks.values()):
        raise fail("a frozen network is switched to training mode.")


@TRAINING.check(each="smallest", needs="logits defaults")
def one_by_one(subject: ArchitectureSubject, case: Case) -> None:
    """The discriminator's logits belong to single images, as far as the chosen objective needs it
    Why: With statistics of the batch in D real and fake images are distinguished by the batch they come in; and with batch
    normalisation gradient penalties and the relativistic loss, which are per image, become something else.
    Fix: With minibatch standard deviation keep real and fake images, the two halves of a batch, in groups of their own, or
    set 'train.real_fake_batch': 'separate' in `defaults`. With batch normalisation set that, and 'objective.r1_gamma': 0, or
    leave it out of the discriminator.
    """
    if not _mixes(case, training=True):
        return
    config, where = subject.resolve(), "a logit depends on the other images of the batch,"
    objective = load_objective(config)
    if config.train.real_fake_batch == "joint" and _mixes(case, training=True, kinds=True):
        raise flag(f"{where} and real and fake ones come in one batch.")
    penalties = [x for x in ("r1_gamma", "r2_gamma", "gradient_penalty") if getattr(objective, x)]
    compared = [*penalties, *(["the comparison of logits"] if objective.generator_sees_real else [])]
    if compared and not _mixes(case, training=False):  # batch normalisation
        chosen = f"the objective '{config.objective.name}' with {' and '.join(compared)}"
        raise flag(f"{where} which does not go with {chosen}.")


@TRAINING.check(each="smallest", needs="updates state-dict no-other-chance")
def exact_resume(subject: ArchitectureSubject, case: Case) -> None:
    """A training that stops and is resumed ends in the same bits as one that never stopped
    Why: gancli promises it to its users.
    Fix: Keep whatever changes while training in buffers: no counters, caches or histories in plain attributes.
    """
    whole, halved, fresh = (case.trainer(subject.resolve()) for _ in range(3))
    for _ in range(_STEPS // 2):
        halved.step(0.5)
    stored = {group: decode(encode(tensors), group) for group, tensors in halved.state.tensors().items()}
    fresh.state.restore(stored, halved.state.counters())
    for trainer, steps in ((whole, _STEPS), (fresh, _STEPS // 2)):
        for _ in range(steps):
            trainer.step(0.5)
    for group, found in whole.state.tensors().items():
        if name := differing(found, fresh.state.tensors()[group]):
            raise fail(f"{group}/{name} ends in other bits when the training is stopped and resumed.")


def _with_each_objective(subject: ArchitectureSubject) -> Iterator[RunConfig]:
    """The installed ones, with their default options; one that cannot be loaded is another plugin's trouble."""
    for entry in OBJECTIVES.entries():
        try:
            OBJECTIVES.load_entry(entry)
            config = subject.resolve(objective__name=entry.qualified)
        except GancliError:
            continue
        yield config


def _gradients(trainer: Trainer, chosen: Sequence[Update] | None = None) -> list[tuple[str, Tensor]]:
    """``(network/parameter, gradient)`` of every update of the trainer's next step, whose learning rates are 0."""
    found = []
    for update in trainer.updates if chosen is None else chosen:
        for trained in trainer.state.trained.values():
            trained.set_rates(0.0, trainer.rules.betas)
        trainer.apply(update, 0, rates_at(trainer.rules, 1.0))
        for network in update.networks:
            for name, weight in trainer.state.networks[network].named_parameters():
                if weight.requires_grad:
                    gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
                    found.append((f"{network}/{name}", gradient))
    return found


def _gradient_of_each_term(trainer: Trainer) -> dict[str, Tensor]:
    """By the term's name, of all parameters together; in eval mode, where neither batch norm nor dropout differs by itself."""
    torch.manual_seed(0)
    redraw_constants(trainer.state.networks.values())
    for network in trainer.state.networks.values():
        network.eval()
    return {
        term.name: torch.cat([gradient.flatten() for _, gradient in _gradients(trainer, [alone])])
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
