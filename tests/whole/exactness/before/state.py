"""Everything that changes while training, in one place and by name.

A player is a network and its optimiser; the two sides of the game are equal objects, and a game with more players needs
no other format. The state turns into named tensors and counters and back; what they are stored in is not its business.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gancli.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

__all__ = ["Average", "Best", "Meter", "Player", "TrainingState"]


_AUGMENTATION = "augmentation/"


@dataclass
class Player:
    """One side of the game: called as its network is, in compiled form where it has one.

    Attributes:
        network: what learns.
        optimizer: what moves its weights.
        compiled: computes what ``network`` computes, faster; without second derivatives.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    compiled: Callable[..., Tensor] | None = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """What the network makes of the inputs."""
        compute = self.network if self.compiled is None else self.compiled
        result: Tensor = compute(*inputs)
        return result

    def set_rates(self, learning_rate: float, betas: tuple[float, float]) -> None:
        """Adam's step size and decay rates, for the next update."""
        for group in self.optimizer.param_groups:
            group.update(lr=learning_rate, betas=betas)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within the block gradients flow through the network, not into what it learns."""
        learnt = [weight for group in self.optimizer.param_groups for weight in group["params"] if weight.requires_grad]
        for weight in learnt:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in learnt:
                weight.requires_grad_(True)


class Average:
    """Exponential moving average of a network's weights; its buffers are copied.

    Args:
        source: the network that is followed; it is copied now.
    """

    def __init__(self, source: nn.Module) -> None:
        self._network = copy.deepcopy(source).requires_grad_(False).eval()
        self._source: nn.Module | None = None

    @property
    def network(self) -> nn.Module:
        """The average. Without averaging (a decay of 0) it is copied when somebody asks for it, between two steps."""
        if self._source is not None:
            source, self._source = self._source, None
            self._move(source, 0)
        return self._network

    def update(self, source: nn.Module, decay: float) -> None:
        """Move by one step: w <- decay w + (1 - decay) source."""
        if decay:
            self._move(source, decay)
        else:
            self._source = source

    @torch.no_grad()
    def _move(self, source: nn.Module, decay: float) -> None:
        move = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        move(list(self._network.parameters()), list(source.parameters()), 0)
        for mine, theirs in zip(self._network.buffers(), source.buffers(), strict=True):
            mine.copy_(theirs)


@dataclass
class Meter:
    """Running means, kept on the device so that nothing waits for it.

    Attributes:
        sums: sum of each metric since the last reset, a 0-dimensional tensor.
        counts: how many values went into each sum.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take in one value per metric."""
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Mean of each metric since the last reset. Waits for the device."""
        if not self.sums:
            return {}
        values = torch.stack(list(self.sums.values())).tolist()
        return {name: value / self.counts[name] for name, value in zip(self.sums, values, strict=True)}

    def reset(self) -> None:
        """Forget everything."""
        self.sums.clear()
        self.counts.clear()


@dataclass(frozen=True, slots=True)
class Best:
    """The step at which the averaged generator was best, by which figure (smaller is better), and its value there."""

    step: int
    figure: str
    value: float


