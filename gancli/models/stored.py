"""Where a stored model lies, and what it says about itself. No torch.

An address is a path, the name of a model that gancli brings along, or ``hf:USER/NAME[@revision]``, which gancli-hub fetches.
"""

import os
from pathlib import Path

from gancli.checkpoint.manifest import MANIFEST
from gancli.checkpoint.provenance import KEY, SHARED, Origin, stored_origin
from gancli.checkpoint.store import CheckpointStore
from gancli.data.source import HUB
from gancli.errors import CheckpointError, RunError
from gancli.plugins.installation import OFFICIAL
from gancli.plugins.registry import EXPORTERS, part
from gancli.runs import find_run
from gancli.storage.tensors import read_metadata
from gancli.text import visible

LOADABLE = "Give a .safetensors or .onnx file, a folder that `gancli export -o DIR/` wrote, a checkpoint, or a run."
BUNDLED = {"mnist": Path(__file__).with_name("files") / "mnist.safetensors"}
"""Models that gancli brings along, by name; for a file of that name, write ./mnist."""


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
        path = BUNDLED.get(str(address)) or part("hub-model", f"'{visible(str(address))}'")(str(address))
    else:
        path = Path(os.path.expanduser(address))  # noqa: PTH111  (Path.expanduser raises RuntimeError)
    if (path / SHARED).is_file() and not (path / MANIFEST).exists():
        return path / SHARED
    if is_export(path):
        problem = f"'{path}' is an export, which PyTorch does not run."
        raise CheckpointError(problem, "Sample it with `gancli sample`, or give a run.")
    kind = "file" if path.is_file() else "folder"
    if (kind == "file" and not is_file(path)) or (path.is_dir() and not os.path.lexists(path / MANIFEST)):
        raise CheckpointError(f"'{path}' is not a {kind} that a model is loaded from.", LOADABLE)
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
            problem = f"There is no run, checkpoint or file '{address}'."
            raise RunError(problem, "Give one; `gancli runs list` shows the runs.") from None
        return str(path)
    steps = store.steps()
    if not steps:
        raise RunError(f"The run '{address}' has no checkpoint.", "The training did not get as far as its first save.")
    return str(store.path(store.best() or steps[-1]))


def origin_of_file(data: bytes, path: Path) -> Origin:
    """Where the model in the content of a ``.safetensors`` file came from; ``path`` is its name in messages."""
    return stored_origin(read_metadata(data, f"'{path}'").get(KEY), data, path)
