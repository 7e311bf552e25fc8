"""From a configuration to a training that can take its first step. Nothing is written: what can fail, fails before that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gancli.checkpoint.provenance import Change, ImageSize, Length, MadeBy, Parent, Provenance, TrainedOn
from gancli.config.resolve import choose_arch, flatten, load_objective, refuse_other_kind
from gancli.data import Loaded, Watch, open_data, unwatched
from gancli.data.batches import Batches
from gancli.data.fit import nearest_side
from gancli.data.paths import count
from gancli.errors import DatasetError
from gancli.gan.augmentation import augmentation_for
from gancli.gan.build import build_training
from gancli.gan.capture import capture_updates
from gancli.gan.compilation import compile_networks, kinds_of_steps, rehearse
from gancli.gan.trainer import Trainer
from gancli.metrics.extractors import RANDOM, pretrained
from gancli.plugin import Networks
from gancli.plugins.registry import Chosen, installed_extractor, is_path
from gancli.runtime.device import Runtime, memory_errors_explained
from gancli.runtime.micro_batches import MicroBatches
from gancli.runtime.processes import ALONE, Processes
from gancli.storage.tensors import digest_of
from gancli.text import about
from gancli.training.plan import Plan

if TYPE_CHECKING:
    from gancli.config.schema import RunConfig
    from gancli.gan.state import TrainingState
    from gancli.plugin import ArchConfig, Architecture, ImageSpec, Objective
    from gancli.plugins.distributions import Entry

LARGEST_FOR_DENSE, LARGEST_FOR_DCGAN = 3 * 32 * 32, 256  # values of an image; pixels of a side
FEW_IMAGES, FEW_STEPS = 5_000, 1_000
SUM_BYTES = 2**25
PREPARED_WITH = 2000  # images at most
NOT_ASKED_FOR = "not asked for"
REHEARSED_STEPS = 50  # at most; a training of fewer steps is not announced


@dataclass(frozen=True, slots=True)
class Training:
    """Everything that a training needs; ``uncompiled`` says why the networks are not compiled, and is empty if they are;
    ``uncaptured`` likewise why steps are not replayed as CUDA graphs.

    A resumed run has settings that were ``changes``, and a clause for each time that its batches were ``divided_anew``.
    """

    config: RunConfig
    runtime: Runtime
    data: Loaded
    image: ImageSpec
    arch: Entry
    trainer: Trainer
    plan: Plan
    uncompiled: str = NOT_ASKED_FOR
    uncaptured: str = NOT_ASKED_FOR
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
        return load_objective(self.config)

    @property
    def is_over(self) -> bool:
        """Whether the plan is fulfilled."""
        return self.plan.is_done(self.state.step, self.state.schedule_seconds)

    def step(self) -> dict[str, Tensor]:
        """One step at the fraction of the run that is done; see :meth:`.Trainer.step`."""
        state, plan = self.state, self.plan
        fraction = plan.fraction(state.step, state.schedule_seconds)
        with memory_errors_explained():
            # a burn-in belongs to the length that the run had at first
            return self.trainer.step(fraction, plan.ramp(state.step), settled=bool(plan.extended_at))

    def stop_signal(self, own: int = 0) -> int:
        """The signal that asks any process to stop, or 0. All wait for each other here; the clock is process 0's."""
        processes, state = self.runtime.processes, self.state
        signal, state.schedule_seconds = processes.all_reduce_max(own, state.schedule_seconds if processes.leads else 0.0)
        return signal

    def expected_seconds(self, at_most: float = 2.0) -> float | None:
        """How long all steps of the training will take on this machine, from a few rehearsed ones, which leave no trace.

        None where the clock ends it, where it is a matter of few steps, and with several processes. Each kind of step counts as
        often as it comes; the most frequent is rehearsed first, and after ``at_most`` seconds no further step begins, but for
        the very first, which shows whether a step fits into memory.
        """
        steps, kinds = self.plan.total_steps, kinds_of_steps(self.trainer.updates)
        few = steps is not None and steps < REHEARSED_STEPS
        if (few and self.runtime.device.type == "cpu") or self.runtime.processes.world > 1:
            return None
        times: dict[int, list[float]] = {}
        with self.state.undone(), memory_errors_explained():
            self._rehearsed(0)  # in which everything is due
            order = sorted(kinds, key=kinds.__getitem__, reverse=True) * (REHEARSED_STEPS // len(kinds) + 1)
            end = monotonic() + at_most
            for step in () if few or steps is None else order:
                times.setdefault(step, []).append(self._rehearsed(step))
                if monotonic() > end:
                    break
        if few or steps is None:
            return None
        return steps * sum(kinds[step] * median(times[step]) for step in times) / sum(kinds[step] for step in times)

    def _rehearsed(self, step: int) -> float:
        """Seconds that a step of that number takes."""
        begin, self.state.step = monotonic(), step
        self.trainer.step(0.0)
        if self.runtime.device.type == "cuda":
            torch.cuda.synchronize(self.runtime.device)
        return monotonic() - begin

    def parameters(self) -> dict[str, int]:
        """Number of parameters of each trained network."""
        return {name: sum(p.numel() for p in each.network.parameters()) for name, each in self.state.trained.items()}

    def frozen_digests(self) -> dict[str, str]:
        """SHA-256 of the weights of each network that is never trained, which no checkpoint holds."""
        return {name: digest_of(network.state_dict()) for name, network in self.state.frozen.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the images are used, and about a wish that could not be met."""
        notes = list(self.data.images.notes)
        if self.uncompiled not in ("", NOT_ASKED_FOR):
            notes.append(f"The networks are not compiled: {self.uncompiled}.")
        if self.uncaptured and self.config.runtime.cuda_graph == "on":
            notes.append(f"The steps are not replayed as CUDA graphs: {self.uncaptured}.")
        augment, number = self.config.augment, len(self.data.images.images)
        if self.state.augmentation and augment.mode != "on":
            changes = f"{', '.join(augment.changes)}; -s augment.mode=off switches it off"
            are = f"{count(number, 'image')} {'is' if number == 1 else 'are'} few"
            notes.append(f"{are}: the discriminator sees them augmented ({changes}).")
        return tuple(notes)

    def facts(self) -> Provenance:
        """What must be known to use or resume a checkpoint of this training."""
        arch, image = self.arch, self.image
        clock = "the length is given in minutes, so that the schedule follows the clock" if self.plan.total_seconds else ""
        optional: dict[str, Any] = {
            "source": image.source,
            "paired": image.paired,
            "frozen": self.frozen_digests(),
            "changes": self.changes,
            "parent": self.parent,
        }
        return Provenance(
            arch=MadeBy(name=arch.name, distribution=arch.distribution, version=arch.version, options=self.config.arch.options),
            image=ImageSize(channels=image.channels, height=image.height, width=image.width),
            classes=self.data.images.class_names if image.classes else (),
            latent_dim=self.config.model.latent_dim,
            dataset=TrainedOn(name=self.data.name, fingerprint=self.data.fingerprint, licence=self.data.licence),
            environment={**self.runtime.describe(), "compiled": not self.uncompiled, "captured": not self.uncaptured},
            config=flatten(self.config),
            plan=Length(total_steps=self.plan.total_steps, extended_at=self.plan.extended_at),
            inexact="; ".join(filter(None, (clock, self.runtime.inexactness(), *self.divided_anew))),
            divided_anew=self.divided_anew,
            best=self.state.counters()["best"],
            **{name: value for name, value in optional.items() if value},
        )


def set_up(config: RunConfig, processes: Processes = ALONE, watch: Watch = unwatched) -> Training:
    """Load the images, build the networks and everything that trains them, the same in each process."""
    runtime = Runtime.select(config.runtime, processes)
    device, train = runtime.device, config.train
    part = MicroBatches(train.batch_size, train.accumulate, processes).part
    arch = choose_arch(config)
    extractor = None if config.log.extractor == RANDOM else config.log.extractor
    if extractor is not None:
        installed_extractor(extractor)  # not after the images are decoded
    config, data = load_suited(config, watch, arch)
    if extractor is not None and processes.leads:  # what it imports or fetches fails here, not at the first evaluation

        def tell(text: str) -> None:
            watch(text, 0, 0)

        pretrained(extractor, data.images.images[:1], tell=tell)
    if config.model.conditional and not data.images.class_names:
        if config.model.parent is None:
            raise DatasetError(
                " ".join([f"'{data.name}' has no labels, which a conditional model learns.", *data.unlabelled]),
                "Classes are sub-folders of images, labels beside them (dataset.json, metadata.jsonl, metadata.csv, "
                "labels.csv, .cls), or labels of IDX files (-s data.labels=PATH); or leave out --conditional.",
            )
        one = torch.zeros(len(data.images.images), dtype=torch.int64)  # to a conditional parent they are one class
        data = replace(data, images=replace(data.images, labels=one, class_names=("all",)))
    image = data.images.spec(conditional=config.model.conditional)
    refuse_other_kind(config, arch.plugin, translating=image.source is not None)
    images = _near(data.images.images, device)
    labels = data.images.labels if image.classes else None
    batches = Batches(
        images,
        None if labels is None else labels.to(images.device),
        batch_size=train.batch_size,
        seed=train.seed,
        part=part,
        device=device,
        sources=None if data.images.sources is None else _near(data.images.sources, device),
        paired=data.images.paired,
    )
    state, updates = build_training(config, image, device, mean_image(images).to(device), arch)
    augmentation = augmentation_for(config.augment, len(images), state=state.augmentation, device=device)
    trainer = Trainer(
        state, updates, batches, runtime, rules=train, latent_dim=config.model.latent_dim, augmentation=augmentation
    )
    uncompiled = NOT_ASKED_FOR
    if config.runtime.compile and processes.world > 1:
        uncompiled = "there are several processes, which would have to agree on it"
    elif config.runtime.compile:
        uncompiled = compile_networks(state, lambda: rehearse(trainer, watch))
    uncaptured = NOT_ASKED_FOR if config.runtime.cuda_graph == "off" else capture_updates(trainer, watch)
    plan = Plan.of(train, -(-batches.steps_per_epoch // trainer.batches_per_step), trainer.batches_per_step)
    return Training(config, runtime, data, image, arch.entry, trainer, plan, uncompiled, uncaptured)


def prepare(training: Training) -> None:
    """Let the architecture adapt its networks to the images, before the first step; see :meth:`.Architecture.prepare`."""
    networks, images = training.state.networks, training.data.images.images
    if "discriminator" in networks:
        chosen = torch.linspace(0, len(images) - 1, min(len(images), PREPARED_WITH)).long()
        others = {name: network for name, network in networks.items() if name not in {"generator", "discriminator"}}
        made = Networks(networks["generator"], networks["discriminator"], others)
        choose_arch(training.config).plugin.prepare(made, images[chosen])
        for name, average in training.state.averages.items():
            average.update(networks[name], 0.0)  # its buffers


def load_suited(config: RunConfig, watch: Watch, chosen: Chosen[Architecture[ArchConfig]]) -> tuple[RunConfig, Loaded]:
    """The images, resized to a square if the architecture cannot generate their own size and none was asked for.

    The size is chosen by the headers, before anything is decoded; the configuration that is returned has it.
    """
    source, arch, options = open_data(config.data), chosen.plugin, chosen.options
    if is_path(config.data.dataset) or config.data.to is not None:  # else it depends on the images of a plugin
        refuse_other_kind(config, arch, translating=config.data.to is not None)
    if config.data.image_size is not None:
        return config, source.load(config.data, watch)
    image = source.spec(config.data, watch)
    image = image if config.model.conditional else replace(image, classes=0)

    def suits(side: int) -> bool:
        square = replace(image, height=side, width=side, source=image.source and (image.source[0], side, side))
        return arch.supports(options, square) is None

    fits = arch.supports(options, image) is None
    side = None if fits else nearest_side(suits, min(image.height, image.width))
    if side is None:
        return config, source.load(config.data, watch)
    config = config.model_copy(update={"data": config.data.model_copy(update={"image_size": str(side)})})
    data = source.load(config.data, watch)
    no = f"The architecture '{config.arch.name}' cannot generate images of {image}"
    note = f"{no}, only of {side}x{side}; --image-size chooses."
    return config, replace(data, images=replace(data.images, notes=(note, *data.images.notes)))


def advice(training: Training) -> tuple[str, ...]:
    """What somebody who chose nothing might like to know."""
    image, steps, number = training.image, training.plan.total_steps, len(training.data.images.images)
    notes = []
    if training.arch.name == "dense" and image.channels * image.height * image.width > LARGEST_FOR_DENSE:
        convolutions = "--arch dcgan" if max(image.height, image.width) <= LARGEST_FOR_DCGAN else "--image-size 64 --arch dcgan"
        notes.append(
            f"Dense networks do not know which pixels of {image} are neighbours: convolutions learn such images better "
            f"and faster ({convolutions}; `gancli arch list` shows what is installed), and a smaller --image-size is quicker."
        )
    idle = torch.cuda.device_count() if training.runtime.device.type == "cuda" else 1
    if idle > training.runtime.processes.world == 1:
        notes.append(f"One of {idle} GPUs is used: --processes {idle} divides each batch among all.")
    if number == 1:
        notes.append("Only 1 image: the generator can do no more than repeat it. Add more: a few hundred are a beginning.")
    sources = training.data.images.sources
    if sources is not None and len(sources) == 1:
        notes.append("Only 1 image to translate: the generator learns no others. Add more: a few hundred are a beginning.")
    in_epochs = training.config.train.images is None  # who counts images knows how few they are
    if in_epochs and number < FEW_IMAGES and steps is not None and steps < FEW_STEPS:
        notes.append(
            f"{count(steps, 'step')} {'is' if steps == 1 else 'are'} few, since there "
            f"{'is' if number == 1 else 'are'} only {count(number, 'image')}: --minutes 10 trains longer."
        )
    return tuple(notes)


def announcement(training: Training, seconds: float | None) -> tuple[str, ...]:
    """How long the training will be and take, as a sentence, where that is known before it begins."""
    if seconds is None:
        return ()
    images = (training.plan.total_steps or 0) * training.config.train.batch_size * training.trainer.batches_per_step
    return (f"{images:,} images will be seen, which takes about {about(seconds)} on this machine.",)


def _near(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The images on the device if they leave half of its free memory to the networks; else where they are."""
    if device.type == "cuda" and images.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return images
    return images.to(device)


def mean_image(images: torch.Tensor) -> torch.Tensor:
    """Mean of uint8 ``(n, c, h, w)``, as float32 ``(c, h, w)`` in [-1, 1]: exact sums, of a few images at a time."""
    total = torch.zeros(images.shape[1:], dtype=torch.int64, device=images.device)
    for part in torch.split(images, max(1, SUM_BYTES // (8 * total.numel()))):
        total += part.sum(0, dtype=torch.int64)
    return (total.float() / len(images) - 127.5) / 127.5
