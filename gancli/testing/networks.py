"""Checks of the networks: what goes in and comes out, and what a checkpoint holds."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gancli.gan.state import load_strictly
from gancli.plugin import Networks, TwoStageGenerator
from gancli.testing.checks import Rules, fail, flag, skip
from gancli.testing.subject import ArchitectureSubject, all_of, differing, states

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.testing.subject import Case

__all__ = ["NETWORKS"]

NETWORKS = Rules[ArchitectureSubject]()

_ROUNDING = 1e-4
"""Largest difference, on a range of 2, that the size of a batch may make to an image."""
_SAME = 1e-6
"""Difference that rounding alone may make between two rows of a batch."""
_FAR = 1e3
"""Factor of images and weights that drives a bounded logit to its bound, and an unbounded one far beyond."""
_LARGE = 10.0
"""Mean size of a pixel that is not on the scale of [-1, 1]."""


@NETWORKS.add(
    "builds",
    "It builds networks for every kind of images that it says it supports",
    why="supports() is asked before a training; after that, nothing may go wrong any more.",
    fix="Return Networks(generator, discriminator), float32 on the CPU and initialised (no Lazy modules), or let supports() "
    "answer with the reason.",
    needs=("reasons", "assets"),
)
def _builds(subject: ArchitectureSubject) -> None:
    for case in subject.cases:
        networks = case.build()
        if not isinstance(networks, Networks):
            raise fail(f"For {case}, build() returns {type(networks).__name__}, not gancli.plugin.Networks.")
        for role, network in all_of(networks).items():
            if not isinstance(network, nn.Module):
                raise fail(f"For {case}, the {role} is {type(network).__name__}, not a torch.nn.Module.")
            if role in {"generator", "discriminator"} and next(network.parameters(), None) is None:
                raise fail(f"For {case}, the {role} has no parameters.")
            for name, value in network.state_dict().items():
                if not isinstance(value, torch.Tensor):
                    raise fail(f"For {case}, {role}/{name} is {type(value).__name__}, not a tensor.")
                if is_lazy(value):
                    raise fail(f"For {case}, {role}/{name} has no shape before the first forward pass.")
                if value.device.type != "cpu" or (value.is_floating_point() and value.dtype != torch.float32):
                    found = f"{value.dtype} on {value.device}"
                    raise fail(f"For {case}, {role}/{name} is {found}, not float32 on the CPU.")


@NETWORKS.add(
    "images",
    "The generator turns (n, latent_dim) into float32 (n, c, h, w)",
    why="Everything that generates images counts on it.",
    fix="Reshape at the end, take latent_dim and image from build()'s arguments, and use no other constants.",
    needs=("builds",),
)
def _images_fit(subject: ArchitectureSubject) -> None:
    for case in subject.cases:
        for training in (True, False):
            generator = case.build().generator.train(training)
            images, expected = generator(*case.inputs(4)), (4, *case.image.shape)
            fits = isinstance(images, torch.Tensor) and images.shape == expected
            if not fits or images.dtype != torch.float32:
                raise fail(f"For {case}, 4 latents become {_shown(images)}, not float32 {expected}.")


@NETWORKS.add(
    "range",
    "Pixels are finite, and on the scale of [-1, 1]",
    why="-1 is black and 1 is white; what lies outside is clamped when it becomes pixels, which loses detail.",
    fix="End the generator with tanh, or with a layer without activation whose values stay about that large.",
    needs=("images",),
)
def _pixels_are_in_range(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        fresh, redrawn = (networks.generator(*case.inputs(8)).detach() for networks in (case.build(), case.build_redrawn()))
        if not (fresh.isfinite().all() and redrawn.isfinite().all()):
            raise fail(f"For {case}, a pixel is not finite.")
        if min(fresh.min(), redrawn.min()) >= 0:
            raise flag(f"For {case}, no pixel is below 0: black is -1.")
        if fresh.abs().mean() > _LARGE:
            raise flag(f"For {case}, pixels of a fresh generator are {fresh.abs().mean():.3g} in size.")


@NETWORKS.add(
    "logits",
    "The discriminator turns (n, c, h, w) into float32 (n,) or (n, k)",
    why="Logits of other shapes would be averaged or broadcast wrongly in a loss.",
    fix="End with `.squeeze(1)` for one logit per image, or with `.flatten(1)` for k of them, as a patch discriminator does.",
    needs=("builds",),
)
def _logits_fit(subject: ArchitectureSubject) -> None:
    for case in subject.cases:
        for training in (True, False):
            discriminator = case.build().discriminator.train(training)
            logits = discriminator(case.images(4), *case.conditions(4))
            fits = isinstance(logits, torch.Tensor) and logits.dim() in {1, 2} and len(logits) == 4  # noqa: PLR2004
            if not fits or logits.dtype != torch.float32:
                raise fail(f"For {case}, 4 images become {_shown(logits)}, not float32 (4,) or (4, k).")


@NETWORKS.add(
    "free-logits",
    "Logits are finite and not bounded",
    why="The losses contain the sigmoid; a second one flattens all gradients.",
    fix="End with a linear layer: no sigmoid, no tanh.",
    needs=("logits",),
)
def _logits_are_free(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        discriminator = case.build_redrawn().discriminator.eval()
        images, conditions = case.images(8), case.conditions(8)
        with torch.no_grad():
            near, far = discriminator(images, *conditions), discriminator(_FAR * images, *conditions)
        if not (far.isfinite().all() and near.isfinite().all()):
            raise fail(f"For {case}, a logit is not finite.")
        if far.abs().max() <= 1 and not _weights_free_logits(discriminator, images, conditions):
            bounds = f"[{far.min():.2g}, {far.max():.2g}]"
            raise fail(f"For {case}, logits stay in {bounds} whatever the image and whatever the weights.")


@torch.no_grad()
def _weights_free_logits(discriminator: nn.Module, images: Tensor, conditions: tuple[Tensor, ...]) -> bool:
    """Whether a larger weight leads beyond 1: so it does behind a layer norm, which bounds features, never in a sigmoid."""
    for parameter in reversed(list(discriminator.parameters())):  # the last layer is the likeliest
        before = parameter.clone()
        parameter.mul_(_FAR)
        if discriminator(images, *conditions).abs().max() > 1:
            return True
        parameter.copy_(before)
    return False


@NETWORKS.add(
    "labels",
    "Labels change images and logits",
    why="A conditional model that ignores its labels trains without an error, and every class looks alike.",
    fix="Embed the labels in both networks when image.classes > 0, or let supports() refuse classes.",
    needs=("images", "logits"),
)
@torch.no_grad()
def _labels_matter(subject: ArchitectureSubject) -> None:
    cases = [case for case in subject.smallest if case.image.classes]
    if not cases:
        raise skip("It supports no classes.")
    for case in cases:
        networks = case.build_redrawn()
        z, images = (x[:1].expand(3, *x.shape[1:]) for x in (case.inputs(1)[0], case.images(1)))
        labels = torch.arange(3) % case.image.classes
        fake, logits = networks.generator.eval()(z, labels), networks.discriminator.eval()(images, labels)
        if torch.allclose(fake[0], fake[1], atol=_SAME):
            raise fail(f"For {case}, classes 0 and 1 give the same image.")
        if torch.allclose(logits[0], logits[1], atol=_SAME):
            raise fail(f"For {case}, an image has the same logits as class 0 and as class 1.")


@NETWORKS.add(
    "source",
    "Source images change what is generated",
    why="A translator that ignores its input trains without an error, and generates anything.",
    fix="Take the source images as the last input of both networks, or let supports() refuse images with a source.",
    needs=("images", "logits"),
)
@torch.no_grad()
def _sources_matter(subject: ArchitectureSubject) -> None:
    cases = [case for case in subject.smallest if case.image.source]
    if not cases:
        raise skip("Its generator reads no source images.")
    for case in cases:
        generator = case.build_redrawn().generator.eval()
        *inputs, source = case.inputs(2)
        if torch.allclose(generator(*inputs, source), generator(*inputs, source.flip(0)), atol=_SAME):
            raise fail(f"For {case}, other source images give the same images.")


@NETWORKS.add(
    "stages",
    "A generator of two stages is synthesis(mapping(z)), with the running mean of w",
    why="Truncation, interpolation and style mixing in w would show other images than the generator's own.",
    fix="Let forward() be `self.synthesis(self.mapping(z, *conditions))`, and register mean_w (w_dim,) as a buffer.",
    needs=("images",),
)
@torch.no_grad()
def _stages_fit(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        generator = case.build_redrawn().generator.eval()
        if not isinstance(generator, TwoStageGenerator):
            stages = {name for name in ("mapping", "synthesis", "mean_w") if hasattr(generator, name)}
            if {"mapping", "synthesis"} <= stages:
                raise flag(f"For {case}, the generator has both stages and no mean_w, so it is used as one.")
            raise skip("Its generator has one stage.")
        inputs = case.inputs(3)
        w = generator.mapping(*inputs)
        if w.dim() not in {2, 3} or len(w) != 3:  # noqa: PLR2004  (the three latents)
            raise fail(f"For {case}, mapping() gives {_shown(w)}, not (3, w_dim) or (3, layers, w_dim).")
        if generator.mean_w.shape != w.shape[-1:] or "mean_w" not in generator.state_dict():
            raise fail(f"For {case}, mean_w is {_shown(generator.mean_w)}, not a stored buffer ({w.shape[-1]},).")
        for what, inner in (("mapping(z)", w), ("one w for all layers", generator.mean_w.expand(3, -1))):
            images = generator.synthesis(inner)
            if images.shape != (3, *case.image.shape):
                raise fail(f"For {case}, synthesis() of {what} gives {_shown(images)}.")
            if inner is w and not torch.allclose(images, generator(*inputs), atol=_ROUNDING):
                raise fail(f"For {case}, synthesis(mapping(z)) is another image than G(z).")
        before = generator.mean_w.clone()
        generator.train()(*inputs)
        if torch.equal(before, generator.mean_w):
            raise fail(f"For {case}, mean_w stays as it is in training.")


@NETWORKS.add(
    "copies",
    "Generators can be copied",
    why="The EMA of the generator, from which images are sampled by default, is a copy.",
    fix="Keep no results of a forward pass and no open files in attributes; for weight norm use "
    "torch.nn.utils.parametrizations.",
    needs=("images",),
)
def _can_be_copied(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        networks = case.build()
        networks.generator(*case.inputs(2))
        for name in ("generator", *networks.ema):
            network = all_of(networks).get(name)
            if network is None:
                raise fail(f"For {case}, `ema` names '{name}', which is not one of the networks.")
            if found := differing(states({name: network}), states({name: copy.deepcopy(network)})):
                raise fail(f"For {case}, the copy's {found} differs.")


@NETWORKS.add(
    "state-dict",
    "Parameters and buffers are all there is: loaded strictly, they give the same results",
    why="A checkpoint holds nothing else. calibrate() included, a loaded model would not be the one that was stored.",
    fix="Register what is not a parameter by register_buffer in __init__ (persistent, which is the default; non-persistent "
    "only what never changes).",
    needs=("images", "logits"),
)
def _states_are_complete(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        first, second = case.build(1), case.build(2)
        case.plugin.calibrate(first, case.images(1)[0])
        fake = first.generator(*case.inputs(8)).detach()  # running statistics move
        first.discriminator(fake, *case.conditions(8))
        for role, network in all_of(first).items():
            stored = {name: value.clone() for name, value in network.state_dict().items()}
            load_strictly(all_of(second)[role], stored, role)
        z, *conditions = case.inputs(3)
        for role, given in (("generator", z), ("discriminator", case.images(3))):
            one, other = (_results(all_of(x)[role], given, *conditions) for x in (first, second))
            if not torch.equal(one, other):
                raise fail(f"For {case}, a {role} with the loaded state gives other results than the stored one.")


@torch.no_grad()
def _results(network: nn.Module, *inputs: Tensor) -> Tensor:
    """In eval mode, and with the same random numbers every time, should there be any."""
    torch.manual_seed(0)
    result: Tensor = network.eval()(*inputs)
    return result


@NETWORKS.add(
    "eval-deterministic",
    "In eval mode the same latents give the same image, and nothing changes",
    why="One seed is one image: users find an image again by its seed.",
    fix="Use no randomness in eval mode (dropout, noise) and move no statistics: look at `self.training`, or make the noise "
    "part of the latent.",
    needs=("images",),
)
@torch.no_grad()
def _eval_is_deterministic(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        generator, inputs = _settled(case), case.inputs(2)
        numbers, state = torch.get_rng_state(), states({"generator": generator})
        first, second = generator(*inputs), generator(*inputs)
        if not torch.equal(first, second):
            raise fail(f"For {case}, the same latents give another image the second time, in eval mode.")
        if not torch.equal(numbers, torch.get_rng_state()):
            raise fail(f"For {case}, generating in eval mode uses up random numbers.")
        if name := differing(state, states({"generator": generator})):
            raise fail(f"For {case}, generating in eval mode changes {name}.")


@NETWORKS.add(
    "batch-independent",
    "In eval mode an image does not depend on how many are generated with it, one alone included",
    why="Seed 7 would be another image in a grid than by itself.",
    fix="Use running statistics in eval mode (as BatchNorm does), and squeeze no dimension without naming it.",
    needs=("eval-deterministic",),
)
def _batches_do_not_matter(subject: ArchitectureSubject) -> None:
    for case in subject.cases:
        generator, inputs = _settled(case), case.inputs(5)
        for size in (1, 3):
            gap = _gap(generator, inputs, size)
            if not gap <= _ROUNDING and not _is_rounding(generator, inputs, size):
                raise fail(f"For {case}, an image generated {size} at a time differs by {gap:.2g} from the same among 5.")


@torch.no_grad()
def _gap(generator: nn.Module, inputs: tuple[Tensor, ...], size: int) -> float:
    """Largest difference of a pixel between images generated ``size`` at a time and all together."""
    parts = zip(*(torch.split(x, size) for x in inputs), strict=True)
    return float((torch.cat([generator(*part) for part in parts]) - generator(*inputs)).abs().max())


def _is_rounding(generator: nn.Module, inputs: tuple[Tensor, ...], size: int) -> bool:
    """Whether the difference is gone in float64: weights can be large enough to magnify rounding."""
    doubled = tuple(x.double() if x.is_floating_point() else x for x in inputs)
    try:
        return _gap(copy.deepcopy(generator).double(), doubled, size) <= _SAME
    except RuntimeError:  # it computes with float32 constants of its own
        return False


@torch.no_grad()
def _settled(case: Case) -> nn.Module:
    """A generator in eval mode that has seen a few batches, so that running statistics have moved."""
    generator = case.build_redrawn().generator
    for _ in range(3):
        generator(*case.inputs(16))
    return generator.eval()


def _shown(value: object) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
