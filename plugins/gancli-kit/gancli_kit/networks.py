"""Checks of the networks: what goes in and comes out, what a checkpoint holds, where randomness comes from, and exports."""

from __future__ import annotations

import copy
import random
import time
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gancli.errors import ExportError, GancliError
from gancli.exporting.formats import choose
from gancli.gan.state import load_strictly
from gancli.plugin import LabellingDiscriminator, Networks, TwoStageGenerator
from gancli_kit.checks import Rules, fail, flag, skip
from gancli_kit.subject import ArchitectureSubject, Case, all_of, differing, states

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORKS = Rules()
EXPORTS = Rules()

_CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")
_ROUNDING = 1e-4  # largest difference, on a range of 2, that the size of a batch or another runtime may make to an image
_SAME = 1e-6  # difference that rounding alone may make between two rows of a batch
_FAR = 1e3  # factor of images and weights that drives a bounded logit to its bound, and an unbounded one far beyond
_LARGE = 10.0  # mean size of a pixel that is not on the scale of [-1, 1]


@NETWORKS.check(each="cases", needs="reasons assets")
def builds(_: ArchitectureSubject, case: Case) -> None:
    """It builds networks for every kind of images that it says it supports
    Why: supports() is asked before a training; after that, nothing may go wrong any more.
    Fix: Return Networks(generator, discriminator), float32 on the CPU and initialised (no Lazy modules), or let
    supports() answer with the reason.
    """
    networks = case.build()
    if not isinstance(networks, Networks):
        raise fail(f"build() returns {type(networks).__name__}, not gancli.plugin.Networks.")
    for role, network in all_of(networks).items():
        if not isinstance(network, nn.Module):
            raise fail(f"the {role} is {type(network).__name__}, not a torch.nn.Module.")
        if role in {"generator", "discriminator"} and next(network.parameters(), None) is None:
            raise fail(f"the {role} has no parameters.")
        for name, value in network.state_dict().items():
            if not isinstance(value, torch.Tensor):
                raise fail(f"{role}/{name} is {type(value).__name__}, not a tensor.")
            if is_lazy(value):
                raise fail(f"{role}/{name} has no shape before the first forward pass.")
            if value.device.type != "cpu" or (value.is_floating_point() and value.dtype != torch.float32):
                raise fail(f"{role}/{name} is {value.dtype} on {value.device}, not float32 on the CPU.")


@NETWORKS.check(each="cases", needs="builds")
def images(_: ArchitectureSubject, case: Case) -> None:
    """The generator turns (n, latent_dim) into float32 (n, c, h, w)
    Why: Everything that generates images counts on it.
    Fix: Reshape at the end, take latent_dim and image from build()'s arguments, and use no other constants.
    """
    expected = (4, *case.image.shape)
    for training in (True, False):
        fake = case.build().generator.train(training)(*case.inputs(4))
        if not isinstance(fake, torch.Tensor) or fake.shape != expected or fake.dtype != torch.float32:
            raise fail(f"4 latents become {_shown(fake)}, not float32 {expected}.")


@NETWORKS.check(each="smallest", needs="images")
def range_(_: ArchitectureSubject, case: Case) -> None:
    """Pixels are finite, and on the scale of [-1, 1]
    Why: -1 is black and 1 is white; values outside are clamped when it becomes pixels, which loses detail.
    Fix: End the generator with tanh, or with a layer without activation whose values stay about that large.
    """
    fresh, redrawn = (networks.generator(*case.inputs(8)).detach() for networks in (case.build(), case.build_redrawn()))
    if not (fresh.isfinite().all() and redrawn.isfinite().all()):
        raise fail("a pixel is not finite.")
    if min(fresh.min(), redrawn.min()) >= 0:
        raise flag("no pixel is below 0: black is -1.")
    if fresh.abs().mean() > _LARGE:
        raise flag(f"pixels of a fresh generator are {fresh.abs().mean():.3g} in size.")


