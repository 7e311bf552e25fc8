"""The optimisers in the package. Importing this module imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gancli.plugin import Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from torch import Tensor

    Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]

Betas = tuple[float, float]


class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015), with the fused kernels of torch."""

    api = 2
    summary = "Adam (Kingma & Ba, 2015)"
    torch_name: ClassVar[str] = "Adam"

    betas: Betas | None = Field(None, description="decay rates of the two moments; none: train.betas and their schedule")
    eps: float = Field(1e-8, gt=0, le=1, description="added to the root of the second moment")

    def build(self, parameters: Parameters, learning_rate: float, betas: Betas) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""
        import torch

        own = {name: value for name, value in self if name != "betas"}
        kind: type[torch.optim.Optimizer] = getattr(torch.optim, self.torch_name)
        made = kind(parameters, lr=learning_rate, betas=self.betas or betas, fused=True, **own)  # type: ignore[call-arg]
        for group in made.param_groups:
            group["fixed_betas"] = self.betas is not None
        return made


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""

    summary = "Adam with decoupled weight decay (Loshchilov & Hutter, 2019)"
    torch_name = "AdamW"

    weight_decay: float = Field(0.01, ge=0, le=1, description="decay of the weights, times the learning rate")


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

        return torch.optim.RMSprop(parameters, lr=learning_rate, **dict(self))


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

        return torch.optim.SGD(parameters, lr=learning_rate, fused=True, **dict(self))
