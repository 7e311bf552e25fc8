"""Everything that changes while training, in one place and by name, and the files of a checkpoint that hold it.

==========================  ===========================================================
generator.safetensors       weights and buffers of the generator
discriminator.safetensors   of the discriminator
ema.safetensors             of the EMA of the generator: alone, it is the shareable model
optim.safetensors           the optimisers' moments, by network and parameter name
meters.safetensors          running means since the last row of metrics
state.json                  step, images seen, alarms
==========================  ===========================================================

No random generator's state is among them: randomness is addressed, not consumed (:mod:`gancli.randomness.seeds`).
"""

from __future__ import annotations

import copy
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gancli.errors import CheckpointError
from gancli.storage.strict_json import parse_object
from gancli.storage.tensors import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping


_NUMBERS: dict[str, type[int | float]] = {"int": int, "float": float}
_FOREIGN = "The checkpoint belongs to another model; give the configuration that it was made with."


@dataclass
class Trained:
    """A network that is trained, and its optimiser; ``compiled`` computes the same faster, without second derivatives."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    compiled: Callable[..., Tensor] | None = None

    def set_rates(self, learning_rate: float, betas: tuple[float, float]) -> None:
        """Learning rate and, for optimisers of Adam's kind, betas of the next update."""
        for group in self.optimizer.param_groups:
            rate = learning_rate * group.get("lr_scale", 1.0)
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
            if "betas" in group and not group.get("fixed_betas"):
                group["betas"] = betas

    def set_capturable(self, device: torch.device | None) -> None:
        """Let the optimiser read its learning rate from that device, as in a captured step it has to; None: from the host."""
        for group in self.optimizer.param_groups:
            rate = float(group["lr"])
            group["lr"] = rate if device is None else torch.full((), rate, device=device)
            if "capturable" in group:
                group["capturable"] = device is not None

    def learnt(self) -> list[Tensor]:
        """The weights that the optimiser moves; what an architecture has frozen for good is not among them."""
        return [weight for group in self.optimizer.param_groups for weight in group["params"] if weight.requires_grad]

    def moments(self) -> Iterator[tuple[str, Tensor]]:
        """State of the optimiser by ``parameter/slot``; a number's slot says so: ``count:int``."""
        for name, parameter in self.network.named_parameters():
            for slot, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, torch.Tensor):
                    yield f"{name}/{slot}", value
                elif type(value).__name__ in _NUMBERS:
                    yield f"{name}/{slot}:{type(value).__name__}", torch.tensor(value, dtype=torch.float64)
                elif value is not None:
                    raise CheckpointError(
                        f"The optimiser {type(self.optimizer).__name__} keeps '{slot}' as {type(value).__name__}, "
                        "which no checkpoint holds.",
                        "Choose another train.optimizer; its author has to keep state in tensors and numbers.",
                    )

    def restore_moments(self, moments: Mapping[str, Tensor], network: str) -> None:
        """The inverse of :meth:`moments`, in the layout of their parameter in memory, on which fused optimisers rely.

        ``network`` is the name in messages. Not ``load_state_dict``, which changes types.
        """
        parameters = dict(self.network.named_parameters())
        group_of = {parameter: group for group in self.optimizer.param_groups for parameter in group["params"]}
        self.optimizer.state.clear()
        for key, value in moments.items():
            name, _, slot = key.rpartition("/")
            parameter = parameters.get(name)
            if parameter is None or parameter not in group_of:
                raise CheckpointError(f"The optimiser's '{network}/{key}' belongs to no parameter of this model.", _FOREIGN)
            slot, _, number = slot.partition(":")
            group, stored = group_of[parameter], self.optimizer.state[parameter]
            if number:
                stored[slot] = _NUMBERS[number](value.item())
            elif value.shape == parameter.shape:
                stored[slot] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
            else:  # torch keeps the counter of steps on the CPU, but for kernels that want it
                anywhere = slot != "step" or group.get("fused") or group.get("capturable")
                stored[slot] = value.to(parameter.device if anywhere else "cpu", copy=True)


