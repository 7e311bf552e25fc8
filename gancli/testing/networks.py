"""Checks of the two networks: what goes in and comes out, where chance comes from, and what a checkpoint holds."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from gancli.gan.state import load_strictly
from gancli.plugin import Networks
from gancli.testing.checks import Check, fail, skip
from gancli.testing.subject import LATENT_DIM, equal, state_of

if TYPE_CHECKING:
    from torch import Tensor

    from gancli.testing.subject import ArchitectureSubject, Case

__all__ = ["NETWORKS"]

_ROUNDING = 1e-4
"""Largest difference, on a range of 2, that the size of a batch may make to a picture."""
_SAME = 1e-6
"""Difference that rounding alone may make between two rows of a batch."""
_FAR = 1e3
"""Factor of latents and pictures that drives a bounded output to its bound, and an unbounded one far beyond."""


def _builds(subject: ArchitectureSubject) -> None:
    for case in subject.cases:
        networks = case.build()
        if not isinstance(networks, Networks):
            raise fail(f"For {case}, build() returns {type(networks).__name__}, not gancli.plugin.Networks.")
        for player in ("generator", "discriminator"):
            network = getattr(networks, player)
            if not isinstance(network, nn.Module):
                raise fail(f"For {case}, the {player} is {type(network).__name__}, not a torch.nn.Module.")
            if not any(True for _ in network.parameters()):
                raise fail(f"For {case}, the {player} has no parameters.")
            for name, value in network.state_dict().items():
                if value.device.type != "cpu" or (value.is_floating_point() and value.dtype != torch.float32):
                    raise fail(f"For {case}, {player}/{name} is {value.dtype} on {value.device}, not float32 on the CPU.")


def _pictures_fit(subject: ArchitectureSubject) -> None:
    for case in subject.cases:
        for mode in (True, False):
            pictures = _drawn(case.build().generator.train(mode), case, 4)
            expected = (4, *case.image.shape)
            if not isinstance(pictures, torch.Tensor) or pictures.shape != expected or pictures.dtype != torch.float32:
                raise fail(f"For {case}, 4 latents become {_shown(pictures)}, not float32 {expected}.")


def _pictures_are_in_range(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        for networks, scale in ((case.build(), 1.0), (case.build_generic(), 1.0), (case.build_generic(), _FAR)):
            pictures = networks.generator(*case.latents(8, scale)).detach()
            if not pictures.isfinite().all():
                raise fail(f"For {case}, a pixel is not finite.")
            if pictures.abs().max() > 1:
                raise fail(f"For {case}, a pixel is {pictures.abs().max():.3g} in size.")


def _logits_fit(subject: ArchitectureSubject) -> None:
    for case in subject.cases:
        for mode in (True, False):
            logits = case.build().discriminator.train(mode)(case.pictures(4), *case.labels(4))
            if not isinstance(logits, torch.Tensor) or logits.shape != (4,) or logits.dtype != torch.float32:
                raise fail(f"For {case}, 4 pictures become {_shown(logits)}, not float32 (4,).")


def _logits_are_free(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        far = case.build_generic().discriminator.eval()(_FAR * case.pictures(8), *case.labels(8)).detach()
        near = case.build_generic().discriminator.eval()(case.pictures(8), *case.labels(8)).detach()
        if not (far.isfinite().all() and near.isfinite().all()):
            raise fail(f"For {case}, a logit is not finite.")
        if far.abs().max() <= 1 and not _weights_free_logits(case):
            raise fail(
                f"For {case}, logits stay in [{far.min():.2g}, {far.max():.2g}] whatever the picture and whatever the weights."
            )


@torch.no_grad()
def _weights_free_logits(case: Case) -> bool:
    """Whether a larger weight leads beyond 1: so it does behind a layer norm, which bounds features, and never in a sigmoid."""
    discriminator = case.build_generic().discriminator.eval()
    inputs = (case.pictures(8), *case.labels(8))
    for parameter in reversed(list(discriminator.parameters())):  # the last layer is the likeliest
        before = parameter.clone()
        parameter.mul_(_FAR)
        if discriminator(*inputs).abs().max() > 1:
            return True
        parameter.copy_(before)
    return False


def _batches_do_not_matter(subject: ArchitectureSubject) -> None:
    for case in subject.cases:
        generator = _settled(case)
        inputs = case.latents(5)
        for size in (1, 3):
            gap = _gap(generator, inputs, size)
            if not gap <= _ROUNDING and not _is_rounding(generator, inputs, size):
                raise fail(f"For {case}, a picture drawn {size} at a time differs by {gap:.2g} from one drawn with 4 others.")


@torch.no_grad()
def _gap(generator: nn.Module, inputs: tuple[Tensor, ...], size: int) -> float:
    """Largest difference of a pixel between pictures drawn ``size`` at a time and all together."""
    split = torch.cat([generator(*parts) for parts in zip(*(torch.split(x, size) for x in inputs), strict=True)])
    return float((split - generator(*inputs)).abs().max())


def _is_rounding(generator: nn.Module, inputs: tuple[Tensor, ...], size: int) -> bool:
    """Whether the difference is gone in float64: weights drawn at random can be large enough to magnify rounding."""
    latents, *labels = inputs
    try:
        return _gap(copy.deepcopy(generator).double(), (latents.double(), *labels), size) <= _SAME
    except RuntimeError:  # it computes with float32 constants of its own
        return False


def _eval_is_deterministic(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        generator = _settled(case)
        inputs, before = case.latents(2), torch.get_rng_state()
        with torch.no_grad():
            first, second = generator(*inputs), generator(*inputs)
        if not torch.equal(first, second):
            raise fail(f"For {case}, the same latents give another picture the second time, in eval mode.")
        if not torch.equal(before, torch.get_rng_state()):
            raise fail(f"For {case}, drawing a picture in eval mode uses up random numbers.")


def _states_go_round(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        first, second = case.build(1), case.build(2)
        case.plugin.calibrate(first, case.pictures(1)[0])
        first.generator(*case.latents(8)), first.discriminator(case.pictures(8), *case.labels(8))  # running statistics move
        for player in ("generator", "discriminator"):
            load_strictly(getattr(second, player), state_of_one(getattr(first, player)), player)
        z, pictures, labels = case.latents(3), case.pictures(3), case.labels(3)
        for player, inputs in (("generator", z), ("discriminator", (pictures, *labels))):
            one, other = (_answer(getattr(networks, player), *inputs) for networks in (first, second))
            if not torch.equal(one, other):
                raise fail(f"For {case}, a {player} with the loaded state answers otherwise than the one that was stored.")


def _can_be_copied(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        networks = case.build()
        networks.generator(*case.latents(2))
        copied = copy.deepcopy(networks.generator)
        if name := equal(state_of(networks.generator), state_of(copied)):
            raise fail(f"For {case}, the copy's {name} differs.")


def _labels_matter(subject: ArchitectureSubject) -> None:
    cases = [case for case in subject.smallest if case.image.classes]
    if not cases:
        raise skip("It supports no classes.")
    for case in cases:
        networks = case.build_generic()
        z, pictures = torch.randn(1, LATENT_DIM).expand(3, -1), case.pictures(1).expand(3, -1, -1, -1)
        labels = torch.arange(3) % case.image.classes
        with torch.no_grad():
            drawn, logits = networks.generator.eval()(z, labels), networks.discriminator.eval()(pictures, labels)
        if torch.allclose(drawn[0], drawn[1], atol=_SAME):
            raise fail(f"For {case}, classes 0 and 1 give the same picture.")
        if torch.allclose(logits[0], logits[1], atol=_SAME):
            raise fail(f"For {case}, a picture is judged in the same way as class 0 and as class 1.")


def _drawn(generator: nn.Module, case: Case, n: int) -> Tensor:
    pictures: Tensor = generator(*case.latents(n))
    return pictures


@torch.no_grad()
def _answer(network: nn.Module, *inputs: Tensor) -> Tensor:
    """In eval mode, and with the same random numbers every time, should there be any."""
    torch.manual_seed(0)
    answer: Tensor = network.eval()(*inputs)
    return answer


def _settled(case: Case) -> nn.Module:
    """A generator in eval mode that has seen a few batches, so that running statistics are no longer what they were."""
    generator = case.build_generic().generator
    with torch.no_grad():
        for _ in range(3):
            generator(*case.latents(16))
    return generator.eval()


def _shown(value: object) -> str:
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__


def state_of_one(network: nn.Module) -> dict[str, Tensor]:
    """Copies of a network's parameters and buffers, as a checkpoint holds them."""
    state = network.state_dict()
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise fail(f"The state holds {name}, which is {type(value).__name__} and no tensor.")
    return {name: value.detach().clone() for name, value in state.items()}


