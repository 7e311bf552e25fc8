"""What is minimised: algorithm 1 of Goodfellow et al., 2014, "Generative Adversarial Nets".

    for k updates:    theta_D <- theta_D - lr grad mean L_D(D(x), D(G(z))) + penalties
    once:             theta_G <- theta_G - lr grad mean L_G(D(G(z))),  on fresh z

L_D and L_G are the objective's formulas, D(x) is a logit. How it is minimised is in :mod:`.trainer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gancli.plugin import LossTerm, Objective, Penalty, StepContext, Update

if TYPE_CHECKING:
    from collections.abc import Mapping


def goodfellow_2014(objective: Objective, discriminator_updates: int = 1) -> tuple[Update, Update]:
    """The update of D, ``discriminator_updates`` times per step, and the update of G."""

    def d_loss(s: StepContext) -> Tensor:
        return objective.discriminator_loss(s.real_logits, s.fake_logits)

    def g_loss(s: StepContext) -> Tensor:
        fake_logits = s.fake_logits
        real_logits = s.real_logits if objective.generator_sees_real else torch.zeros_like(fake_logits)
        return objective.generator_loss(fake_logits, real_logits)

    def clip_weights(networks: Mapping[str, nn.Module]) -> None:
        for weight in networks["discriminator"].parameters():
            weight.data.clamp_(-objective.weight_clip, objective.weight_clip)

    return (
        Update(
            ("discriminator",),
            (LossTerm("d_loss", d_loss), *gradient_penalties(objective)),
            repeats=discriminator_updates,
            after=clip_weights if objective.weight_clip else None,
        ),
        Update(("generator",), (LossTerm("g_loss", g_loss),)),
    )


def gradient_penalties(objective: Objective) -> tuple[LossTerm, ...]:
    """The penalties of D that the objective's fields switch on, and those of its own."""
    fields = (("r1", r1, objective.r1_gamma), ("r2", r2, objective.r2_gamma))
    known = [*fields, ("gp", gradient_penalty, objective.gradient_penalty)]
    every = objective.penalty_interval_steps
    terms = [LossTerm(name, value, weight, every, second_order=True) for name, value, weight in known if weight]
    for penalty in objective.penalties():

        def value(s: StepContext, penalty: Penalty = penalty) -> Tensor:
            return penalty.value(s.discriminate, s.real, s.real_logits, s.fake, s.fake_logits)

        terms.append(LossTerm(penalty.name, value, penalty.weight, every, second_order=True))
    return tuple(terms)


def r1(s: StepContext) -> Tensor:
    """1/2 |grad D(x)|^2 at real images, ``(n,)`` (Mescheder et al., 2018, equation 9)."""
    return 0.5 * _gradients(s.real_logits, s.real).square().sum(1)


def r2(s: StepContext) -> Tensor:
    """1/2 |grad D(G(z))|^2 at generated images, ``(n,)`` (Mescheder et al., 2018, equation 10)."""
    return 0.5 * _gradients(s.fake_logits, s.fake).square().sum(1)


def gradient_penalty(s: StepContext) -> Tensor:
    """(|grad D(x^)| - 1)^2 at x^ = e x + (1 - e) G(z), e ~ U(0, 1) (Gulrajani et al., 2017, algorithm 1)."""
    blend = torch.rand(len(s.real), 1, 1, 1, device=s.real.device)
    between = torch.lerp(s.fake.detach(), s.real.detach(), blend).requires_grad_()
    norm: Tensor = torch.linalg.vector_norm(_gradients(s.discriminate(between), between), dim=1)
    return (norm - 1).square()


def _gradients(logits: Tensor, images: Tensor) -> Tensor:
    """D D(x_i) / d x_i of every image, flattened, float32; right as long as no layer of D mixes images."""
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.flatten(1).float()
