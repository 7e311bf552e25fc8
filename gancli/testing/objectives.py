"""Checks of an objective: two formulas per sample, finite, that pull the right way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gancli.gan.algorithm import gradient_penalties
from gancli.gan.context import Context
from gancli.plugin import ArchConfig, Objective, Penalty
from gancli.plugins.registry import OBJECTIVES
from gancli.testing.checks import Check, fail
from gancli.testing.description import IDENTITY, OPTIONS, PREFERENCES
from gancli.testing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OBJECTIVE_CHECKS", "ObjectiveSubject"]

_N = 6
_NEAR, _FAR = 0.1, 1e4
"""Logits of a young and of a hopelessly winning discriminator."""


class ObjectiveSubject(Subject[Objective]):
    """An objective."""

    registry = OBJECTIVES
    section = "objective"

    @property
    def options_model(self) -> type[ArchConfig]:
        """The objective itself: its fields are its options."""
        return self.plugin

    @property
    def losses(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        """Both formulas, as functions of (real, fake) logits."""
        objective: Objective = self.config
        return {
            "discriminator_loss": objective.discriminator_loss,
            "generator_loss": lambda real, fake: objective.generator_loss(fake, real),
        }


def _logits(scale: float) -> tuple[Tensor, Tensor]:
    real, fake = (scale * torch.randn(_N) for _ in range(2))
    return real.requires_grad_(), fake.requires_grad_()


def _are_per_sample(subject: ObjectiveSubject) -> None:
    for name, formula in subject.losses.items():
        real, fake = _logits(_NEAR)
        loss = formula(real, fake)
        if not isinstance(loss, Tensor) or loss.shape != (_N,):
            shown = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise fail(f"{name} turns {_N} logits into {shown}, not ({_N},).")
        for logits in (real, fake):
            (gradient,) = torch.autograd.grad(loss[0], logits, retain_graph=True, allow_unused=True)
            if gradient is not None and gradient[1:].any():
                raise fail(f"In {name} the loss of one sample depends on the logits of others.")


def _are_finite(subject: ObjectiveSubject) -> None:
    for name, formula in subject.losses.items():
        for scale in (_NEAR, 1.0, _FAR):
            real, fake = _logits(scale)
            loss = formula(real, fake).sum()
            gradients = torch.autograd.grad(loss, [real, fake], allow_unused=True)
            if not all(value.isfinite().all() for value in (loss, *(g for g in gradients if g is not None))):
                raise fail(f"{name} or its gradient is not finite for logits of about {scale:g}.")


def _pull_the_right_way(subject: ObjectiveSubject) -> None:
    """L_D falls with real logits and rises with fake ones, and L_G falls with fake ones, where D cannot tell them apart.

    Looked at around 1/2, which lies between the targets of every loss in use (0 and 1, -1 and 1, or none at all).
    """
    expected = {("discriminator_loss", 0): -1, ("discriminator_loss", 1): 1, ("generator_loss", 1): -1}
    for (name, index), sign in expected.items():
        logits = tuple((0.5 + _NEAR * torch.rand(_N)).requires_grad_() for _ in range(2))
        (gradient,) = torch.autograd.grad(subject.losses[name](*logits).sum(), logits[index], allow_unused=True)
        if gradient is None or not (sign * gradient > 0).all():
            kind, verb = ("real", "fake")[index], "rise" if sign > 0 else "fall"
            raise fail(f"{name} does not {verb} when {kind} logits rise.")


def _says_whether_it_sees_real(subject: ObjectiveSubject) -> None:
    real, fake = _logits(1.0)
    (gradient,) = torch.autograd.grad(subject.losses["generator_loss"](real, fake).sum(), real, allow_unused=True)
    sees, says = gradient is not None and bool(gradient.any()), subject.config.generator_sees_real
    if sees != says:
        raise fail(f"generator_sees_real is {says}, and generator_loss {'reads' if sees else 'does not read'} the real logits.")


def _is_deterministic(subject: ObjectiveSubject) -> None:
    for name, formula in subject.losses.items():
        logits = _logits(1.0)
        if not torch.equal(formula(*logits), formula(*logits)):
            raise fail(f"{name} of the same logits is another number the second time.")


def _penalties_fit(subject: ObjectiveSubject) -> None:
    if strange := [each for each in subject.config.penalties() if not isinstance(each, Penalty)]:
        raise fail(f"penalties() holds {type(strange[0]).__name__}, not gancli.plugin.Penalty.")
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Softplus(), nn.Linear(8, 1), nn.Flatten(0))
    for term in gradient_penalties(subject.config):
        real, fake = (torch.rand(_N, 3, 2, 2).requires_grad_() for _ in range(2))
        context = Context(
            {"discriminator": network},
            lambda _z, fake=fake: fake.detach(),
            network,
            ("discriminator",),
            real,
            real,
            (),
            second_order=True,
            joint=False,
        )
        value = term.value(context)
        if value.shape != (_N,) or not value.isfinite().all():
            raise fail(f"The penalty '{term.name}' of {_N} images is {value.dtype} {tuple(value.shape)}, or not finite.")
        gradients = torch.autograd.grad(value.sum(), list(network.parameters()), allow_unused=True)
        if all(gradient is None or not gradient.any() for gradient in gradients):
            raise fail(f"The penalty '{term.name}' has no gradient in the discriminator.")


OBJECTIVE_CHECKS: tuple[Check[ObjectiveSubject], ...] = (
    *IDENTITY,
    *OPTIONS,
    *PREFERENCES,
    Check(
        "per-sample",
        "Both losses are (n,), each of its own sample's logits",
        "The mean over a batch is the trainer's; a formula that mixes samples changes with the batch and with processes.",
        "Return the formula itself, without mean() or sum().",
        _are_per_sample,
        ("options-round-trip",),
    ),
    Check(
        "finite",
        "Losses and gradients are finite, however sure the discriminator is",
        "A single infinity ends the training with exit code 7.",
        "Write softplus(-x) for -log(sigmoid(x)).",
        _are_finite,
        ("per-sample",),
    ),
    Check(
        "signs",
        "The discriminator is pulled apart from real and fake, the generator towards real",
        "With a sign turned round both players lose, and training looks as if it worked.",
        "Both methods return what is minimised.",
        _pull_the_right_way,
        ("finite",),
    ),
    Check(
        "sees-real",
        "generator_sees_real says whether generator_loss reads the real logits",
        "Unless it says so the real logits are zeros; and if it says so for nothing, each step has a pass too many.",
        "Define the property generator_sees_real, returning True, if the formula contains real_logits.",
        _says_whether_it_sees_real,
        ("per-sample",),
    ),
    Check(
        "deterministic",
        "The same logits give the same losses",
        "A resumed run would not end in the same bits.",
        "Draw nothing at random in a loss.",
        _is_deterministic,
        ("per-sample",),
    ),
    Check(
        "penalties",
        "Each penalty is (n,), finite, and has a gradient in the discriminator",
        "A penalty of the wrong shape is averaged wrongly; one without a gradient does nothing.",
        "Take gradients with create_graph=True, and norms per sample with torch.linalg.vector_norm.",
        _penalties_fit,
        ("options-round-trip",),
    ),
)
"""Every check of an objective; each comes after those that it needs."""