class Average:
    """EMA of a network's weights: w <- w + weight (source - w), where weight = 1 - decay. Its buffers are copied."""

    def __init__(self, source: nn.Module) -> None:
        self.network = copy.deepcopy(source).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, source: nn.Module, weight: float | Tensor) -> None:
        """One step of the average; a weight of 1 copies the source."""
        weights: list[Tensor] = list(self.network.parameters())
        sources: list[Tensor] = list(source.parameters())
        if isinstance(weight, torch.Tensor):
            torch._foreach_lerp_(weights, sources, [weight] * len(weights))
        else:
            torch._foreach_lerp_(weights, sources, weight)
        for mine, theirs in zip(self.network.buffers(), source.buffers(), strict=True):
            mine.copy_(theirs)


@dataclass
class Meter:
    """Running means: ``sums``, 0-dimensional tensors on the device, so that nothing waits for it, and how many are in each."""

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
    """The step at which the EMA of the generator was best, by which metric (smaller is better), and its value there."""

    step: int
    figure: str
    value: float


@dataclass
class TrainingState:
    """The whole state of a training."""

    trained: dict[str, Trained]
    averages: dict[str, Average]  # the EMA of each network that generates images, by that network's name
    frozen: dict[str, nn.Module] = field(default_factory=dict)  # networks that are never trained, by name
    # running means, since the last metrics row and since the last epoch
    meters: dict[str, Meter] = field(default_factory=lambda: {"interval": Meter(), "epoch": Meter()})
    step: int = 0
    images_seen: int = 0
    alarms: list[str] = field(default_factory=list)  # names of the alarms that were raised, so that each is raised once
    diversities: list[tuple[int, float]] = field(default_factory=list)  # (step, value) of those that the next is compared with
    augmentation: dict[str, Tensor] = field(default_factory=dict)  # its strength and what that depends on; empty without it
    best: Best | None = None
    elapsed_seconds: float = 0.0  # training time over all sessions; no part of what is reproduced
    schedule_seconds: float = 0.0  # the same as the schedule sees it, see gancli.training.plan.Clock
    restored: int = 0  # how often tensors were replaced by stored ones: what holds on to their places is then out of date

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Every network by name, the trained and the frozen ones."""
        return {**{name: trained.network for name, trained in self.trained.items()}, **self.frozen}

    @property
    def ema(self) -> nn.Module:
        """The EMA of the generator."""
        return self.averages["generator"].network

    def forward(self, name: str) -> Callable[..., Tensor]:
        """What computes a network's forward pass: its compiled form, where it has one."""
        compiled = self.trained[name].compiled if name in self.trained else None
        return self.networks[name] if compiled is None else compiled

    @contextmanager
    def only_training(self, names: Collection[str]) -> Iterator[None]:
        """Within the block gradients flow through all other networks, but not into their weights."""
        others = [trained for name, trained in self.trained.items() if name not in names]
        weights = [weight for trained in others for weight in trained.learnt()]
        for weight in weights:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in weights:
                weight.requires_grad_(True)

    def stored_networks(self) -> dict[str, nn.Module]:
        """Every network that checkpoints hold, by the name of its file: ``ema``, ``ema_back``, and the trained ones."""
        averages = {"ema" if name == "generator" else f"ema_{name}": average.network for name, average in self.averages.items()}
        return {**{name: trained.network for name, trained in self.trained.items()}, **averages}

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Every tensor, by group (the networks' names, ``optim`` and ``meters``) and name."""
        groups = {name: dict(network.state_dict()) for name, network in self.stored_networks().items()}
        groups["optim"] = {f"{name}/{key}": value for name, each in self.trained.items() for key, value in each.moments()}
        groups["meters"] = {f"{m}/{name}": value for m, meter in self.meters.items() for name, value in meter.sums.items()}
        groups["meters"] |= {f"augmentation/{name}": value for name, value in self.augmentation.items()}
        return groups

    def counters(self) -> dict[str, Any]:
        """Everything that is not a tensor, as JSON."""
        return {
            "step": self.step,
            "images_seen": self.images_seen,
            "alarms": list(self.alarms),
            "diversities": [list(measured) for measured in self.diversities],
            "best": None if self.best is None else asdict(self.best),
            "meter_counts": {name: dict(meter.counts) for name, meter in self.meters.items()},
        }

    def restore(self, tensors: Mapping[str, Mapping[str, Tensor]], counters: Mapping[str, Any]) -> None:
        """The inverse of :meth:`tensors` and :meth:`counters`; after a CheckpointError the state is unusable."""
        self.restored += 1
        for name, network in self.stored_networks().items():
            load_strictly(network, tensors[name], name)
        for name, trained in self.trained.items():
            trained.restore_moments(_below(tensors["optim"], name), name)
        device = next(self.ema.parameters()).device
        for name, meter in self.meters.items():
            sums, counts = _below(tensors["meters"], name), counters["meter_counts"][name]
            meter.sums = {key: sums[key].to(device) for key in counts}
            meter.counts = dict(counts)
        for name, value in self.augmentation.items():
            value.copy_(tensors["meters"][f"augmentation/{name}"])
        self.step, self.images_seen = counters["step"], counters["images_seen"]
        self.alarms = list(counters["alarms"])
        self.diversities = [(step, value) for step, value in counters.get("diversities", [])]
        best = counters.get("best")
        self.best = Best(**best) if best else None

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever changes within the block is afterwards as it was; the copies take no memory of a GPU."""
        counters, groups = self.counters(), self.tensors()
        tensors = {group: {name: value.to("cpu", copy=True) for name, value in groups[group].items()} for group in groups}
        try:
            yield
        finally:
            self.restore(tensors, counters)

    def files(self, provenance: Mapping[str, object] | None = None) -> dict[str, bytes]:
        """The files of a checkpoint; ``provenance`` goes into the header of the shareable model."""
        header = {"gancli": json.dumps(provenance or {}, sort_keys=True)}
        files = {
            f"{group}.safetensors": encode(tensors, header if group == "ema" else None)
            for group, tensors in self.tensors().items()
        }
        return {**files, "state.json": json.dumps(self.counters()).encode()}

    def load(self, files: Mapping[str, bytes], what: str) -> None:
        """The inverse of :meth:`files`; ``what`` names their origin. Those of another model are a CheckpointError."""
        try:
            tensors = {name: decode(files[f"{name}.safetensors"], f"{name}.safetensors") for name in self.tensors()}
            self.restore(tensors, parse_object(files["state.json"], f"'state.json' of {what}"))
        except (KeyError, TypeError, ValueError) as error:
            problem = f"A part is missing in {what}: {error}."
            raise CheckpointError(problem, "It was written by something else; choose another.") from error

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


def _below(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Those whose names begin with ``name/``, without it."""
    return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}


def load_strictly(network: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Copy ``tensors`` into ``network``; a CheckpointError names up to five differences in name, shape or type."""
    own = network.state_dict()
    wrong = [f"{key} is missing" for key in own.keys() - tensors.keys()]
    wrong += [f"{key} is unknown" for key in tensors.keys() - own.keys()]
    for key in own.keys() & tensors.keys():
        here, there = own[key], tensors[key]
        if (here.shape, here.dtype) != (there.shape, there.dtype):
            wrong.append(f"{key} is {there.dtype} {tuple(there.shape)}, not {here.dtype} {tuple(here.shape)}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""  # noqa: PLR2004  (as many as fit on a line)
        raise CheckpointError(f"The {what} does not fit: {'; '.join(sorted(wrong)[:5])}{more}.", _FOREIGN)
    network.load_state_dict(dict(tensors))
