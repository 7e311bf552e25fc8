"""``gancli export``: a trained generator for other programs and other people."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli.console.counter import Counter
from gancli.cli.model_options import StoredModel, told
from gancli.cli.options import Force, Json, expand, named, whole
from gancli.cli.output import Output, refuse_existing
from gancli.cli.signals import interrupting
from gancli.errors import StorageError, UsageError

if TYPE_CHECKING:
    Told = tuple[dict[str, Any], list[str]]

__all__ = ["export"]


def _path(text: str) -> Path:
    return Path(named(text))


_TARGET = typer.Option("-o", "--output", metavar="FILE", help="What to write; its suffix says the format.", parser=_path)
_FOLDER = typer.Option(
    "--to-folder", metavar="DIR", help="Write a folder to share instead: weights, facts, card, pictures.", parser=_path
)
_FORMAT = typer.Option("--format", metavar="NAME", help="onnx, safetensors, pt2 or html, if the suffix does not say it.")
_UINT8 = typer.Option("--uint8", help="For .onnx: bytes in three channels, as torch-fidelity takes them.")
_OPSET = whole("--opset", text="For .onnx: version of the operations; 18 by default.")


@dataclass(frozen=True)
class Wanted:
    """The options that say what to write."""

    target: Annotated[Path | None, _TARGET] = None
    folder: Annotated[Path | None, _FOLDER] = None
    format: Annotated[str | None, _FORMAT] = None
    uint8: Annotated[bool, _UINT8] = False
    opset: Annotated[int | None, _OPSET] = None
    force: Force = False

    def check(self) -> Path:
        """The one target, if it can be one.

        Raises:
            UsageError: there is none, or there are two, or it is no file, or options mean nothing for a folder.
            StorageError: it is already there.
        """
        if self.target and self.folder:
            raise UsageError(f"-o {self.target} and --to-folder {self.folder} exclude each other.", "Leave one of them out.")
        target = self.target or self.folder
        if target is None:
            raise UsageError("Where to is not said.", "Give for instance -o generator.onnx, or --to-folder model/.")
        if str(target) == "-":
            raise UsageError("-o - means standard output, and an export is a file.", "Give for instance -o generator.onnx.")
        if self.folder and (self.format or self.uint8 or self.opset is not None):
            raise UsageError("--to-folder has no --format, --uint8 or --opset.", "Leave them out, or give -o FILE.")
        if self.target and target.is_dir():
            raise StorageError(f"'{target}' is already there.", "Choose another name.")
        refuse_existing(target, force=self.force, folders=True)
        return target


@expand
def export(context: typer.Context, *, wanted: Wanted, source: StoredModel, json: Json = False) -> None:
    """Write a trained generator for other programs and people. It is loaded again and compared before it is there."""
    output = Output.of(context)
    source.check()
    target = wanted.check()
    with interrupting(), Counter(sys.stderr, quiet=output.quiet):
        document, notes = _folder(target, source) if wanted.folder else _file(wanted, target, source)
    for note in notes:
        output.note(note)
    if json:
        output.document(document)
    else:
        output.result(str(target))


def _file(wanted: Wanted, target: Path, source: StoredModel) -> "Told":
    from gancli.export.formats import Options, choose, export

    options = Options(wanted.opset, wanted.uint8, source.arch)
    row = choose(target, wanted.format, options)
    model = source.load()
    written = export(model, target, row, options)
    agreement = _agreement(written.difference, written.tolerance)
    notes = [f"exported {told(model)}, {written.size / 1e6:,.1f} MB", *model.origin.notes, *written.notes, agreement]
    document = {
        "path": str(target),
        "bytes": written.size,
        "difference": written.difference,
        "tolerance": written.tolerance,
        "model": told(model),
    }
    return document, notes


def _folder(target: Path, source: StoredModel) -> "Told":
    from gancli.export.folder import write_folder
    from gancli.export.formats import FP32_TOLERANCE

    model = source.load()
    written = write_folder(model, target, source.arch, force=True)  # what is there was looked at
    notes = [
        f"exported {told(model)}",
        *model.origin.notes,
        *written.notes,
        _agreement(max(written.differences.values()), FP32_TOLERANCE),
    ]
    document = {
        "path": str(target),
        "files": list(written.files),
        "differences": dict(written.differences),
        "model": told(model),
    }
    return document, notes


def _agreement(difference: float, tolerance: float) -> str:
    how = f"its pictures differ by {difference:.1e} at most" if difference else "its pictures are the same to the bit"
    return f"loaded again and compared with the generator: {how} ({tolerance:.1e} is allowed, of -1 to 1)"
