"""Where a stored model lies, and what it says about itself. No torch.

An address is a path, the name of a model that gancli brings along, or ``hf:USER/NAME[@revision]``. From the hub come
safetensors and JSON only, into gancli's cache ``downloads/models``; what is there is taken where there is no connection.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from gancli.checkpoint.manifest import MANIFEST, read_manifest
from gancli.checkpoint.provenance import KEY, SHARED, Origin, Provenance, read_file, stored_origin
from gancli.checkpoint.store import CheckpointStore
from gancli.data import cache
from gancli.data.fetching import hub, refuse_offline
from gancli.errors import CheckpointError, DownloadError, RunError
from gancli.plugins.installation import OFFICIAL
from gancli.plugins.registry import EXPORTERS
from gancli.runs import find_run
from gancli.storage.tensors import read_metadata
from gancli.text import first_line, visible

HUB = "hf:"
LOADABLE = "Give a .safetensors or .onnx file, a folder that `gancli export -o DIR/` wrote, a checkpoint, or a run."
BUNDLED = {"mnist": Path(__file__).with_name("files") / "mnist.safetensors"}
"""Models that gancli brings along, by name; for a file of that name, write ./mnist."""

_LOG = logging.getLogger(__name__)
_ADDRESS = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w-][\w./-]*))?")


def is_elsewhere(address: str) -> bool:
    """Whether it is the name of a model, not a path."""
    return address.startswith(HUB) or address in BUNDLED


def is_file(path: Path) -> bool:
    """Whether it is called as a file of weights is; else it is the directory of a checkpoint."""
    return path.suffix.lower() == ".safetensors"


def is_export(address: str | Path | None) -> bool:
    """Whether a path ends like an export that PyTorch does not load: in the name of an exporter, installed or not."""
    if is_elsewhere(str(address)):
        return False
    suffix = Path(address or "").suffix.lower().removeprefix(".")
    return suffix not in {"", "safetensors"} and (suffix in EXPORTERS.names() or (EXPORTERS.group, suffix) in OFFICIAL)


def weights_path(address: str | Path) -> Path:
    """The checkpoint's directory or the file that is meant; it is downloaded if need be.

    Raises:
        CheckpointError: the file is of a kind that PyTorch does not load, or there is no model on the hub.
    """
    if is_elsewhere(str(address)):
        path = BUNDLED.get(str(address)) or _fetched(str(address))
    else:
        path = Path(os.path.expanduser(address))  # noqa: PTH111  (Path.expanduser raises RuntimeError)
    if (path / SHARED).is_file() and not (path / MANIFEST).exists():
        return path / SHARED
    if is_export(path):
        raise CheckpointError(
            f"'{path}' is an export, which PyTorch does not run.", "Sample it with `gancli sample`, or give a run."
        )
    if path.is_file() and not is_file(path):
        raise CheckpointError(f"'{path}' is not a file that a model is loaded from.", LOADABLE)
    return path


def absolute(address: str, runs_dir: Path) -> str:
    """The address of the same model from any working directory; of a run that of its best checkpoint."""
    if is_elsewhere(address):
        return address
    try:
        store = CheckpointStore(find_run(address, runs_dir).checkpoints.absolute())
    except RunError:
        path = Path(os.path.abspath(os.path.expanduser(address)))  # noqa: PTH100, PTH111  (links stay; no RuntimeError)
        if not os.path.lexists(path):
            raise RunError(
                f"There is no run, checkpoint or file '{address}'.", "Give one; `gancli runs list` shows the runs."
            ) from None
        return str(path)
    steps = store.steps()
    if not steps:
        raise RunError(f"The run '{address}' has no checkpoint.", "The training did not get as far as its first save.")
    return str(store.path(store.best() or steps[-1]))


def read_provenance(path: Path) -> Provenance:
    """What a checkpoint or a file says about its model."""
    if is_file(path):
        return origin_of_file(read_file(path), path).provenance
    return Provenance.parse(read_manifest(path).facts, path)


def origin_of_file(data: bytes, path: Path) -> Origin:
    """Where the model in the content of a ``.safetensors`` file came from; ``path`` is its name in messages."""
    return stored_origin(read_metadata(data, f"'{path}'").get(KEY), data, path)


def _fetched(address: str) -> Path:
    """The folder with the files of a model on the hub."""
    parts = _ADDRESS.fullmatch(address.removeprefix(HUB))
    if parts is None or ".." in address:
        raise CheckpointError(
            f"'{visible(address)}' is not the address of a model.", "Write hf:USER/NAME or hf:USER/NAME@REVISION."
        )
    name, revision = parts[1], parts[2] or "main"
    folder = cache.downloads("models") / name.replace("/", "--") / revision.replace("/", "--")
    try:
        refuse_offline(visible(address), f"Download its files elsewhere and put them into '{folder}'.")
        _download(address, name, revision, folder)
    except DownloadError as error:
        if not any((folder / file).is_file() for file in (MANIFEST, SHARED)):
            raise
        _LOG.warning("%s: taken from '%s'. %s", visible(address), folder, error.problem)
    return folder


def _download(address: str, name: str, revision: str, folder: Path) -> None:
    library = hub()
    where = f"https://huggingface.co/{visible(name)}"
    try:
        names = set(library.HfApi().list_repo_files(name, revision=revision))
        wanted = [SHARED, "config.json"]
        if MANIFEST in names:
            wanted = [file for file in names if "/" not in file and file.endswith((".safetensors", ".json"))]
        _LOG.warning("downloading %s to '%s'", where, folder)
        for file in sorted(names.intersection(wanted)):
            library.hf_hub_download(name, file, revision=revision, local_dir=folder)
    except (
        library.errors.RepositoryNotFoundError,
        library.errors.RevisionNotFoundError,
        library.errors.HFValidationError,
    ) as error:
        raise CheckpointError(
            f"There is no model '{visible(name)}', revision '{visible(revision)}', on the hub.",
            "Write hf:USER/NAME[@REVISION].",
        ) from error
    except Exception as error:  # the hub's HTTP library has changed before, and its errors have no common base
        raise DownloadError(
            f"{visible(address)} could not be downloaded: {first_line(error)}.", "Check the network."
        ) from error
    if not {MANIFEST, SHARED} & names:
        raise CheckpointError(f"{visible(address)} holds no model of gancli.", f"It needs a {SHARED}; see {where}")
