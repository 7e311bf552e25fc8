"""The formats, and the one way to write any of them.

draft -> compared with the generator -> stamped with the difference -> written beside the target -> read again -> loaded again
-> compared again -> moved into place. So a file that is there is one that draws what the generator draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gancli.errors import CheckpointError, ExportError, UsageError, did_you_mean
from gancli.plugins.extras import require

if TYPE_CHECKING:
    from pathlib import Path

    from gancli.export.parity import Draw
    from gancli.models.model import Model

__all__ = ["FORMATS", "Exported", "Format", "Options", "Verified", "choose", "export", "verified"]

FP32_TOLERANCE = 1e-4
"""Largest difference in [-1, 1] of pictures computed in float32 by other means: sums in another order differ by some 1e-6,
one level of 8 bits is 7.8e-3, so that at most one pixel in a hundred can round to the neighbouring level."""

UINT8_TOLERANCE = 0.5 / 127.5 + FP32_TOLERANCE
"""Bytes are off by half a level at most, besides."""

FP16_TOLERANCE = 2 / 255
"""Weights in float16: one level of 8 bits."""


@dataclass(frozen=True, slots=True)
class Options:
    """What some formats can be asked for.

    Attributes:
        opset: version of ONNX's operations.
        uint8: pictures as bytes, in three channels.
        arch: ``FILE.py:CLASS``, where the architecture was a file; it is needed to build the network again.
    """

    opset: int | None = None
    uint8: bool = False
    arch: str | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file.

    Attributes:
        module: has ``encode(model, **options) -> bytes``, ``reload(bytes, **options) -> Draw`` and
            ``stamp(bytes, difference) -> bytes``, which stores the difference to the generator in the file.
        summary: what it is for.
        extra: the extra of gancli that installs what it needs, if it needs anything.
        packages: these packages.
        tolerance: largest difference to the generator, in [-1, 1].
        handy_bytes: beyond which it is no pleasure to use, if there is such a size.
        encodes: the options that ``encode`` takes.
        reloads: the options that ``reload`` takes.
    """

    module: str
    summary: str
    extra: str = ""
    packages: tuple[str, ...] = ()
    tolerance: float = FP32_TOLERANCE
    handy_bytes: int | None = None
    encodes: tuple[str, ...] = ()
    reloads: tuple[str, ...] = ()


FORMATS = {
    ".onnx": Format(
        module="gancli.export.onnx",
        summary="for ONNX Runtime and whatever else reads ONNX",
        extra="onnx",
        packages=("onnx", "onnxscript", "onnxruntime"),
        encodes=("opset", "uint8"),
    ),
    ".safetensors": Format(
        module="gancli.export.safetensors", summary="the weights alone, to share and to load again", reloads=("arch",)
    ),
    ".pt2": Format(module="gancli.export.pt2", summary="for PyTorch without gancli (torch.export.load)"),
    ".html": Format(
        module="gancli.export.html",
        summary="a page that draws in any browser",
        tolerance=FP16_TOLERANCE,
        handy_bytes=8_000_000,
    ),
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        path: the file.
        size: its bytes.
        difference: largest difference to the generator, in [-1, 1].
        tolerance: the difference that would have been allowed.
        notes: sentences that the user should read.
    """

    path: Path
    size: int
    difference: float
    tolerance: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """The content of a file, and by how much what it draws differs from what the generator draws, in [-1, 1]."""

    data: bytes
    difference: float


def choose(target: Path, name: str | None, options: Options) -> Format:
    """The format of a file, by its name or by its suffix.

    Raises:
        UsageError: there is no such format, or it does not have the options.
        PluginError: what it needs is not installed.
    """
    suffix = f".{name.lower().removeprefix('.')}" if name else target.suffix.lower()
    if suffix not in FORMATS:
        asked = f"--format {name}" if name else f"'{target}'"
        raise UsageError(f"{asked} is no kind of export that is known.", did_you_mean(suffix, FORMATS))
    said = target.suffix.lower()
    if said in FORMATS and said != suffix:
        raise UsageError(f"--format {name} and the name '{target}' contradict each other.", "Leave --format out, or rename.")
    row = FORMATS[suffix]
    given = {"opset": options.opset is not None, "uint8": options.uint8}
    for option, is_given in given.items():
        if is_given and option not in row.encodes:
            raise UsageError(f"--{option} means nothing for {suffix}.", "It is for .onnx; leave it out.")
    require(row.extra, *row.packages)
    return row


def export(model: Model, target: Path, row: Format, options: Options) -> Exported:
    """Write ``model`` to ``target``, or nothing at all. What was there is replaced.

    Raises:
        ExportError: it cannot be expressed in this format, or would not be the same generator.
        StorageError: it cannot be written.
    """
    from gancli.storage.disk import refuse_missing_parent, replacing, write_file

    refuse_missing_parent(target)
    data = verified(model, row, options).data
    with replacing(target) as scratch:
        write_file(scratch, data, durable=True)
        difference = _compared(model, scratch.read_bytes(), row, options)
    return Exported(target, len(data), difference, _tolerance(row, options), _notes(len(data), row))


def _notes(size: int, row: Format) -> tuple[str, ...]:
    if row.handy_bytes is None or size <= row.handy_bytes:
        return ()
    return (
        f"{size / 1e6:,.1f} MB is large for a page: it opens and draws slowly. A model with fewer weights, or .onnx, does not.",
    )


def verified(model: Model, row: Format, options: Options) -> Verified:
    """The content of a file, compared with the generator.

    Raises:
        ExportError: as for :func:`export`.
    """
    module = import_module(row.module)
    draft: bytes = module.encode(model, **_asked(options, row.encodes))
    difference = _compared(model, draft, row, options)
    return Verified(module.stamp(draft, difference), difference)


def _compared(model: Model, data: bytes, row: Format, options: Options) -> float:
    from gancli.export.parity import largest_difference, refuse_difference

    try:
        draw: Draw = import_module(row.module).reload(data, **_asked(options, row.reloads))
    except CheckpointError as error:
        raise ExportError(f"What was exported cannot be loaded again: {error.problem}", "Report this.") from error
    difference = largest_difference(model, draw)
    refuse_difference(difference, _tolerance(row, options))
    return difference


def _tolerance(row: Format, options: Options) -> float:
    return UINT8_TOLERANCE if options.uint8 else row.tolerance


def _asked(options: Options, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names}
