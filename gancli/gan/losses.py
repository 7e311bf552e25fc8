"""Adversarial losses, per sample, on logits; written as printed in their papers.

D(x) below is the discriminator's logit (no sigmoid), s the sigmoid, and softplus(t) = log(1 + e^t), so that
-log s(t) = softplus(-t) without the cancellation that log(sigmoid(t)) suffers from.

Importing this module imports no torch: a tensor brings its own methods, and softplus is fetched when first called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from gancli.plugin import Objective

if TYPE_CHECKING:
    from torch import Tensor


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), computed without overflow."""
    from torch.nn.functional import softplus as torch_softplus

    return torch_softplus(x)


class _WithR1(Objective):
    """With R1 at every eighth step by default (Mescheder et al., 2018), which these losses are unstable without."""

    r1_gamma: float = Field(0.3, ge=0, le=1e4, description="weight of R1, the squared gradient of D at real images; 0: off")
    penalty_interval_steps: int = Field(
        8, ge=1, le=1000, description="apply the penalties at every n-th step, n times as strong"
    )


class NonSaturating(_WithR1):
    """The non-saturating losses with one-sided label smoothing a (1: none).

    Goodfellow et al., 2014, "Generative Adversarial Nets", section 3; smoothing: Salimans et al., 2016, section 3.4.
    """

    api = 1
    summary = "Non-saturating logistic loss (Goodfellow et al., 2014), R1 by default (Mescheder et al., 2018)"
    probabilities = True

    real_label: float = Field(1.0, gt=0.5, le=1, description="target of real images; 0.9 is one-sided label smoothing")

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """-a log s(D(x)) - (1 - a) log(1 - s(D(x))) - log(1 - s(D(G(z))))."""
        return softplus(-real_logits) + (1 - self.real_label) * real_logits + softplus(fake_logits)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:  # noqa: ARG002  (not relativistic)
        """-log s(D(G(z)))."""
        return softplus(-fake_logits)


class Hinge(_WithR1):
    """The hinge loss (Lim & Ye, 2017, "Geometric GAN"; Miyato et al., 2018, "Spectral Normalization for GANs")."""

    api = 1
    summary = "Hinge loss (Lim & Ye, 2017)"

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """max(0, 1 - D(x)) + max(0, 1 + D(G(z)))."""
        return (1 - real_logits).relu() + (1 + fake_logits).relu()

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:  # noqa: ARG002  (not relativistic)
        """-D(G(z))."""
        return -fake_logits


class LeastSquares(_WithR1):
    """The least-squares loss with targets b = c = 1 for real and a = 0 for fake (Mao et al., 2017, equation 9)."""

    api = 1
    summary = "Least squares (Mao et al., 2017)"

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """1/2 (D(x) - 1)^2 + 1/2 D(G(z))^2."""
        return 0.5 * (real_logits - 1).square() + 0.5 * fake_logits.square()

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:  # noqa: ARG002  (not relativistic)
        """1/2 (D(G(z)) - 1)^2."""
        return 0.5 * (fake_logits - 1).square()


class Wasserstein(Objective):
    """The Wasserstein critic, kept about 1-Lipschitz by a gradient penalty or by weight clipping.

    WGAN-GP as published (Gulrajani et al., 2017, "Improved Training of Wasserstein GANs", algorithm 1) has
    ``train.discriminator_updates = 5``, ``train.learning_rate = 1e-4`` and ``train.betas = [0, 0.9]``. WGAN (Arjovsky et
    al., 2017, "Wasserstein GAN") has ``clip = 0.01``, ``gradient_penalty = 0``, ``train.optimizer = "rmsprop"``, five
    updates and a learning rate of 5e-5.
    """

    api = 1
    summary = "Wasserstein critic with gradient penalty (Gulrajani et al., 2017)"

    gradient_penalty: float = Field(10.0, ge=0, le=1e4, description="weight lambda of the WGAN-GP penalty")
    clip: float = Field(0.0, ge=0, le=100, description="clamp D's weights to [-clip, clip] after each of its updates; 0: off")

    @property
    def weight_clip(self) -> float:
        """The option ``clip``."""
        return self.clip

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """D(G(z)) - D(x)."""
        return fake_logits - real_logits

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:  # noqa: ARG002  (not relativistic)
        """-D(G(z))."""
        return -fake_logits


class Relativistic(Objective):
    """Relativistic pairing: D compares a real with a generated image, with R1 and R2 at every step.

    Jolicoeur-Martineau, 2018, "The relativistic discriminator"; Huang et al., 2024, "The GAN is dead; long live the GAN!".
    """

    api = 1
    summary = "Relativistic pairing with R1 and R2 (R3GAN, Huang et al., 2024)"

    r1_gamma: float = Field(1.0, ge=0, le=1e4, description="weight of R1, the squared gradient of D at real images; 0: off")
    r2_gamma: float = Field(1.0, ge=0, le=1e4, description="weight of R2, the squared gradient of D at fake images; 0: off")

    @property
    def generator_sees_real(self) -> bool:
        """True: generated images are compared with the real ones of the step."""
        return True

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """-log s(D(x) - D(G(z)))."""
        return softplus(fake_logits - real_logits)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """-log s(D(G(z)) - D(x))."""
        return softplus(real_logits - fake_logits)
