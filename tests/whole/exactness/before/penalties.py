"""Gradient penalties of the discriminator, per sample, in float32.

Each has the signature of :attr:`gancli.plugin.Penalty.value`. R1 and R2 reuse the logits of the step's own forward pass;
the gradient of their sum with respect to the images gives every sample's own gradient, as long as no layer of D mixes
samples (batch normalisation does).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gancli.plugin import Penalty

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from gancli.plugin import Objective

    Critic = Callable[[Tensor], Tensor]

__all__ = ["gradient_norm_penalty", "penalties_of", "r1", "r2"]


def _sample_gradients(logits: Tensor, images: Tensor) -> Tensor:
    """Gradient d D(x_i) / d x_i for every sample i, flattened: ``(n, c h w)``, float32, differentiable."""
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.flatten(1).float()


def r1(critic: Critic, real: Tensor, real_logits: Tensor, fake: Tensor, fake_logits: Tensor) -> Tensor:  # noqa: ARG001
    """1/2 |grad D(x)|^2 at real images (Mescheder et al., 2018, equation 9)."""
    return 0.5 * _sample_gradients(real_logits, real).square().sum(1)


def r2(critic: Critic, real: Tensor, real_logits: Tensor, fake: Tensor, fake_logits: Tensor) -> Tensor:  # noqa: ARG001
    """1/2 |grad D(G(z))|^2 at fake images (Mescheder et al., 2018, equation 10)."""
    return 0.5 * _sample_gradients(fake_logits, fake).square().sum(1)


def gradient_norm_penalty(
    critic: Critic,
    real: Tensor,
    real_logits: Tensor,  # noqa: ARG001  (the penalty is taken elsewhere: it needs a pass of its own)
    fake: Tensor,
    fake_logits: Tensor,  # noqa: ARG001
) -> Tensor:
    """(|grad D(x^)| - 1)^2 at x^ = e x + (1 - e) G(z), e ~ U(0, 1) per sample (Gulrajani et al., 2017, algorithm 1)."""
    blend = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = torch.lerp(fake.detach(), real.detach(), blend).requires_grad_()
    gradients = _sample_gradients(critic(between), between)
    excess: Tensor = torch.linalg.vector_norm(gradients, dim=1) - 1
    return excess.square()


def penalties_of(objective: Objective) -> tuple[Penalty, ...]:
    """The regularisers that an objective's fields switch on, and those of its own."""
    known = (
        Penalty("r1", r1, objective.r1_gamma),
        Penalty("r2", r2, objective.r2_gamma),
        Penalty("gp", gradient_norm_penalty, objective.gradient_penalty),
    )
    return (*(penalty for penalty in known if penalty.weight), *objective.penalties())
