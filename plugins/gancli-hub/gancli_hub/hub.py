"""Data sets and models of Hugging Face's hub, by ``hf:USER/NAME[@revision]``.

Of a data set come the Parquet files of one split, into that library's own cache; of a model safetensors and JSON only, into
gancli's cache ``downloads/models``, from where it is taken when there is no connection.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.checkpoint.manifest import MANIFEST
from gancli.checkpoint.provenance import SHARED
from gancli.data import cache
from gancli.data.source import HUB, slug
from gancli.errors import CheckpointError, DatasetError, DownloadError, GancliError
from gancli.text import first_line, visible
from gancli_hub.fetching import refuse_offline
from gancli_hub.tables import TableSource

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG = logging.getLogger("gancli.hub")  # below the one that --quiet silences

CONVERTED = "refs/convert/parquet"  # the branch on which the hub keeps every data set as Parquet, whatever its authors uploaded
SPLITS = {"train": ("train",), "test": ("test", "validation")}  # the hub's names of gancli's splits
_ADDRESS = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w-][\w./-]*))?")


def library() -> Any:  # noqa: ANN401  (the module)
    """Hugging Face's library, imported when the network is needed."""
    import huggingface_hub.errors

    return huggingface_hub


@contextmanager
def _asked(address: str, missing: GancliError) -> Iterator[Any]:
    """The library; that the hub has no such thing is the error ``missing``, anything else a DownloadError."""
    hub = library()
    unknown = hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError, hub.errors.HFValidationError
    try:
        yield hub
    except GancliError:
        raise
    except unknown as error:
        raise missing from error
    except Exception as error:  # the hub's HTTP library has changed before, and its errors have no common base
        reason = f"{visible(address)} could not be downloaded: {first_line(error)}."
        raise DownloadError(reason, "Check the network.") from error


def dataset(address: str, split: str, domain: str) -> TableSource:
    """One split of a data set, downloaded unless it is there.

    Raises:
        DatasetError: the hub has no such data set, or it has no such split.
        DownloadError: it cannot be downloaded.
    """
    name = address.removeprefix(HUB)
    where = f"https://huggingface.co/datasets/{visible(name)}"
    refuse_offline(visible(address), f"Download the Parquet files of {where} elsewhere and give their folder.")
    missing = DatasetError(f"There is no data set '{visible(name)}' on the hub.", "Write it as hf:OWNER/NAME.")
    with _asked(address, missing) as hub:
        files = _of_split(hub.HfApi().list_repo_files(name, repo_type="dataset", revision=CONVERTED), split)
        _LOG.warning("downloading %d files of %s", len(files), where)
        paths = [hub.hf_hub_download(name, file, repo_type="dataset", revision=CONVERTED) for file in files]
    return TableSource(Path(paths[0]).parent, domain=domain, name=slug(address))  # of this split alone


def _of_split(names: list[str], split: str) -> list[str]:
    """The files ``CONFIG/SPLIT/0000.parquet`` of one split, of the configuration ``default``, else of the first."""
    tables = sorted(name for name in names if name.endswith(".parquet") and name.count("/") > 1)
    for wanted in SPLITS[split]:
        configs = {config for config, part, *_ in (name.split("/") for name in tables) if part == wanted}
        if configs:
            config = min(configs, key=lambda config: (config != "default", config))
            return [name for name in tables if name.startswith(f"{config}/{wanted}/")]
    listed = ", ".join(sorted(map(visible, names))[:10])
    raise DatasetError(f"The data set on the hub has no {split} split.", f"It has {listed}.")


def model(address: str) -> Path:
    """The folder with the files of a model, downloaded unless they are there and the hub cannot be reached.

    Raises:
        CheckpointError: the hub has no such model, or it is not one of gancli's.
        DownloadError: it cannot be downloaded, and is not there.
    """
    parts = _ADDRESS.fullmatch(address.removeprefix(HUB))
    if parts is None or ".." in address:
        problem = f"'{visible(address)}' is not the address of a model."
        raise CheckpointError(problem, "Write hf:USER/NAME or hf:USER/NAME@REVISION.")
    name, revision = parts[1], parts[2] or "main"
    folder = cache.root() / "downloads" / "models" / name.replace("/", "--") / revision.replace("/", "--")
    where = f"https://huggingface.co/{visible(name)}"
    unknown = f"There is no model '{visible(name)}', revision '{visible(revision)}', on the hub."
    try:
        refuse_offline(visible(address), f"Download its files elsewhere and put them into '{folder}'.")
        with _asked(address, CheckpointError(unknown, "Write hf:USER/NAME[@REVISION].")) as hub:
            names = set(hub.HfApi().list_repo_files(name, revision=revision))
            wanted = [SHARED, "config.json"]
            if MANIFEST in names:
                wanted = [file for file in names if "/" not in file and file.endswith((".safetensors", ".json"))]
            _LOG.warning("downloading %s to '%s'", where, folder)
            for file in sorted(names.intersection(wanted)):
                hub.hf_hub_download(name, file, revision=revision, local_dir=folder)
    except DownloadError as error:
        if not any((folder / file).is_file() for file in (MANIFEST, SHARED)):
            raise
        _LOG.warning("%s: taken from '%s'. %s", visible(address), folder, error.problem)
        return folder
    if not {MANIFEST, SHARED} & names:
        raise CheckpointError(f"{visible(address)} holds no model of gancli.", f"It needs a {SHARED}; see {where}")
    return folder
