"""From a configuration to a game that is ready to be played. Nothing is written here: what can fail, fails before that."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from time import monotonic
from typing import TYPE_CHECKING, Any

import torch

from gancli.checkpoint.provenance import Change, ImageSize, Length, MadeBy, Parent, Provenance, TrainedOn
from gancli.config.resolve import choose_arch, flatten, load_objective, refuse_other_kind
from gancli.data import Watch, unwatched
from gancli.data.batches import Batches
from gancli.data.paths import count
from gancli.errors import DatasetError
from gancli.gan.augmentation import augmentation_for
from gancli.gan.build import build_training, kinds_of_steps
from gancli.gan.compilation import compile_networks
from gancli.gan.state import weights_digest
from gancli.gan.trainer import Trainer
from gancli.plugins.assets import installed_extractor
from gancli.runtime.device import Runtime, memory_errors_explained
from gancli.runtime.micro_batches import MicroBatches
from gancli.runtime.processes import ALONE
from gancli.text import about
from gancli.training.plan import Plan
from gancli.training.sizing import load_suited

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.config.schema import RunConfig
    from gancli.data import Loaded
    from gancli.gan.state import TrainingState
    from gancli.plugin import ImageSpec, Objective
    from gancli.plugins.registry import Entry
    from gancli.runtime.processes import Processes

__all__ = ["Game", "advice", "announcement", "mean_image", "set_up"]

LARGEST_FOR_DENSE = 3 * 32 * 32
FEW_PICTURES, FEW_STEPS = 5_000, 1_000
SUM_BYTES = 2**25
NOT_ASKED_FOR = "not asked for"

REHEARSED_STEPS = 50
"""At most; a training of fewer steps is not announced."""


@dataclass(frozen=True, slots=True)
class Game:
    """Everything that a training needs.

    Attributes:
        uncompiled: why the networks are not compiled; empty if they are.
        divided_anew: where the run went on in another number of processes, one clause each.
        changes: settings that were changed when the run was resumed.
        parent: the model that the training started from, if any.
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
    changes: tuple[Change, ...] = ()
    parent: Parent | None = None

    @property
    def state(self) -> TrainingState:
        """What changes."""
        return self.trainer.state

    @property
    def objective(self) -> Objective:
        """The losses that were chosen."""
        objective: Objective = load_objective(self.config)
        return objective

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

    def expected_seconds(self, at_most: float = 2.0) -> float | None:
        """How long the training will take on this machine, from a few rehearsed steps, which leave no trace.

        None where the clock ends it, where it is a matter of few steps, and with several processes.

        Args:
            at_most: seconds after which no further step begins. The first step counts only if it takes longer.

        Raises:
            MemoryExhaustedError: the device is out of memory.
        """
        state, steps = self.state, self.plan.total_steps
        if steps is None or steps < REHEARSED_STEPS or self.runtime.processes.world > 1:
            return None
        counters = state.counters()
        tensors = {group: {name: value.clone() for name, value in named.items()} for group, named in state.tensors().items()}
        times: list[float] = []
        try:
            while not times or (times[0] < at_most and len(times) < REHEARSED_STEPS and sum(times[1:]) < at_most):
                begin = monotonic()
                with memory_errors_explained():
                    self.trainer.step(0.0)
                if self.runtime.device.type == "cuda":
                    torch.cuda.synchronize(self.runtime.device)
                times.append(monotonic() - begin)
        finally:
            state.restore(tensors, counters)
        return steps * fmean(times[1:] or times)

    def parameters(self) -> dict[str, int]:
        """Number of parameters of each trained network."""
        return {name: sum(p.numel() for p in each.network.parameters()) for name, each in self.state.trained.items()}

    def frozen_digests(self) -> dict[str, str]:
        """SHA-256 of the weights of each network that is never trained, which no checkpoint holds."""
        return {name: weights_digest(network) for name, network in self.state.frozen.items()}

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

    def facts(self) -> Provenance:
        """What must be known to use or resume a checkpoint of this game."""
        arch, image, frozen = self.arch, self.image, self.frozen_digests()
        made = Provenance(
            arch=MadeBy(name=arch.name, distribution=arch.distribution, version=arch.version, options=self.config.arch.options),
            image=ImageSize(channels=image.channels, height=image.height, width=image.width),
            classes=self.data.images.class_names if image.classes else (),
            latent_dim=self.config.model.latent_dim,
            dataset=TrainedOn(name=self.data.name, fingerprint=self.data.fingerprint, licence=self.data.licence),
            environment=self.environment(),
            config=flatten(self.config),
            plan=Length(total_steps=self.plan.total_steps, extended_at=self.plan.extended_at),
            inexact=self._inexactness(),
            divided_anew=self.divided_anew,
            best=self.state.counters()["best"],
        )
        optional = {
            "source": image.source,
            "paired": image.paired,
            "frozen": frozen,
            "changes": self.changes,
            "parent": self.parent,
        }
        return made.model_copy(update={name: value for name, value in optional.items() if value})

    def _inexactness(self) -> str:
        clock = "the length is given in minutes, so that the schedule follows the clock" if self.plan.total_seconds else ""
        return "; ".join(filter(None, (clock, self.runtime.inexactness(), *self.divided_anew)))