@NETWORKS.check(each="cases", needs="builds")
def logits(_: ArchitectureSubject, case: Case) -> None:
    """The discriminator turns (n, c, h, w) into float32 (n,) or (n, k)
    Why: Logits of other shapes would be averaged or broadcast wrongly in a loss.
    Fix: End with `.squeeze(1)` for one logit per image, or with `.flatten(1)` for k of them, as a patch discriminator does.
    """
    for training in (True, False):
        found = case.build().discriminator.train(training)(case.images(4), *case.conditions(4))
        fits = isinstance(found, torch.Tensor) and found.dim() in {1, 2} and len(found) == 4  # noqa: PLR2004  (the images)
        if not fits or found.dtype != torch.float32:
            raise fail(f"4 images become {_shown(found)}, not float32 (4,) or (4, k).")


@NETWORKS.check(each="smallest", needs="logits")
def free_logits(_: ArchitectureSubject, case: Case) -> None:
    """Logits are finite and not bounded
    Why: The losses contain the sigmoid; a second one flattens all gradients.
    Fix: End with a linear layer: no sigmoid, no tanh.
    """
    discriminator = case.build_redrawn().discriminator.eval()
    given, conditions = case.images(8), case.conditions(8)
    with torch.no_grad():
        near, far = discriminator(given, *conditions), discriminator(_FAR * given, *conditions)
        if not (far.isfinite().all() and near.isfinite().all()):
            raise fail("a logit is not finite.")
        bounded = bool(far.abs().max() <= 1)
        for parameter in reversed(list(discriminator.parameters())):  # the last layer is the likeliest
            if not bounded:
                break
            before = parameter.clone()
            parameter.mul_(_FAR)  # leads beyond 1 behind a layer norm, which bounds features, never in a sigmoid
            bounded = bool(discriminator(given, *conditions).abs().max() <= 1)
            parameter.copy_(before)
    if bounded:
        raise fail(f"logits stay in [{far.min():.2g}, {far.max():.2g}] whatever the image and whatever the weights.")


@NETWORKS.check(each="conditional", needs="images logits")
@torch.no_grad()
def labels(_: ArchitectureSubject, case: Case) -> None:
    """Labels change images and logits
    Why: A conditional model that ignores its labels trains without an error, and every class looks alike.
    Fix: Embed the labels in both networks when image.classes > 0, or let supports() refuse classes.
    """
    networks = case.build_redrawn()
    z, given = (x[:1].expand(3, *x.shape[1:]) for x in (case.inputs(1)[0], case.images(1)))
    classes = torch.arange(3) % case.image.classes
    fake, found = networks.generator.eval()(z, classes), networks.discriminator.eval()(given, classes)
    if torch.allclose(fake[0], fake[1], atol=_SAME):
        raise fail("classes 0 and 1 give the same image.")
    if torch.allclose(found[0], found[1], atol=_SAME):
        raise fail("an image has the same logits as class 0 and as class 1.")


@NETWORKS.check(each="translating", needs="images logits")
def source(_: ArchitectureSubject, case: Case) -> None:
    """Source images change what is generated
    Why: A translator that ignores its input trains without an error, and generates anything.
    Fix: Take the source images as the last input of both networks, or let supports() refuse images with a source.
    """
    if not case.reads_sources(atol=_SAME):
        raise fail("other source images give the same images.")