@dataclass
class TrainingState:
    """The whole state of a training.

    Attributes:
        players: ``generator`` and ``discriminator``.
        average: the averaged generator.
        meters: running means, ``interval`` (since the last metrics row) and ``epoch``.
        step: steps done.
        images_seen: real images seen.
        alarms: names of the alarms that were raised, so that each is raised once.
        augmentation: its strength and what that depends on; empty without augmentation.
        best: when the averaged generator was best so far, if that was measured.
        elapsed_seconds: training time over all sessions; no part of what is reproduced.
    """

    players: dict[str, Player]
    average: Average
    meters: dict[str, Meter] = field(default_factory=lambda: {"interval": Meter(), "epoch": Meter()})
    step: int = 0
    images_seen: int = 0
    alarms: list[str] = field(default_factory=list)
    augmentation: dict[str, Tensor] = field(default_factory=dict)
    best: Best | None = None
    elapsed_seconds: float = 0.0

    def networks(self) -> dict[str, nn.Module]:
        """Every network by name, the averaged generator as ``ema``."""
        return {**{name: player.network for name, player in self.players.items()}, "ema": self.average.network}

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Every tensor, by group (the networks' names, ``optim`` and ``meters``) and name."""
        groups = {name: dict(network.state_dict()) for name, network in self.networks().items()}
        groups["optim"] = dict(self._moments())
        groups["meters"] = {f"{m}/{name}": value for m, meter in self.meters.items() for name, value in meter.sums.items()}
        groups["meters"] |= {f"{_AUGMENTATION}{name}": value for name, value in self.augmentation.items()}
        return groups

    def counters(self) -> dict[str, Any]:
        """Everything that is not a tensor, as JSON."""
        return {
            "step": self.step,
            "images_seen": self.images_seen,
            "alarms": list(self.alarms),
            "best": None if self.best is None else asdict(self.best),
            "meter_counts": {name: dict(meter.counts) for name, meter in self.meters.items()},
        }

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], counters: Mapping[str, Any]) -> None:
        """The inverse of :meth:`tensors` and :meth:`counters`.

        Raises:
            CheckpointError: names or shapes are not those of this model; the state is then unusable.
        """
        for name, network in self.networks().items():
            load_strictly(network, tensors[name], name)
        for name, player in self.players.items():
            self._restore_moments(name, player, tensors["optim"])
        device = next(self.average.network.parameters()).device
        for name, meter in self.meters.items():
            prefix = f"{name}/"
            sums = {key.removeprefix(prefix): value for key, value in tensors["meters"].items() if key.startswith(prefix)}
            counts = counters["meter_counts"][name]
            meter.sums = {key: sums[key].to(device) for key in counts}
            meter.counts = dict(counts)
        for name, value in self.augmentation.items():
            value.copy_(tensors["meters"][f"{_AUGMENTATION}{name}"])
        self.step = counters["step"]
        self.images_seen = counters["images_seen"]
        self.alarms = list(counters["alarms"])
        best = counters.get("best")
        self.best = Best(**best) if best else None

    def consider(self, figure: str, value: float) -> None:
        """Take this very step for the best one, if by the same figure no earlier one was as good."""
        if self.best is None or self.best.figure != figure or value < self.best.value:
            self.best = Best(self.step, figure, value)

    def non_finite(self) -> str | None:
        """``group/name`` of the first tensor that holds a NaN or an infinity, or None."""
        for group, tensors in self.tensors().items():
            for name, tensor in tensors.items():
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    return f"{group}/{name}"
        return None

    def _moments(self) -> Iterator[tuple[str, Tensor]]:
        for player_name, player in self.players.items():
            for name, parameter in player.network.named_parameters():
                for slot, value in player.optimizer.state.get(parameter, {}).items():
                    yield f"{player_name}/{name}/{slot}", value

    def _restore_moments(self, player_name: str, player: Player, moments: Mapping[str, Tensor]) -> None:
        parameters = dict(player.network.named_parameters())
        index_of = {name: index for index, name in enumerate(parameters)}
        state: dict[int, dict[str, Tensor]] = {index: {} for index in index_of.values()}
        for key, value in moments.items():
            owner, _, rest = key.partition("/")
            name, _, slot = rest.rpartition("/")
            if owner == player_name:
                if name not in index_of:
                    raise CheckpointError(f"The optimiser's '{key}' belongs to no parameter of this model.", _FOREIGN)
                state[index_of[name]][slot] = _laid_out_like(parameters[name], value)
        groups = player.optimizer.state_dict()["param_groups"]
        kept = {index: slots for index, slots in state.items() if slots}
        player.optimizer.load_state_dict({"state": kept, "param_groups": groups})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy of ``value``; fused optimisers take the order in memory to be that of the parameter (channels last, say)."""
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value) if value.shape == parameter.shape else value.clone()


_FOREIGN = "The checkpoint belongs to another model; give the configuration that it was made with."


def load_strictly(network: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Copy ``tensors`` into ``network``, whose names, shapes and types must be exactly these.

    Raises:
        CheckpointError: they are not; names up to five differences.
    """
    own = network.state_dict()
    wrong = [f"{key} is missing" for key in own.keys() - tensors.keys()]
    wrong += [f"{key} is unknown" for key in tensors.keys() - own.keys()]
    for key in own.keys() & tensors.keys():
        here, there = own[key], tensors[key]
        if (here.shape, here.dtype) != (there.shape, there.dtype):
            wrong.append(f"{key} is {there.dtype} {tuple(there.shape)}, not {here.dtype} {tuple(here.shape)}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise CheckpointError(f"The {what} does not fit: {'; '.join(sorted(wrong)[:5])}{more}.", _FOREIGN)
    network.load_state_dict(dict(tensors))
