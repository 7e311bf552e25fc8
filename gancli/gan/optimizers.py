"""The optimisers in the package. Importing this module imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from gancli.plugin import Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from torch import Tensor

    Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]

__all__ = ["SGD", "Adam", "AdamW", "RMSprop"]

Betas = tuple[float, float]


class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015), with the fused kernels of torch."""

    api = 2
    summary = "Adam (Kingma & Ba, 2015)"

    betas: Betas | None = Field(None, description="decay rates of the two moments; none: train.betas and their schedule")
    eps: float = Field(1e-8, gt=0, le=1, description="added to the root of the second moment")

    def build(self, parameters: Parameters, learning_rate: float, betas: Betas) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""
        import torch

        made = torch.optim.Adam(parameters, lr=learning_rate, betas=self.betas or betas, eps=self.eps, fused=True)
        return _with_fixed_betas(made, self.betas)


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""

    api = 2
    summary = "Adam with decoupled weight decay (Loshchilov & Hutter, 2019)"

    betas: Betas | None = Field(None, description="decay rates of the two moments; none: train.betas and their schedule")
    eps: float = Field(1e-8, gt=0, le=1, description="added to the root of the second moment")
    weight_decay: float = Field(0.01, ge=0, le=1, description="decay of the weights, times the learning rate")

    def build(self, parameters: Parameters, learning_rate: float, betas: Betas) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""
        import torch

        made = torch.optim.AdamW(
            parameters,
            lr=learning_rate,
            betas=self.betas or betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            fused=True,
        )
        return _with_fixed_betas(made, self.betas)


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton, 2012), the optimiser of the original WGAN."""

    api = 2
    summary = "RMSprop (Tieleman & Hinton, 2012)"

    alpha: float = Field(0.99, ge=0, lt=1, description="decay rate of the mean square")
    eps: float = Field(1e-8, gt=0, le=1, description="added to the root of the mean square")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum")

    def build(self, parameters: Parameters, learning_rate: float, betas: Betas) -> torch.optim.Optimizer:  # noqa: ARG002  (no betas)
        """The optimiser of these parameters."""
        import torch

        return torch.optim.RMSprop(parameters, lr=learning_rate, alpha=self.alpha, eps=self.eps, momentum=self.momentum)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum."""

    api = 2
    summary = "Stochastic gradient descent"

    momentum: float = Field(0.0, ge=0, lt=1, description="momentum")
    nesterov: bool = Field(False, description="Nesterov's momentum")
    weight_decay: float = Field(0.0, ge=0, le=1, description="weight of half the squared norm of the weights in the loss")

    def build(self, parameters: Parameters, learning_rate: float, betas: Betas) -> torch.optim.Optimizer:  # noqa: ARG002  (no betas)
        """The optimiser of these parameters."""
        import torch

        return torch.optim.SGD(
            parameters,
            lr=learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=True,
        )


def _with_fixed_betas(optimizer: torch.optim.Optimizer, betas: Betas | None) -> torch.optim.Optimizer:
    for group in optimizer.param_groups:
        if betas is not None:
            group["fixed_betas"] = True
    return optimizer