@NETWORKS.check(each="smallest", needs="images")
@torch.no_grad()
def stages(_: ArchitectureSubject, case: Case) -> None:
    """A generator of two stages is synthesis(mapping(z)), with the running mean of w
    Why: Truncation, interpolation and style mixing in w would show other images than the generator's own.
    Fix: Let forward() be `self.synthesis(self.mapping(z, *conditions))`, and register mean_w (w_dim,) as a buffer.
    """
    generator = case.build_redrawn().generator.eval()
    if not isinstance(generator, TwoStageGenerator):
        if hasattr(generator, "mapping") and hasattr(generator, "synthesis"):
            raise flag("the generator has both stages and no mean_w, so it is used as one.")
        raise skip("Its generator has one stage.")
    inputs = case.inputs(3)
    w = generator.mapping(*inputs)
    if w.dim() not in {2, 3} or len(w) != 3:  # noqa: PLR2004  (the three latents)
        raise fail(f"mapping() gives {_shown(w)}, not (3, w_dim) or (3, layers, w_dim).")
    if generator.mean_w.shape != w.shape[-1:] or "mean_w" not in generator.state_dict():
        raise fail(f"mean_w is {_shown(generator.mean_w)}, not a stored buffer ({w.shape[-1]},).")
    for what, inner in (("mapping(z)", w), ("one w for all layers", generator.mean_w.expand(3, -1))):
        fake = generator.synthesis(inner)
        if fake.shape != (3, *case.image.shape):
            raise fail(f"synthesis() of {what} gives {_shown(fake)}.")
        if inner is w and not torch.allclose(fake, generator(*inputs), atol=_ROUNDING):
            raise fail("synthesis(mapping(z)) is another image than G(z).")
    before = generator.mean_w.clone()
    generator.train()(*inputs)
    if torch.equal(before, generator.mean_w):
        raise fail("mean_w stays as it is in training.")


@NETWORKS.check(each="smallest", needs="images logits")
@torch.no_grad()
def own_labels(_: ArchitectureSubject, case: Case) -> None:
    """Classes that the discriminator finds itself suit both networks
    Why: While they train, both are called with the labels of the real images; everywhere else without.
    Fix: Let label() return int64 (n,), let the discriminator label images that come without, and give the generator an
    optional argument for labels.
    """
    networks, images = case.build_redrawn(), case.images(4)
    discriminator = networks.discriminator.eval()
    if case.image.classes or not isinstance(discriminator, LabellingDiscriminator):
        raise skip("It supports no classes of its own.")
    labels: object = discriminator.label(images)
    if not isinstance(labels, torch.Tensor) or labels.shape != (4,) or labels.dtype != torch.int64:
        raise fail(f"label() gives {_shown(labels)} for 4 images, not int64 (4,).")
    alone, labelled = (networks.discriminator(images, *given) for given in ((), (labels,)))
    if not torch.allclose(alone, labelled, atol=_ROUNDING):
        raise fail("without labels, it gives other logits than with those of label().")
    fake = networks.generator.eval()(*case.inputs(4), labels)
    if fake.shape != (4, *case.image.shape):
        raise fail(f"with labels, the generator gives {_shown(fake)}.")


@NETWORKS.check(each="smallest", needs="images")
def copies(_: ArchitectureSubject, case: Case) -> None:
    """Generators can be copied
    Why: The EMA of the generator, from which images are sampled by default, is a copy.
    Fix: Keep no results of a forward pass and no open files in attributes; for weight norm use
    torch.nn.utils.parametrizations.
    """
    networks = case.build()
    networks.generator(*case.inputs(2))
    for name in ("generator", *networks.ema):
        network = all_of(networks).get(name)
        if network is None:
            raise fail(f"`ema` names '{name}', which is not one of the networks.")
        if found := differing(states({name: network}), states({name: copy.deepcopy(network)})):
            raise fail(f"the copy's {found} differs.")


@NETWORKS.check(each="smallest", needs="images logits")
def state_dict(_: ArchitectureSubject, case: Case) -> None:
    """Parameters and buffers are all there is: loaded strictly, they give the same results
    Why: A checkpoint holds nothing else. calibrate() included, a loaded model would not be the one that was stored.
    Fix: Register what is not a parameter by register_buffer in __init__ (persistent, which is the default; non-persistent
    only what never changes).
    """
    first, second = case.build(1), case.build(2)
    case.plugin.calibrate(first, case.images(1)[0])
    fake = first.generator(*case.inputs(8)).detach()  # running statistics move
    first.discriminator(fake, *case.conditions(8))
    for role, network in all_of(first).items():
        stored = {name: value.clone() for name, value in network.state_dict().items()}
        load_strictly(all_of(second)[role], stored, role)
    z, *conditions = case.inputs(3)
    for role, given in (("generator", z), ("discriminator", case.images(3))):
        results = []
        for networks in (first, second):
            torch.manual_seed(0)  # should there be random numbers in eval mode
            with torch.no_grad():
                results.append(all_of(networks)[role].eval()(given, *conditions))
        if not torch.equal(*results):
            raise fail(f"a {role} with the loaded state gives other results than the stored one.")


