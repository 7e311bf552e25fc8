"""Checks of every kind of plugin but architectures: data sets, objectives, optimisers, exporters, feature extractors."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from gancli.data import fingerprint
from gancli.data.source import broken_promise
from gancli.errors import ExportError, GancliError
from gancli.exporting.formats import Format
from gancli.gan.algorithm import gradient_penalties
from gancli.gan.architectures.dense import Dense, DenseConfig
from gancli.gan.context import Context
from gancli.gan.state import Average, Trained, TrainingState
from gancli.plugin import (
    Dataset,
    Exporter,
    FeatureExtractor,
    ImageSet,
    ImageSpec,
    Objective,
    Optimizer,
    Penalty,
)
from gancli.plugins.installation import require_packages
from gancli.randomness.latents import latents
from gancli.storage.tensors import decode, encode
from gancli_kit.checks import Check, Rules, fail, skip
from gancli_kit.description import IDENTITY, LOADING, OPTIONS, PREFERENCES, refuse_assets
from gancli_kit.networks import surroundings
from gancli_kit.subject import CLASSES, LATENT_DIM, Case, Subject, differing, states

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# -- data sets: the same bytes every time, that fit what is promised --


class DatasetSubject(Subject[Dataset]):
    """A data set."""

    section = "data"
    key = "dataset"

    @cached_property
    def loaded(self) -> ImageSet:
        """The images for training."""
        return self.plugin().load("train")


_DATASETS = Rules()


@_DATASETS.check(needs="complete")
def loads(subject: DatasetSubject) -> None:
    """load('train') returns an ImageSet of uint8 images, labels that have names, and as many sources as images if paired
    Why: It is what a training reads: images are normalised on the device, and `sample --class` counts on the names.
    Fix: Return gancli.plugin.ImageSet(images, labels, class_names): torch.uint8 (n, c, h, w), contiguous; labels int64 (n,),
    numbered from 0 in the order of class_names, or neither; raise gancli.errors.DatasetError with what is missing.
    """
    if broken := broken_promise(subject.loaded):
        raise fail(f"load() returns {broken}.")


@_DATASETS.check(needs="loads")
def same_again(subject: DatasetSubject) -> None:
    """It is the same every time
    Why: A run is refused on other images than its own: it could never be resumed.
    Fix: Sort the names of files, and use no random numbers but those of a seeded torch.Generator of your own.
    """
    with surroundings(1):
        torch.manual_seed(1)
        again = subject.plugin().load("train")
    if fingerprint(again) != fingerprint(subject.loaded):
        raise fail("Loaded a second time, images or labels differ.")


@_DATASETS.check(needs="loads")
def splits(subject: DatasetSubject) -> None:
    """load('test') fits load('train'), or is refused with a reason
    Why: `gancli evaluate` compares with images that the model has not seen.
    Fix: Raise gancli.errors.DatasetError if there is no such part.
    """
    try:
        test = subject.plugin().load("test")
    except GancliError:
        return  # it says that it has none
    train = subject.loaded
    if test.images.shape[1:] != train.images.shape[1:] or test.class_names != train.class_names:
        raise fail(f"Images of the test part are {tuple(test.images.shape[1:])}, or have other classes.")


# -- objectives: two formulas per logit, finite, that pull the right way --


_N = 6
_NEAR, _FAR = 0.1, 1e4  # logits of a young and of a hopelessly winning discriminator


class ObjectiveSubject(Subject[Objective]):
    """An objective, which is its own options model."""

    section = "objective"

    @property
    def losses(self) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
        """Both formulas, as functions of (real, fake) logits."""
        objective: Objective = self.config
        return {
            "discriminator_loss": objective.discriminator_loss,
            "generator_loss": lambda real, fake: objective.generator_loss(fake, real),
        }


_OBJECTIVES = Rules()


def _logits(scale: float) -> tuple[Tensor, Tensor]:
    real, fake = (scale * torch.randn(_N) for _ in range(2))
    return real.requires_grad_(), fake.requires_grad_()


@_OBJECTIVES.check(needs="options-round-trip")
def per_sample(subject: ObjectiveSubject) -> None:
    """Both losses have the shape of the logits, (n,) or (n, k), and each belongs to its own logit
    Why: The mean over a batch is the trainer's; a formula that mixes samples changes with the batch and with processes.
    Fix: Return the formula itself, without mean() or sum().
    """
    for name, formula in subject.losses.items():
        for shape in ((_N,), (_N, 2)):
            real, fake = (logits.expand(2, -1).T if shape[1:] else logits for logits in _logits(_NEAR))
            loss = formula(real, fake)
            if not isinstance(loss, Tensor) or loss.shape != shape:
                shown = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
                raise fail(f"{name} turns logits {shape} into {shown}.")
            for logits in (real, fake):
                (gradient,) = torch.autograd.grad(loss[0].sum(), logits, retain_graph=True, allow_unused=True)
                if gradient is not None and gradient[1:].any():
                    raise fail(f"In {name} the loss of one sample depends on the logits of others.")


@_OBJECTIVES.check(needs="per-sample")
def finite(subject: ObjectiveSubject) -> None:
    """Losses and gradients are finite, however sure the discriminator is
    Why: A single infinity ends the training with exit code 7.
    Fix: Write softplus(-x) for -log(sigmoid(x)).
    """
    for name, formula in subject.losses.items():
        for scale in (_NEAR, 1.0, _FAR):
            real, fake = _logits(scale)
            loss = formula(real, fake).sum()
            gradients = torch.autograd.grad(loss, [real, fake], allow_unused=True)
            if not all(value.isfinite().all() for value in (loss, *gradients) if value is not None):
                raise fail(f"{name} or its gradient is not finite for logits of about {scale:g}.")


@_OBJECTIVES.check(needs="finite")
def signs(subject: ObjectiveSubject) -> None:
    """The discriminator tells real from fake, and the generator's loss falls as its images look real
    Why: With a wrong sign both networks train against the game, and training looks as if it worked.
    Fix: Both methods return what is minimised.
    """
    expected = {("discriminator_loss", 0): -1, ("discriminator_loss", 1): 1, ("generator_loss", 1): -1}
    for (name, index), sign in expected.items():
        # around 1/2, which lies between the targets of every loss in use: 0 and 1, -1 and 1, or none at all
        logits = tuple((0.5 + _NEAR * torch.rand(_N)).requires_grad_() for _ in range(2))
        (gradient,) = torch.autograd.grad(subject.losses[name](*logits).sum(), logits[index], allow_unused=True)
        if gradient is None or not (sign * gradient > 0).all():
            kind, verb = ("real", "fake")[index], "rise" if sign > 0 else "fall"
            raise fail(f"{name} does not {verb} when {kind} logits rise.")


@_OBJECTIVES.check(needs="per-sample")
def sees_real(subject: ObjectiveSubject) -> None:
    """generator_sees_real says whether generator_loss reads the real logits
    Why: Unless it says so the real logits are zeros; and if it says so for nothing, each step has a pass too many.
    Fix: Define the property generator_sees_real, returning True, if the formula contains real_logits.
    """
    real, fake = _logits(1.0)
    loss = subject.losses["generator_loss"](real, fake).sum()
    (gradient,) = torch.autograd.grad(loss, real, allow_unused=True)
    sees, says = gradient is not None and bool(gradient.any()), subject.config.generator_sees_real
    if sees != says:
        reads = "reads" if sees else "does not read"
        raise fail(f"generator_sees_real is {says}, and generator_loss {reads} the real logits.")


@_OBJECTIVES.check(needs="per-sample")
def deterministic(subject: ObjectiveSubject) -> None:
    """The same logits give the same losses
    Why: A resumed run would not end in the same bits.
    Fix: Use no random numbers in a loss.
    """
    for name, formula in subject.losses.items():
        logits = _logits(1.0)
        if not torch.equal(formula(*logits), formula(*logits)):
            raise fail(f"{name} of the same logits is another number the second time.")


@_OBJECTIVES.check(needs="options-round-trip")
def penalties(subject: ObjectiveSubject) -> None:
    """Each penalty is (n,), finite, and has a gradient in the discriminator
    Why: A penalty of the wrong shape is averaged wrongly; one without a gradient does nothing.
    Fix: Take gradients with create_graph=True, and norms per sample with torch.linalg.vector_norm.
    """
    if strange := [each for each in subject.config.penalties() if not isinstance(each, Penalty)]:
        raise fail(f"penalties() holds {type(strange[0]).__name__}, not gancli.plugin.Penalty.")
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Softplus(), nn.Linear(8, 1), nn.Flatten(0))
    for term in gradient_penalties(subject.config):
        context = Context(
            networks={"discriminator": network},
            generate=lambda _: torch.rand(_N, 3, 2, 2),
            discriminator=network,
            trained=("discriminator",),
            real=torch.rand(_N, 3, 2, 2).requires_grad_(),
            z=torch.randn(_N, 1),
            conditions=(),
            second_order=True,
            joint=False,
        )
        value = term.value(context)
        if value.shape != (_N,) or not value.isfinite().all():
            raise fail(f"The penalty '{term.name}' of {_N} images is {value.dtype} {tuple(value.shape)}, or not finite.")
        gradients = torch.autograd.grad(value.sum(), list(network.parameters()), allow_unused=True)
        if all(gradient is None or not gradient.any() for gradient in gradients):
            raise fail(f"The penalty '{term.name}' has no gradient in the discriminator.")


# -- optimisers: they move weights at the learning rate of the step, and their state is stored exactly --


_RATE, _BETAS = 1e-2, (0.5, 0.99)


class OptimizerSubject(Subject[Optimizer]):
    """An optimiser, which is its own options model."""

    section = "train.optimizer"

    def training(self) -> TrainingState:
        """A network of a matrix, a vector and a convolution, to be trained by it."""
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(12, 2))
        optimizer = self.config.build(network.parameters(), _RATE, _BETAS)
        return TrainingState({"generator": Trained(network, optimizer)}, {"generator": Average(network)})


_OPTIMIZERS = Rules()


def _steps(state: TrainingState, numbers: range, rate: float = _RATE) -> dict[str, Tensor]:
    """The state after steps that depend on nothing but their numbers."""
    trained = state.trained["generator"]
    for number in numbers:
        images = torch.randn(8, 1, 4, 4, generator=torch.Generator().manual_seed(number))
        trained.optimizer.zero_grad()
        (trained.network(images) - 1).square().mean().backward()
        trained.set_rates(rate, _BETAS)
        trained.optimizer.step()
    return {**states({"generator": trained.network}), **state.tensors()["optim"]}


@_OPTIMIZERS.check(needs="options-round-trip")
def builds_optimiser(subject: OptimizerSubject) -> None:
    """build() returns a torch optimiser, of parameters or of groups of them
    Why: Each network has its own; architectures may give groups with factors of the learning rate.
    Fix: Pass `parameters` on to the optimiser as they are.
    """
    one, other = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))
    for given in ([one, other], [{"params": [one]}, {"params": [other], "lr_scale": 0.1}]):
        optimizer = subject.config.build(given, _RATE, _BETAS)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise fail(f"build() returns {type(optimizer).__name__}, not a torch.optim.Optimizer.")
        found = [weight for group in optimizer.param_groups for weight in group["params"]]
        if {id(weight) for weight in found} != {id(one), id(other)}:
            raise fail(f"It optimises {len(found)} of 2 parameters.")
        if isinstance(given[-1], dict) and optimizer.param_groups[-1].get("lr_scale") != given[-1]["lr_scale"]:
            raise fail("A group's `lr_scale` is lost.")


@_OPTIMIZERS.check(needs="builds-optimiser")
def learning_rate(subject: OptimizerSubject) -> None:
    """Weights move at the learning rate of the step, and stay at a rate of 0
    Why: Schedules set 'lr' in the parameter groups before each step; gancli's warm-up, decay and dry runs rely on it.
    Fix: Read group['lr'] in step(), and let every movement be a multiple of it, weight decay included.
    """
    before = states({"generator": subject.training().networks["generator"]})
    for rate in (0.0, _RATE):
        after = _steps(subject.training(), range(2), rate)
        moved = [name for name, value in before.items() if not torch.equal(value, after[name])]
        if rate == 0.0 and moved:
            raise fail(f"At a learning rate of 0 it moves {moved[0]}.")
        if rate and len(moved) < len(before):
            raise fail(f"At a learning rate of {rate} it moves {len(moved)} of {len(before)} parameters.")


@_OPTIMIZERS.check(needs="builds-optimiser")
def exact_state(subject: OptimizerSubject) -> None:
    """Its state is stored and restored in the same bits
    Why: gancli promises that a resumed run ends in the same bits.
    Fix: Keep state per parameter in self.state, in tensors and numbers only; keep nothing else that changes.
    """
    whole, halved, fresh = (subject.training() for _ in range(3))
    _steps(halved, range(3))
    tensors = {name: decode(encode(group), name) for name, group in halved.tensors().items()}
    fresh.restore(tensors, halved.counters())
    if name := differing(_steps(whole, range(6)), _steps(fresh, range(3, 6))):
        raise fail(f"{name} ends in other bits when the training is stopped and resumed.")


# -- exporters: what they write is read again and generates the same, without and with classes --


class ExporterSubject(Subject[Exporter[Any]]):
    """An exporter."""

    section = "export"
    model = "Options"


_EXPORTERS = Rules()


@_EXPORTERS.check(needs="complete")
def same_images(subject: ExporterSubject) -> None:
    """The file that is exported generates the same, for any number of images and every class
    Why: An export that differs is refused when users make it; what is not read from the file is not compared.
    Fix: Take labels where the image has classes, any batch size, and float32; state a `tolerance` if weights are rounded. Use
    of the generator in load() what a file does not say, such as its image and classes, and never its weights.
    """
    require_packages(subject.entry.distribution, *subject.plugin.packages)
    form = Format(subject.name, subject.plugin(), subject.config)
    for classes in (0, CLASSES):
        case = Case(Dense(), DenseConfig(generator_widths=(16,)), ImageSpec(1, 8, 8, classes))
        with TemporaryDirectory() as folder:
            path, generator = Path(folder) / "export", case.trained_generator("gancli/dense")
            try:
                form.write(generator, path)
            except ExportError as error:
                raise fail(f"With {classes} classes: {error.problem}") from error
            other = deepcopy(generator.network)
            for parameter in other.parameters():
                torch.nn.init.zeros_(parameter)
            draw = form.exporter.load(path, replace(generator, network=other))
            z, labels = latents(range(5), LATENT_DIM), np.arange(5) % CLASSES if classes else None
            if not np.abs(draw(z, labels) - generator.draw(z, labels)).max() <= form.tolerance:
                raise fail("load() generates with the weights of the generator that it is given.")


# -- feature extractors: features of any images, which depend on nothing but the image --


class ExtractorSubject(Subject[FeatureExtractor]):
    """A feature extractor."""

    section = "extractor"

    def network(self) -> torch.nn.Module:
        """What it builds; the check is skipped where its files are missing or would have to be downloaded."""
        plugin = self.plugin()
        refuse_assets(plugin.assets())

        def refuse(what: str) -> None:
            raise skip(f"It would begin to download: {what}")

        return plugin.build(refuse)


_EXTRACTORS = Rules()


@_EXTRACTORS.check(needs="complete")
def features(subject: ExtractorSubject) -> None:
    """build() returns a network from images of any size and 1 to 4 channels to float features (n, d)
    Why: The same extractor judges grey, colour and transparent images; d has to be the same for all of them.
    Fix: Resize what is too small, repeat grey, composite alpha onto a background, and average over places.
    """
    network, widths = subject.network(), set()
    for shape in ((1, 28, 28), (2, 16, 16), (3, 64, 48), (4, 33, 32)):
        features = network(torch.zeros(2, *shape))
        if features.ndim != 2 or len(features) != 2 or not features.is_floating_point():  # noqa: PLR2004  (n and d; two images)
            raise fail(f"Two images of {shape} have features of {features.dtype} {tuple(features.shape)}, not float (2, d).")
        widths.add(features.shape[1])
    if len(widths) > 1:
        raise fail(f"The number of features depends on the size or the channels: {sorted(widths)}.")


@_EXTRACTORS.check(needs="features")
def by_the_image_alone(subject: ExtractorSubject) -> None:
    """The same image has the same features, alone or among others, and other images have others
    Why: Distances are compared across batches, runs and months.
    Fix: Use eval mode, no randomness, and nothing that is computed over a batch.
    """
    network = subject.network().eval()
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        together, alone = network(images), torch.cat([network(image[None]) for image in images])
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-4 * float(together.abs().max())):
        raise fail(f"Alone an image has features that differ by up to {float((together - alone).abs().max()):.3g}.")
    if torch.allclose(together[0], together[1]):
        raise fail("Two different images have the same features.")


CHECKS: dict[str, tuple[type[Subject[Any]], Sequence[Check]]] = {
    "gancli.datasets": (DatasetSubject, (*LOADING, *IDENTITY, *PREFERENCES, *_DATASETS)),
    "gancli.objectives": (ObjectiveSubject, (*LOADING, *IDENTITY, *OPTIONS, *PREFERENCES, *_OBJECTIVES)),
    "gancli.optimizers": (OptimizerSubject, (*LOADING, *IDENTITY, *OPTIONS, *_OPTIMIZERS)),
    "gancli.exporters": (ExporterSubject, (*LOADING, *IDENTITY, *OPTIONS, *_EXPORTERS)),
    "gancli.extractors": (ExtractorSubject, (*LOADING, *IDENTITY, *_EXTRACTORS)),
    "gancli.loggers": (Subject, (*LOADING, *IDENTITY)),  # of which only what they say about themselves is checked
    "gancli.commands": (Subject, LOADING),  # of which only the import is checked
}
"""Of each entry-point group the subject and every check; each comes after those that it needs."""