def set_up(config: RunConfig, processes: Processes = ALONE, watch: Watch = unwatched) -> Game:
    """Load the images, build the networks and everything that trains them.

    Args:
        config: the whole configuration.
        processes: all that take part; each sets up the same training.
        watch: is told how far work on the images is.

    Raises:
        GancliError: whatever is wrong with data set, architecture, objective or device.
    """
    runtime = Runtime.select(config.runtime, processes)
    micro_batches = MicroBatches(config.train.batch_size, config.train.accumulate, processes)
    arch = choose_arch(config)
    if config.log.extractor is not None:
        installed_extractor(config.log.extractor)  # not at the first evaluation, in the middle of the training
    config, data = load_suited(config, watch, arch)
    image = _image_spec(config, data)
    refuse_other_kind(config, arch.plugin, translating=image.source is not None)
    images = _near(data.images.images, runtime.device)
    labels = data.images.labels if image.classes else None
    batches = Batches(
        images,
        None if labels is None else labels.to(images.device),
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        part=micro_batches.part,
        device=runtime.device,
        sources=None if data.images.sources is None else _near(data.images.sources, runtime.device),
        paired=data.images.paired,
    )
    state, updates = build_training(config, image, runtime.device, mean_image(images).to(runtime.device), arch)
    augmentation = augmentation_for(
        config.augment, len(images), seed=config.train.seed, state=state.augmentation, device=runtime.device
    )
    trainer = Trainer(
        state, updates, batches, runtime, rules=config.train, latent_dim=config.model.latent_dim, augmentation=augmentation
    )
    uncompiled = _compile(trainer, watch) if config.runtime.compile else NOT_ASKED_FOR
    plan = Plan.of(config.train, -(-batches.steps_per_epoch // trainer.batches_per_step), trainer.batches_per_step)
    return Game(config, runtime, data, image, arch.entry, trainer, plan, uncompiled)


def _compile(trainer: Trainer, watch: Watch) -> str:
    """Compile the networks if that works; else why not."""
    if trainer.runtime.processes.world > 1:
        return "there are several processes, which would have to agree on it"

    def rehearse() -> None:
        steps = kinds_of_steps(trainer.updates)
        for done, step in enumerate(steps):
            watch("compiling the networks", done, len(steps))
            trainer.state.step = step
            trainer.step(0.0)

    return compile_networks(trainer.state, rehearse)


def advice(game: Game) -> tuple[str, ...]:
    """What somebody who chose nothing might like to know."""
    size = game.image.channels * game.image.height * game.image.width
    notes = []
    if game.arch.name == "dense" and size > LARGEST_FOR_DENSE:
        notes.append(
            f"Dense networks do not know which pixels of {game.image} are neighbours: convolutions learn such images better "
            "and faster (--arch dcgan; `gancli arch list` shows what is installed), and a smaller --image-size is quicker."
        )
    number, steps = len(game.data.images.images), game.plan.total_steps
    if number == 1:
        notes.append("Only 1 image: the generator can do no more than repeat it. Add more: a few hundred are a beginning.")
    in_epochs = game.config.train.images is None  # who counts images knows how few they are
    if in_epochs and number < FEW_PICTURES and steps is not None and steps < FEW_STEPS:
        notes.append(
            f"{count(steps, 'step')} {'is' if steps == 1 else 'are'} few, since there "
            f"{'is' if number == 1 else 'are'} only {count(number, 'image')}: --minutes 10 trains longer."
        )
    return tuple(notes)


def announcement(game: Game, seconds: float | None) -> tuple[str, ...]:
    """How long the training will be and take, as a sentence, where that is known before it begins."""
    if seconds is None:
        return ()
    images = (game.plan.total_steps or 0) * game.config.train.batch_size * game.trainer.batches_per_step
    return (f"{images:,} images will be seen, which takes about {about(seconds)} on this machine.",)


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


def _image_spec(config: RunConfig, data: Loaded) -> ImageSpec:
    if config.model.conditional and not data.images.class_names:
        raise DatasetError(
            " ".join([f"'{data.name}' has no labels, which a conditional model learns.", *data.unlabelled]),
            "Classes are sub-folders of images, labels beside them (dataset.json, metadata.jsonl, metadata.csv, labels.csv, "
            ".cls), or labels of IDX files (-s data.labels=PATH); or leave out --conditional.",
        )
    return data.images.spec(conditional=config.model.conditional)