@NETWORKS.check(each="smallest", needs="images")
@torch.no_grad()
def eval_deterministic(_: ArchitectureSubject, case: Case) -> None:
    """In eval mode the same latents give the same image, and nothing changes
    Why: One seed is one image: users find an image again by its seed.
    Fix: Use no randomness in eval mode (dropout, noise) and move no statistics: look at `self.training`, or make the
    noise part of the latent.
    """
    generator, inputs = _settled(case), case.inputs(2)
    numbers, state = torch.get_rng_state(), states({"generator": generator})
    first, second = generator(*inputs), generator(*inputs)
    if not torch.equal(first, second):
        raise fail("the same latents give another image the second time, in eval mode.")
    if not torch.equal(numbers, torch.get_rng_state()):
        raise fail("generating in eval mode uses up random numbers.")
    if name := differing(state, states({"generator": generator})):
        raise fail(f"generating in eval mode changes {name}.")


@NETWORKS.check(each="cases", needs="eval-deterministic")
def batch_independent(_: ArchitectureSubject, case: Case) -> None:
    """In eval mode an image does not depend on how many are generated with it, one alone included
    Why: Seed 7 would be another image in a grid than by itself.
    Fix: Use running statistics in eval mode (as BatchNorm does), and squeeze no dimension without naming it.
    """
    generator, inputs = _settled(case), case.inputs(5)
    for size in (1, 3):
        gap = _gap(generator, inputs, size)
        if gap <= _ROUNDING:
            continue
        doubled = tuple(x.double() if x.is_floating_point() else x for x in inputs)
        with suppress(RuntimeError):  # it computes with float32 constants of its own
            if _gap(copy.deepcopy(generator).double(), doubled, size) <= _SAME:
                continue  # weights are large enough to magnify rounding
        raise fail(f"an image generated {size} at a time differs by {gap:.2g} from the same among 5.")


@torch.no_grad()
def _gap(generator: nn.Module, inputs: tuple[Tensor, ...], size: int) -> float:
    """Largest difference of a pixel between images generated ``size`` at a time and all together."""
    parts = zip(*(torch.split(x, size) for x in inputs), strict=True)
    return float((torch.cat([generator(*part) for part in parts]) - generator(*inputs)).abs().max())


@torch.no_grad()
def _settled(case: Case) -> nn.Module:
    """A generator in eval mode that has seen a few batches, so that running statistics have moved."""
    generator = case.build_redrawn().generator
    for _ in range(3):
        generator(*case.inputs(16))
    return generator.eval()


@NETWORKS.check(each="smallest", needs="images logits")
def seed(_: ArchitectureSubject, case: Case) -> None:
    """The same torch.manual_seed gives the same networks, and another seed others
    Why: A run is repeated by its seed, and three seeds are quoted to show how far results vary.
    Fix: Initialise with torch.nn.init and torch's default generator; make no Generator of your own, and seed nothing.
    """
    first, again, other = (_traces(case, number) for number in (1, 1, 2))
    if name := differing(first, again):
        raise fail(f"two builds after the same torch.manual_seed differ: {name}.")
    if differing(first, other) is None:
        raise fail("all seeds give the same weights.")


@NETWORKS.check(each="smallest", needs="seed")
def no_other_chance(_: ArchitectureSubject, case: Case) -> None:
    """Python's and NumPy's random numbers and the clock change nothing
    Why: They are neither seeded nor stored: a resumed run would not end in the same bits.
    Fix: Use torch's random functions, in build() and in forward().
    """
    if name := differing(_traces(case, 1), _traces(case, 1, world=1)):
        raise fail(f"{name} depends on Python's or NumPy's random numbers, or on the clock.")


