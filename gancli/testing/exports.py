"""Checks that the generator can leave Python: torch.export and ONNX."""

from __future__ import annotations

import importlib.util
import logging
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import torch

from gancli.models.onnx_model import import_onnxruntime
from gancli.testing.checks import Rules, fail, flag, skip
from gancli.testing.subject import ArchitectureSubject

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gancli.testing.subject import Case

__all__ = ["EXPORTS"]

EXPORTS = Rules[ArchitectureSubject]()
_PARITY = 1e-4


@EXPORTS.add(
    "export",
    "torch.export takes the generator, for any number of images, and the result generates the same",
    why="Users take their generators elsewhere: `gancli export`.",
    fix="Let no Python number depend on a tensor's values or on the size of the batch: z.shape[0] instead of len(z), no "
    "`if x.sum() > 0`.",
    needs=("batch-independent",),
)
@torch.no_grad()
def _exports(subject: ArchitectureSubject) -> None:
    for case in subject.smallest:
        generator = case.build_redrawn().generator.eval()
        generator(*case.inputs(1))  # buffers that the first forward pass makes
        program = torch.export.export(generator, case.inputs(2), dynamic_shapes=_any_number(case), strict=False)
        for n in (5, 1):
            inputs = case.inputs(n)
            gap = (program.module()(*inputs) - generator(*inputs)).abs().max()
            if not gap <= _PARITY:
                raise fail(f"For {case}, {n} images of the exported generator differ by {gap:.2g}.")


@EXPORTS.add(
    "export-onnx",
    "ONNX takes the generator, and onnxruntime generates the same",
    why="Browsers, phones and other languages read ONNX.",
    fix="Use operations that ONNX has, if your users should have it; the message names the one that it lacks.",
    needs=("export",),
)
@torch.no_grad()
def _exports_to_onnx(subject: ArchitectureSubject) -> None:
    needed = ("onnx", "onnxscript", "onnxruntime")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise skip(f"{' and '.join(missing)} are not installed.")
    for case in subject.smallest:
        generator = case.build_redrawn().generator.eval()
        inputs = case.inputs(5)
        expected = generator(*inputs)
        try:
            gap = (_generated_by_onnx(generator, case, inputs) - expected).abs().max()
        except Exception as error:
            reason = shorten(str(error.__cause__ or error), 200, placeholder=" ...")
            raise flag(f"For {case}, ONNX does not take the generator: {reason}") from error
        if not gap <= _PARITY:
            raise fail(f"For {case}, images of onnxruntime differ by {gap:.2g}.")


def _generated_by_onnx(generator: nn.Module, case: Case, inputs: tuple[Tensor, ...]) -> Tensor:
    onnxruntime = import_onnxruntime()
    shapes = _any_number(case)
    logging.disable(logging.WARNING)  # about packages that are not installed and not needed
    try:
        program = torch.onnx.export(generator, case.inputs(2), dynamo=True, dynamic_shapes=shapes, verbose=False)
    finally:
        logging.disable(logging.NOTSET)
    if program is None:
        raise RuntimeError("torch.onnx.export returns nothing")
    model = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    given = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    (images,) = session.run(None, given)
    return torch.from_numpy(images)


def _any_number(case: Case) -> tuple[dict[int, Any], ...]:
    """The first dimension of every input may have any size; one that the network fixes is an error."""
    return tuple({0: torch.export.Dim.DYNAMIC} for _ in case.inputs(1))