NETWORKS: tuple[Check[ArchitectureSubject], ...] = (
    Check(
        "builds",
        "It builds two networks for every kind of picture that it says it supports",
        "supports() is asked before a training; after that, nothing may go wrong any more.",
        "Return Networks(generator, discriminator), float32 on the CPU, or let supports() answer with the reason.",
        _builds,
        ("reasons",),
    ),
    Check(
        "pictures",
        "The generator turns (n, latent_dim) into float32 (n, c, h, w)",
        "Everything that draws counts on it.",
        "Reshape at the end, take latent_dim and image from build()'s arguments, and use no other constants.",
        _pictures_fit,
        ("builds",),
    ),
    Check(
        "range",
        "Pixels are finite and in [-1, 1], whatever the weights and latents",
        "Pictures are stored as bytes: what lies outside is cut off, and the discriminator sees what real pictures never are.",
        "End the generator with tanh.",
        _pictures_are_in_range,
        ("pictures",),
    ),
    Check(
        "logits",
        "The discriminator turns (n, c, h, w) into float32 (n,)",
        "A loss of (n, 1) and (n,) is silently taken over all n x n pairs.",
        "End with `.squeeze(1)` or `.flatten(0)`.",
        _logits_fit,
        ("builds",),
    ),
    Check(
        "free-logits",
        "Logits are finite and not bounded",
        "The losses contain the sigmoid; a second one flattens all gradients.",
        "End with a linear layer: no sigmoid, no tanh.",
        _logits_are_free,
        ("logits",),
    ),
    Check(
        "labels",
        "Labels change the picture and the judgement",
        "A conditional model that ignores its labels trains without an error, and every class looks alike.",
        "Embed the labels in both networks when image.classes > 0, or let supports() refuse classes.",
        _labels_matter,
        ("pictures", "logits"),
    ),
    Check(
        "copies",
        "The generator can be copied",
        "The averaged generator, from which pictures are drawn by default, is a copy.",
        "Keep no results of a forward pass, and no open files, in attributes.",
        _can_be_copied,
        ("pictures",),
    ),
    Check(
        "state-dict",
        "Parameters and buffers are all there is: loaded strictly, they give the same answers",
        "A checkpoint holds nothing else. calibrate() included, a loaded model would not be the one that was stored.",
        "Register what is not a parameter by register_buffer (persistent, which is the default).",
        _states_go_round,
        ("pictures", "logits"),
    ),
    Check(
        "eval-deterministic",
        "In eval mode the same latents give the same picture",
        "One seed is one picture: users find a picture again by its seed.",
        "Draw nothing at random in eval mode (dropout, noise): look at `self.training`, or make the noise part of the latent.",
        _eval_is_deterministic,
        ("pictures",),
    ),
    Check(
        "batch-independent",
        "In eval mode a picture does not depend on how many are drawn with it, one alone included",
        "Seed 7 would be another picture in a grid than by itself.",
        "Use running statistics in eval mode (as BatchNorm does), and squeeze no dimension without naming it.",
        _batches_do_not_matter,
        ("eval-deterministic",),
    ),
)