@NETWORKS.check(each="smallest", needs="seed")
def no_side_effects(_: ArchitectureSubject, case: Case) -> None:
    """build() and forward() leave seeds, default dtype, threads and modes as they are
    Why: They belong to the whole process: to the trainer, to other plugins, and to the user's notebook.
    Fix: Seed nothing and set no global option; build with explicit dtype and device arguments if you need them.
    """
    _traces(case, 1)  # what is imported or made once is made now
    with surroundings(1):
        before = _globals()
        _run(case, 1)
        after = _globals()
        if changed := [name for name in before if before[name] != after[name]]:
            raise fail(f"build() or forward() changes {' and '.join(changed)}.")
        _run(case, 2)
        states_after = torch.get_rng_state()
        _run(case, 1)
        if torch.equal(states_after, torch.get_rng_state()):
            raise fail("build() or forward() seeds torch's default generator.")


def _traces(case: Case, seed: int, *, world: int = 0) -> dict[str, Tensor]:
    """Weights as built, and what generator and discriminator give in training, all after one seed."""
    with surroundings(world):
        return _run(case, seed)


def _run(case: Case, seed: int) -> dict[str, Tensor]:
    networks = case.build(seed)
    traces = states(all_of(networks))
    inputs = case.inputs(4)
    traces["an image"] = images = networks.generator(*inputs).detach()
    traces["a logit"] = networks.discriminator(images, *inputs[1:]).detach()
    return traces


def _globals() -> dict[str, object]:
    """What belongs to the whole process."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  (the global state is what is checked)
    return {
        "NumPy's global random state": (name, np.asarray(keys).tobytes(), *rest),
        "Python's global random state": random.getstate(),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's grad mode": torch.is_grad_enabled(),
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "torch's matmul precision": torch.get_float32_matmul_precision(),
    }


@contextmanager
def surroundings(number: int) -> Iterator[None]:
    """A world with random numbers and clocks of its own; those of the caller are restored."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (as above)
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002  (as above)
    try:
        clocks: dict[str, Any] = {name: partial(next, count(1 + number * 10**6)) for name in _CLOCKS}
        with mock.patch.multiple(time, **clocks), torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002  (as above)


@EXPORTS.check(each="smallest", needs="batch-independent")
@torch.no_grad()
def export(_: ArchitectureSubject, case: Case) -> None:
    """torch.export takes the generator, for any number of images, and the result generates the same
    Why: Users take their generators elsewhere: `gancli export`.
    Fix: Let no Python number depend on a tensor's values or on the size of the batch: z.shape[0] instead of len(z), no
    `if x.sum() > 0`.
    """
    generator = case.build_redrawn().generator.eval()
    generator(*case.inputs(1))  # buffers that the first forward pass makes
    any_number = tuple({0: torch.export.Dim.DYNAMIC} for _ in case.inputs(1))  # that the network fixes one is an error
    program = torch.export.export(generator, case.inputs(2), dynamic_shapes=any_number, strict=False)
    for n in (5, 1):
        inputs = case.inputs(n)
        gap = (program.module()(*inputs) - generator(*inputs)).abs().max()
        if not gap <= _ROUNDING:
            raise fail(f"{n} images of the exported generator differ by {gap:.2g}.")


@EXPORTS.check(each="smallest", needs="export")
def export_onnx(_: ArchitectureSubject, case: Case) -> None:
    """ONNX takes the generator, and ONNX Runtime generates the same
    Why: Browsers, phones and other languages read ONNX.
    Fix: Use operations that ONNX has, if your users should have it; the message names the one that it lacks.
    """
    try:
        form = choose(Path("generator.onnx"))
    except GancliError as error:
        raise skip(f"onnx: {error}") from error
    generator = case.trained_generator()
    z, classes, *_unused = (*(x.numpy() for x in case.inputs(5)), None)
    given = (z, classes) if case.image.source is None else (case.conditions(5)[-1].numpy(), None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "generator.onnx"
        try:
            form.exporter.export(generator, path, form.options)
        except ExportError as error:
            raise flag(f"ONNX does not take the generator: {shorten(error.problem, 200, placeholder=' ...')}") from error
        gap = np.abs(form.exporter.load(path, generator)(*given) - generator.draw(*given)).max()
    if not gap <= _ROUNDING:
        raise fail(f"images of ONNX Runtime differ by {gap:.2g}.")


def _shown(value: object) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
