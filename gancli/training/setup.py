"""From a configuration to a game that is ready to be played. Nothing is written here: what can fail, fails before that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from gancli.config.resolve import flatten, load_arch, load_objective
from gancli.data import Watch, unwatched
from gancli.data.batches import Batches
from gancli.data.paths import count
from gancli.errors import ConfigError, DatasetError, PluginError
from gancli.gan.augmentation import augmentation_for
from gancli.gan.compilation import compile_players
from gancli.gan.state import Average, Player, TrainingState
from gancli.gan.trainer import Trainer
from gancli.plugin import ImageSpec, Networks
from gancli.plugins.registry import ARCHITECTURES, Entry
from gancli.randomness.seeds import address
from gancli.runtime.device import Runtime, memory_errors_explained
from gancli.runtime.micro_batches import Shares
from gancli.runtime.processes import ALONE
from gancli.training.plan import Plan
from gancli.training.sizing import load_suited

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.config.schema import RunConfig, TrainConfig
    from gancli.data import Loaded
    from gancli.runtime.processes import Processes

__all__ = ["Game", "advice", "build_networks", "mean_image", "set_up"]

LARGEST_FOR_DENSE = 3 * 32 * 32
FEW_PICTURES, FEW_STEPS = 5_000, 1_000
SUM_BYTES = 2**25
REHEARSED_STEPS = 2
"""Penalties are due at the first, and with an interval not at the second."""
NOT_ASKED_FOR = "not asked for"


@dataclass(frozen=True, slots=True)
class Game:
    """Everything that a training needs.

    Attributes:
        uncompiled: why the networks are not compiled; empty if they are.
        divided_anew: where the run went on in another number of processes, one clause each.
    """

    config: RunConfig
    runtime: Runtime
    data: Loaded
    image: ImageSpec
    arch: Entry
    trainer: Trainer
    plan: Plan
    uncompiled: str = NOT_ASKED_FOR
    divided_anew: tuple[str, ...] = ()

    @property
    def state(self) -> TrainingState:
        """What changes."""
        return self.trainer.state

    @property
    def is_over(self) -> bool:
        """Whether the plan is fulfilled."""
        return self.plan.is_done(self.state.step, self.state.elapsed_seconds)

    def step(self) -> dict[str, Tensor]:
        """Play one step at the fraction of the run that is done; see :meth:`.Trainer.step`.

        Raises:
            MemoryExhaustedError: the device is out of memory.
        """
        state, plan = self.state, self.plan
        fraction = plan.fraction(state.step, state.elapsed_seconds)
        with memory_errors_explained():
            return self.trainer.step(fraction, plan.ramp(state.step), settled=plan.settled)

    def parameters(self) -> dict[str, int]:
        """Number of parameters of each player."""
        players = self.state.players.items()
        return {name: sum(p.numel() for p in player.network.parameters()) for name, player in players}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the pictures are used, and about a wish that could not be met."""
        notes = self.data.images.notes
        if self.uncompiled != NOT_ASKED_FOR and self.uncompiled:
            notes = (*notes, f"The networks are not compiled: {self.uncompiled}.")
        augment, number = self.config.augment, len(self.data.images.images)
        if not self.state.augmentation or augment.mode == "on":
            return notes
        changes = f"{', '.join(augment.changes)}; -s augment.mode=off switches it off"
        are = f"{count(number, 'picture')} {'is' if number == 1 else 'are'} few"
        return (*notes, f"{are}: the discriminator sees them augmented ({changes}).")

    def environment(self) -> dict[str, Any]:
        """What the bits of a result may depend on."""
        return {**self.runtime.describe(), "compiled": not self.uncompiled}

    def facts(self) -> dict[str, Any]:
        """What must be known to use or resume a checkpoint of this game, as JSON."""
        return {
            "arch": {
                "name": self.arch.name,
                "distribution": self.arch.distribution,
                "version": self.arch.version,
                "options": self.config.arch.options,
            },
            "image": {"channels": self.image.channels, "height": self.image.height, "width": self.image.width},
            "classes": list(self.data.images.class_names) if self.image.classes else [],
            "latent_dim": self.config.model.latent_dim,
            "dataset": {"name": self.data.name, "fingerprint": self.data.fingerprint, "licence": self.data.licence},
            "environment": self.environment(),
            "config": flatten(self.config),
            "plan": {"total_steps": self.plan.total_steps, "extended_at": self.plan.extended_at},
            "inexact": self._inexactness(),
            "divided_anew": list(self.divided_anew),
            "best": self.state.counters()["best"],
        }

    def _inexactness(self) -> str:
        clock = "the length is given in minutes, so that the schedule follows the clock" if self.plan.total_seconds else ""
        return "; ".join(filter(None, (clock, self.runtime.inexactness(), *self.divided_anew)))


def set_up(config: RunConfig, processes: Processes = ALONE, watch: Watch = unwatched) -> Game:
    """Load the pictures, build the networks, and put them opposite each other.

    Args:
        config: the whole configuration.
        processes: in which the game is played; each sets up the same one.
        watch: is told how far work on the pictures is.

    Raises:
        GancliError: whatever is wrong with data set, architecture, objective or device.
    """
    runtime = Runtime.select(config.runtime, processes)
    shares = Shares(config.train.batch_size, config.train.accumulate, processes)
    entry = ARCHITECTURES.find(config.arch.name)
    objective = load_objective(config)
    config, data = load_suited(config, watch)
    image = _image_spec(config, data)
    images = _near(data.images.images, runtime.device)
    networks = build_networks(config, image, runtime, mean_image(images).to(runtime.device))
    labels = data.images.labels if image.classes else None
    batches = Batches(
        images,
        None if labels is None else labels.to(images.device),
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        part=shares.part,
        device=runtime.device,
    )
    state = TrainingState(
        players={
            "generator": Player(networks.generator, _adam(networks.generator, config.train)),
            "discriminator": Player(networks.discriminator, _adam(networks.discriminator, config.train)),
        },
        average=Average(networks.generator),
    )
    augmentation = augmentation_for(
        config.augment, len(images), seed=config.train.seed, state=state.augmentation, device=runtime.device
    )
    trainer = Trainer(
        state, objective, batches, runtime, rules=config.train, latent_dim=config.model.latent_dim, augmentation=augmentation
    )
    uncompiled = _compile(trainer, watch) if config.runtime.compile else NOT_ASKED_FOR
    return Game(config, runtime, data, image, entry, trainer, Plan.of(config.train, batches.steps_per_epoch), uncompiled)


