"""Checks of networks that play: gradients under every objective, exact resuming, and leaving Python by an export."""

from __future__ import annotations

import importlib.util
import logging
from typing import TYPE_CHECKING, Any

import torch

from gancli.config.resolve import load_objective
from gancli.config.schema import TrainConfig
from gancli.data.batches import Batches
from gancli.errors import GancliError
from gancli.gan.build import assemble
from gancli.gan.trainer import Trainer
from gancli.plugins.registry import OBJECTIVES
from gancli.runtime.device import Runtime
from gancli.storage.tensors import decode, encode
from gancli.testing.checks import Check, fail, flag, skip
from gancli.testing.subject import LATENT_DIM, equal
from gancli.training.setup import mean_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from gancli.plugin import Networks, Objective
    from gancli.testing.subject import ArchitectureSubject, Case

__all__ = ["PLAY"]

_BATCH_SIZE = 8
_STEPS = 4
_PARITY = 1e-4


def _gradients_arrive(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        for name, objective in _objectives():
            networks = case.build_generic()
            trainer = _trainer(networks, case, objective)
            trainer.step(0.0, ramp=0.0)  # step size 0: the gradients are what is looked at
            if missed := _unreached(networks.generator):
                raise fail(f"For {case}, under '{name}', no gradient reaches the generator's {', '.join(missed[:5])}.")
            missed = _unreached(networks.discriminator)
            missed = [parameter for parameter in missed if not _may_miss(networks, case, objective, parameter)]
            if missed:
                raise fail(f"For {case}, under '{name}', no gradient reaches the discriminator's {', '.join(missed[:5])}.")


def _objectives() -> Iterator[tuple[str, Objective]]:
    """The installed ones, with their default options; one that cannot be loaded is another plugin's trouble."""
    for entry in OBJECTIVES.entries():
        try:
            yield entry.qualified, OBJECTIVES.load_entry(entry)()
        except (GancliError, ValueError):
            continue


def _unreached(network: nn.Module) -> list[str]:
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    return [name for name, p in named if p.grad is None or not p.grad.any() or not p.grad.isfinite().all()]


def _may_miss(networks: Networks, case: Case, objective: Objective, name: str) -> bool:
    """Whether a parameter of D has no gradient by the nature of the loss, and not by a fault of the networks.

    A loss of differences D(x) - D(G(z)) (relativistic, Wasserstein) does not change when both logits of a pair move alike; a
    parameter that moves them alike, as the last bias does, has no gradient under it, and needs none. Exactly that is allowed:
    the loss is one of differences, and the parameter moves every logit, but no difference.
    """
    real, fake = torch.randn(_BATCH_SIZE), torch.randn(_BATCH_SIZE)
    loss, shifted = (objective.discriminator_loss(real + shift, fake + shift) for shift in (0.0, 1.0))
    if not torch.allclose(loss, shifted, atol=1e-5):
        return False
    parameter = networks.discriminator.get_parameter(name)
    labels = case.labels(_BATCH_SIZE)
    real_logits, fake_logits = (networks.discriminator(case.pictures(_BATCH_SIZE), *labels) for _ in range(2))
    pairs = zip(real_logits, fake_logits, strict=True)
    return all(_gradient(r, parameter).any() and not _gradient(r - f, parameter).any() for r, f in pairs)


def _gradient(value: Tensor, parameter: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(value, parameter, retain_graph=True, allow_unused=True)
    return torch.zeros(1) if gradient is None else gradient


def _judges_one_by_one(subject: ArchitectureSubject) -> None:
    config = subject.resolve()
    objective = load_objective(config)
    for case in subject.smallest:
        pictures = case.pictures(4).requires_grad_()
        logits = case.build_generic().discriminator(pictures, *case.labels(4))
        if not _gradient(logits[0], pictures)[1:].any():
            continue
        terms = [name for name in ("r1_gamma", "r2_gamma", "gradient_penalty") if getattr(objective, name)]
        terms += ["the comparison of logits"] if objective.generator_sees_real else []
        if terms:
            chosen = f"the objective '{config.objective.name}' with {' and '.join(terms)}"
            raise flag(f"For {case}, a logit depends on the other pictures of the batch, which does not go with {chosen}.")
        if config.train.real_fake_batch == "joint":
            raise flag(f"For {case}, a logit depends on the other pictures, and real and fake ones come in one batch.")


def _resumes_exactly(subject: ArchitectureSubject) -> None:
    objective = load_objective(subject.resolve())
    for case in subject.smallest:
        whole, halved, fresh = (_trainer(_ready(case), case, objective) for _ in range(3))
        for _ in range(_STEPS):
            whole.step(0.5)
        for _ in range(_STEPS // 2):
            halved.step(0.5)
        stored = {group: encode(tensors) for group, tensors in halved.state.tensors().items()}
        fresh.state.restore({group: decode(data, group) for group, data in stored.items()}, halved.state.counters())
        for _ in range(_STEPS // 2):
            fresh.step(0.5)
        for group, tensors in whole.state.tensors().items():
            if name := equal(tensors, fresh.state.tensors()[group]):
                raise fail(f"For {case}, {group}/{name} ends in other bits when the training stops and goes on.")


def _ready(case: Case) -> Networks:
    networks = case.build()
    case.plugin.calibrate(networks, mean_image(_real(case)))
    return networks


def _real(case: Case) -> Tensor:
    shape = (2 * _BATCH_SIZE, *case.image.shape)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _trainer(networks: Networks, case: Case, objective: Objective) -> Trainer:
    """The game as `gancli train` plays it, on random pictures."""
    real = _real(case)
    labels = torch.arange(len(real)) % case.image.classes if case.image.classes else None
    batches = Batches(real, labels, batch_size=_BATCH_SIZE, seed=0)
    rules = TrainConfig(epochs=1, batch_size=_BATCH_SIZE)
    state, updates = assemble(case.plugin, case.config, objective, networks, rules)
    return Trainer(state, updates, batches, Runtime(torch.device("cpu")), rules=rules, latent_dim=LATENT_DIM)


def _exports(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        generator = case.build_generic().generator.eval()
        with torch.no_grad():
            program = torch.export.export(generator, case.latents(2), dynamic_shapes=_any_number(case), strict=False)
            for n in (5, 1):
                inputs = case.latents(n)
                gap = (program.module()(*inputs) - generator(*inputs)).abs().max()
                if not gap <= _PARITY:
                    raise fail(f"For {case}, the exported generator draws {n} pictures that differ by {gap:.2g}.")


def _exports_to_onnx(subject: ArchitectureSubject) -> None:
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise skip(f"{' and '.join(missing)} are not installed.")
    for case in subject.smallest:
        generator = case.build_generic().generator.eval()
        inputs = case.latents(5)
        with torch.no_grad():
            gap = (_drawn_by_onnx(generator, case, inputs) - generator(*inputs)).abs().max()
        if not gap <= _PARITY:
            raise fail(f"For {case}, onnxruntime draws pictures that differ by {gap:.2g}.")


def _drawn_by_onnx(generator: nn.Module, case: Case, inputs: tuple[Tensor, ...]) -> Tensor:
    from gancli.models.onnx_model import import_onnxruntime

    onnxruntime = import_onnxruntime()
    logging.disable(logging.WARNING)  # about packages that are not installed and not needed
    try:
        program = torch.onnx.export(generator, case.latents(2), dynamo=True, dynamic_shapes=_any_number(case), verbose=False)
    finally:
        logging.disable(logging.NOTSET)
    if program is None:
        raise fail("torch.onnx.export returns nothing.")
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    (drawn,) = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
    return torch.from_numpy(drawn)


def _any_number(case: Case) -> tuple[dict[int, Any], ...]:
    """The first dimension of every input may have any size; one that is fixed by the network is an error."""
    return tuple({0: torch.export.Dim.DYNAMIC} for _ in case.latents(1))


PLAY: tuple[Check[ArchitectureSubject], ...] = (
    Check(
        "gradients",
        "A gradient reaches every parameter, under every installed objective",
        "A parameter without one never learns; it is a layer that was forgotten, or cut off by detach() or no_grad().",
        "Use every layer that you register, for every kind of picture, and register none that you do not need. (A parameter of "
        "D that only moves all logits alike, as the last bias does, may go without under losses of differences.)",
        _gradients_arrive,
        ("copies", "free-logits", "range"),
    ),
    Check(
        "one-by-one",
        "The discriminator judges every picture by itself, as the chosen objective needs it",
        "R1, R2 and gradient penalties are per picture, and the relativistic loss compares logits one by one: batch "
        "normalisation in the discriminator makes them something else.",
        "Use no batch normalisation in the discriminator, or set 'objective.r1_gamma': 0 and 'train.real_fake_batch': "
        "'separate' in `defaults`.",
        _judges_one_by_one,
        ("logits", "defaults"),
    ),
    Check(
        "exact-resume",
        "A training that stops and goes on ends in the same bits as one that never stopped",
        "gancli promises it to its users.",
        "Keep whatever changes while training in buffers: no counters, caches or histories in plain attributes.",
        _resumes_exactly,
        ("copies", "state-dict", "no-other-chance", "defaults"),
    ),
    Check(
        "export",
        "torch.export takes the generator, for any number of pictures, and it draws the same",
        "Users take their generators elsewhere: `gancli export`.",
        "Let no Python number depend on a tensor's values or on the size of the batch: z.shape[0] instead of "
        "len(z), no `if x.sum() > 0`.",
        _exports,
        ("batch-independent",),
    ),
    Check(
        "export-onnx",
        "ONNX takes the generator, and onnxruntime draws the same",
        "Browsers, phones and other languages read ONNX.",
        "Use operations that ONNX has; the message names the one that it has not.",
        _exports_to_onnx,
        ("export",),
    ),
)
