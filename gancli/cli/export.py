"""``gancli export``: a trained generator for other programs and other people."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gancli.cli.options import Force, Source, StoredModel, option, output_option
from gancli.cli.output import Output, refuse_existing
from gancli.errors import StorageError, UsageError

if TYPE_CHECKING:
    from gancli.exporting.formats import Exported
    from gancli.models.model import Model

_TARGET = output_option(
    "FILE|DIR/",
    "File to write; the suffix selects the format. With a trailing /, a folder to share: weights, model card, samples.",
)
_SET = option("KEY=VALUE", "An option of the format, such as -s opset=20 or -s uint8=true of .onnx.", "-s", "--set")


class ExportCommand(typer.core.TyperCommand):
    """Its help ends with the formats that are installed."""

    def format_epilog(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """The formats, and what each is for; nothing of third parties is imported."""
        from gancli.plugins.listing import listing
        from gancli.plugins.registry import EXPORTERS

        with formatter.section("Formats"):
            formatter.write_dl([(f".{each['name']}", each["summary"]) for each in listing(EXPORTERS)])
        super().format_epilog(ctx, formatter)


@dataclass(frozen=True)
class ExportOptions:
    """The options that say what to write."""

    target: Annotated[str | None, _TARGET] = None
    format: Annotated[str | None, option("NAME", "Format, if the suffix does not select it.")] = None
    assignments: Annotated[list[str] | None, _SET] = None
    force: Force = False

    @property
    def is_folder(self) -> bool:
        """Whether a folder to share is written instead of a file."""
        return (self.target or "").endswith(("/", "\\"))

    def format_options(self) -> dict[str, Any]:
        """The options of the format, by key; unchecked."""
        from gancli.config.layers import from_assignments

        given = from_assignments([f"export.{text.removeprefix('export.')}" for text in self.assignments or ()])
        return {key.removeprefix("export."): setting.value for key, setting in given.items()}

    def check(self) -> Path:
        """The one target, if it can be one."""
        target = self.target
        if target is None:
            raise UsageError("Missing -o/--output.", "Give for instance -o generator.onnx, or -o model/ for a folder.")
        if target == "-":
            raise UsageError("-o - means standard output, and an export is a file.", "Give for instance -o generator.onnx.")
        if self.is_folder and (self.format or self.format_options()):
            raise UsageError("A folder has no --format or -s.", "Leave them out, or give -o FILE.")
        if not self.is_folder and Path(target).is_dir():
            raise StorageError(f"'{target}' is already there.", "Choose another name.")
        refuse_existing(target, force=self.force, folders=True)
        return Path(target)


def export(output: Output, *, options: ExportOptions, source: StoredModel) -> None:
    """Write a trained generator for other programs and people. The export is loaded back and compared with the generator."""
    written, model = run_export(options, source, output)
    document = {
        "path": str(written.path),
        "bytes": written.size,
        "difference": written.difference,
        "tolerance": written.tolerance,
        "model": str(model.origin),
        **({"files": list(written.files)} if written.files else {}),
    }
    output.result(written.path, document)


def run_export(
    options: ExportOptions, source: Source, output: Output, model: "Model | None" = None
) -> "tuple[Exported, Model]":
    """Write the model, which is loaded unless it is given; what was written."""
    if model is None:
        source.check()
    target = options.check()
    with output.progress():
        if options.is_folder:
            from gancli.plugins.registry import part

            write_folder = part("folder", f"'{target}', a folder to share,")
            model = model or source.load()
            written: Exported = write_folder(model, target, source.arch, force=True)  # what is there was checked above
        else:
            from gancli.exporting.formats import choose, export

            form = choose(target, options.format, options.format_options())
            model = model or source.load()
            written = export(model, target, form, source.arch)
    difference = f"its images differ by {written.difference:.1e} at most" if written.difference else "its images are bit-exact"
    output.note(
        f"exported {model.origin}, {written.size / 1e6:,.1f} MB",
        *model.origin.notes,
        *written.notes,
        f"loaded again and compared with the generator: {difference} ({written.tolerance:.1e} is allowed, of -1 to 1)",
        *([f"share it: hf upload USER/NAME {target}"] if options.is_folder else []),
    )
    return written, model