def _compile(trainer: Trainer, watch: Watch) -> str:
    """Compile the networks if that works; else why not."""
    if trainer.runtime.processes.world > 1:
        return "there are several processes, which would have to agree on it"

    def rehearse() -> None:
        for step in range(REHEARSED_STEPS):
            watch("compiling the networks", step, REHEARSED_STEPS)
            trainer.step(0.0)

    return compile_players(trainer.state, rehearse)


def advice(game: Game) -> tuple[str, ...]:
    """What somebody who chose nothing might like to know."""
    size = game.image.channels * game.image.height * game.image.width
    notes = []
    if game.arch.name == "dense" and size > LARGEST_FOR_DENSE:
        notes.append(
            f"Dense networks see no neighbourhoods, of which pictures of {game.image} are made: convolutions learn them better "
            "and faster (--arch dcgan; `gancli arch list` shows what is installed), and a smaller --image-size is quicker."
        )
    number, steps = len(game.data.images.images), game.plan.total_steps
    in_epochs = game.config.train.images is None  # who counts pictures knows how few they are
    if in_epochs and number < FEW_PICTURES and steps is not None and steps < FEW_STEPS:
        notes.append(
            f"{count(steps, 'step')} {'is' if steps == 1 else 'are'} few, since there "
            f"{'is' if number == 1 else 'are'} only {count(number, 'picture')}: --minutes 10 plays longer."
        )
    return tuple(notes)


def _near(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The pictures on the device if they leave half of its free memory to the networks; else where they are."""
    if device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return images
    return images.to(device)


def mean_image(images: torch.Tensor) -> torch.Tensor:
    """Mean of uint8 ``(n, c, h, w)``, as float32 ``(c, h, w)`` in [-1, 1]. Exact sums: the order does not matter.

    Pictures are widened a few at a time, so that memory stays flat however many there are, and however large.
    """
    total = torch.zeros(images.shape[1:], dtype=torch.int64, device=images.device)
    step = max(1, SUM_BYTES // (8 * total.numel()))
    for start in range(0, len(images), step):
        total += images[start : start + step].sum(0, dtype=torch.int64)
    return (total.float() / len(images) - 127.5) / 127.5


def build_networks(config: RunConfig, image: ImageSpec, runtime: Runtime, mean: torch.Tensor) -> Networks:
    """Both networks, initialised from the run's seed, calibrated on the mean image, and checked against the contract.

    Raises:
        ConfigError: the architecture cannot make such pictures.
        PluginError: the networks do not keep the contract.
    """
    arch, options = load_arch(config)
    reason = arch.supports(options, image)
    if reason:
        remedy = f"{reason} --image-size makes all pictures of one size."
        raise ConfigError(f"The architecture '{config.arch.name}' cannot make pictures of {image}.", remedy)
    torch.manual_seed(address(config.train.seed, "weights"))
    networks = arch.build(options, image, config.model.latent_dim)
    moved = Networks(networks.generator.to(runtime.device), networks.discriminator.to(runtime.device))
    arch.calibrate(moved, mean)
    _check_contract(config, moved, image, runtime.device)
    return moved


@torch.no_grad()
def _check_contract(config: RunConfig, networks: Networks, image: ImageSpec, device: torch.device) -> None:
    """Try two pictures through both networks, in eval mode, so that nothing in them changes."""
    labels = (torch.zeros(2, dtype=torch.int64, device=device),) if image.classes else ()
    try:
        fake = networks.generator.eval()(torch.zeros(2, config.model.latent_dim, device=device), *labels)
        logits = networks.discriminator.eval()(torch.zeros(2, *image.shape, device=device), *labels)
    except Exception as error:
        raise _broken(config, f"fails on two pictures of {image}: {type(error).__name__}: {error}") from error
    if fake.shape != (2, *image.shape) or not fake.dtype.is_floating_point:
        raise _broken(config, f"generates {fake.dtype} {tuple(fake.shape)}, not float32 {(2, *image.shape)}")
    if logits.shape != (2,):
        raise _broken(config, f"judges two pictures with logits of shape {tuple(logits.shape)}, not (2,)")
    networks.generator.train()
    networks.discriminator.train()


def _broken(config: RunConfig, what: str) -> PluginError:
    name = config.arch.name
    return PluginError(f"The architecture '{name}' {what}.", "Its author has to keep the contract of gancli.plugin.")


def _image_spec(config: RunConfig, data: Loaded) -> ImageSpec:
    if config.model.conditional and not data.images.class_names:
        raise DatasetError(
            f"'{data.name}' has no labels, which a conditional model learns.",
            "Classes are sub-folders of pictures, or labels of IDX files (-s data.labels=PATH); or leave out --conditional.",
        )
    return data.images.spec(conditional=config.model.conditional)


def _adam(network: torch.nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=config.betas, fused=True)
