"""A trained generator in a file of its own: ``write(gancli.load(), "generator.onnx")``; see :mod:`.formats`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.errors import StorageError
from gancli.exporting.formats import Exported, choose, export

if TYPE_CHECKING:
    from gancli.models.model import Model


def write(
    model: Model,
    target: str | Path,
    *,
    kind: str | None = None,
    arch: str | None = None,
    force: bool = False,
    **options: Any,  # noqa: ANN401  (checked by the exporter's own model)
) -> Exported:
    """Write a generator to a file, as ``gancli export -o`` does.

    Args:
        model: of :func:`gancli.load`.
        target: ``generator.onnx``, ``.safetensors``, ``.pt2``, or of an installed exporter, such as ``demo.html``.
        kind: the name of the exporter, if the suffix does not say it.
        arch: ``FILE.py:CLASS``, where the architecture was a file.
        force: whether a file that is there is replaced.
        options: the exporter's, such as ``opset=20`` or ``uint8=True`` of ``.onnx``.

    Raises:
        UsageError: there is no such format, or it has not these options.
        PluginError: what it needs is not installed.
        ExportError: it cannot be expressed in this format, or would not be the same generator.
        StorageError: it is there already, or cannot be written.
    """
    path = Path(target)
    form = choose(path, kind, options)
    if path.is_dir() or (path.exists() and not force):
        raise StorageError(f"'{path}' is already there.", "Choose another name, or replace a file with force=True.")
    return export(model, path, form, arch)
