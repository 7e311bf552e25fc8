"""A trained generator in a file of its own, for other programs and other people.

    import gancli
    from gancli.export import write
    write(gancli.load(), "generator.onnx")

Each export is loaded again and compared with the generator before anybody sees it (:mod:`gancli.export.parity`). What the
formats have in common is in :mod:`gancli.export.formats`; each has a module of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gancli.errors import StorageError
from gancli.export.formats import Exported, Options, choose, export

if TYPE_CHECKING:
    from gancli.models.model import Model

__all__ = ["Exported", "write"]


def write(
    model: Model,
    target: str | Path,
    *,
    kind: str | None = None,
    opset: int | None = None,
    uint8: bool = False,
    arch: str | None = None,
    force: bool = False,
) -> Exported:
    """Write a generator to a file, as ``gancli export -o`` does.

    Args:
        model: of :func:`gancli.load`, on the CPU.
        target: ``generator.onnx``, ``.safetensors``, ``.pt2`` or ``demo.html``.
        kind: the format (``onnx``, ``safetensors``, ``pt2`` or ``html``), if the suffix does not say it.
        opset: of ``.onnx``, the version of the operations.
        uint8: of ``.onnx``, whether it draws bytes in three channels, as torch-fidelity takes them.
        arch: ``FILE.py:CLASS``, where the architecture was a file.
        force: whether a file that is there is replaced.

    Raises:
        UsageError: there is no such format, or it has not these options.
        PluginError: what it needs is not installed.
        ExportError: it cannot be expressed in this format, or would not be the same generator.
        StorageError: it is there already, or cannot be written.
    """
    path, options = Path(target), Options(opset, uint8, arch)
    row = choose(path, kind, options)
    if path.is_dir() or (path.exists() and not force):
        raise StorageError(f"'{path}' is already there.", "Choose another name, or replace a file with force=True.")
    return export(model, path, row, options)
