"""Checks of an objective: two formulas per logit, finite, that pull the right way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gancli.gan.algorithm import gradient_penalties
from gancli.gan.context import Context
from gancli.plugin import Objective, Penalty
from gancli.plugins.registry import OBJECTIVES
from gancli_kit.checks import Check, Rules, fail
from gancli_kit.description import IDENTITY, LOADING, OPTIONS, PREFERENCES
from gancli_kit.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

_N = 6
_NEAR, _FAR = 0.1, 1e4
"""Logits of a young and of a hopelessly winning discriminator."""


class ObjectiveSubject(Subject[Objective]):
    """An objective, which is its own options model."""

    registry = OBJECTIVES
    section = "objective"

    @property
    def losses(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        """Both formulas, as functions of (real, fake) logits."""
        objective: Objective = self.config
        return {
            "discriminator_loss": objective.discriminator_loss,
            "generator_loss": lambda real, fake: objective.generator_loss(fake, real),
        }


RULES = Rules()


def _logits(scale: float) -> tuple[Tensor, Tensor]:
    real, fake = (scale * torch.randn(_N) for _ in range(2))
    return real.requires_grad_(), fake.requires_grad_()


@RULES.check(needs="options-round-trip")
def per_sample(subject: ObjectiveSubject) -> None:
    """Both losses have the shape of the logits, (n,) or (n, k), and each belongs to its own logit
    Why: The mean over a batch is the trainer's; a formula that mixes samples changes with the batch and with processes.
    Fix: Return the formula itself, without mean() or sum().
    """
    for name, formula in subject.losses.items():
        for shape in ((_N,), (_N, 2)):
            real, fake = (logits.expand(2, -1).T if shape[1:] else logits for logits in _logits(_NEAR))
            loss = formula(real, fake)
            if not isinstance(loss, Tensor) or loss.shape != shape:
                shown = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
                raise fail(f"{name} turns logits {shape} into {shown}.")
            for logits in (real, fake):
                (gradient,) = torch.autograd.grad(loss[0].sum(), logits, retain_graph=True, allow_unused=True)
                if gradient is not None and gradient[1:].any():
                    raise fail(f"In {name} the loss of one sample depends on the logits of others.")


@RULES.check(needs="per-sample")
def finite(subject: ObjectiveSubject) -> None:
    """Losses and gradients are finite, however sure the discriminator is
    Why: A single infinity ends the training with exit code 7.
    Fix: Write softplus(-x) for -log(sigmoid(x)).
    """
    for name, formula in subject.losses.items():
        for scale in (_NEAR, 1.0, _FAR):
            real, fake = _logits(scale)
            loss = formula(real, fake).sum()
            gradients = torch.autograd.grad(loss, [real, fake], allow_unused=True)
            if not all(value.isfinite().all() for value in (loss, *gradients) if value is not None):
                raise fail(f"{name} or its gradient is not finite for logits of about {scale:g}.")


@RULES.check(needs="finite")
def signs(subject: ObjectiveSubject) -> None:
    """The discriminator tells real from fake, and the generator's loss falls as its images look real
    Why: With a wrong sign both networks train against the game, and training looks as if it worked.
    Fix: Both methods return what is minimised.
    """
    expected = {("discriminator_loss", 0): -1, ("discriminator_loss", 1): 1, ("generator_loss", 1): -1}
    for (name, index), sign in expected.items():
        # around 1/2, which lies between the targets of every loss in use: 0 and 1, -1 and 1, or none at all
        logits = tuple((0.5 + _NEAR * torch.rand(_N)).requires_grad_() for _ in range(2))
        (gradient,) = torch.autograd.grad(subject.losses[name](*logits).sum(), logits[index], allow_unused=True)
        if gradient is None or not (sign * gradient > 0).all():
            kind, verb = ("real", "fake")[index], "rise" if sign > 0 else "fall"
            raise fail(f"{name} does not {verb} when {kind} logits rise.")


@RULES.check(needs="per-sample")
def sees_real(subject: ObjectiveSubject) -> None:
    """generator_sees_real says whether generator_loss reads the real logits
    Why: Unless it says so the real logits are zeros; and if it says so for nothing, each step has a pass too many.
    Fix: Define the property generator_sees_real, returning True, if the formula contains real_logits.
    """
    real, fake = _logits(1.0)
    loss = subject.losses["generator_loss"](real, fake).sum()
    (gradient,) = torch.autograd.grad(loss, real, allow_unused=True)
    sees, says = gradient is not None and bool(gradient.any()), subject.config.generator_sees_real
    if sees != says:
        reads = "reads" if sees else "does not read"
        raise fail(f"generator_sees_real is {says}, and generator_loss {reads} the real logits.")


@RULES.check(needs="per-sample")
def deterministic(subject: ObjectiveSubject) -> None:
    """The same logits give the same losses
    Why: A resumed run would not end in the same bits.
    Fix: Use no random numbers in a loss.
    """
    for name, formula in subject.losses.items():
        logits = _logits(1.0)
        if not torch.equal(formula(*logits), formula(*logits)):
            raise fail(f"{name} of the same logits is another number the second time.")


@RULES.check(needs="options-round-trip")
def penalties(subject: ObjectiveSubject) -> None:
    """Each penalty is (n,), finite, and has a gradient in the discriminator
    Why: A penalty of the wrong shape is averaged wrongly; one without a gradient does nothing.
    Fix: Take gradients with create_graph=True, and norms per sample with torch.linalg.vector_norm.
    """
    if strange := [each for each in subject.config.penalties() if not isinstance(each, Penalty)]:
        raise fail(f"penalties() holds {type(strange[0]).__name__}, not gancli.plugin.Penalty.")
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Softplus(), nn.Linear(8, 1), nn.Flatten(0))
    for term in gradient_penalties(subject.config):
        context = Context(
            networks={"discriminator": network},
            generate=lambda _: torch.rand(_N, 3, 2, 2),
            judge=network,
            trained=("discriminator",),
            real=torch.rand(_N, 3, 2, 2).requires_grad_(),
            z=torch.randn(_N, 1),
            conditions=(),
            second_order=True,
            joint=False,
        )
        value = term.value(context)
        if value.shape != (_N,) or not value.isfinite().all():
            raise fail(f"The penalty '{term.name}' of {_N} images is {value.dtype} {tuple(value.shape)}, or not finite.")
        gradients = torch.autograd.grad(value.sum(), list(network.parameters()), allow_unused=True)
        if all(gradient is None or not gradient.any() for gradient in gradients):
            raise fail(f"The penalty '{term.name}' has no gradient in the discriminator.")


OBJECTIVE_CHECKS: tuple[Check, ...] = (*LOADING, *IDENTITY, *OPTIONS, *PREFERENCES, *RULES)
"""Every check of an objective; each comes after those that it needs."""
