"""Data sets of the Hugging Face hub by name: ``hf:NAME``. Their Parquet files are downloaded, and read like any others."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.data.fetching import refuse_offline
from gancli.data.paths import visible
from gancli.errors import DatasetError, DownloadError
from gancli.plugins.extras import require
from gancli.text import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fetched"]

_LOG = logging.getLogger(__name__)

CONVERTED = "refs/convert/parquet"
"""The branch on which the hub keeps every data set as Parquet, whatever its authors uploaded."""
SPLITS = {"train": ("train",), "test": ("test", "validation")}


def fetched(name: str, split: str) -> Path:
    """The folder of the Parquet files of a split, downloaded unless they are there.

    Raises:
        PluginError: huggingface_hub is not installed.
        DatasetError: there is no such data set, or it has no such split.
        DownloadError: the network is forbidden or fails.
    """
    hub = _hub()
    refuse_offline(
        f"hf:{visible(name)}",
        f"Download the Parquet files of https://huggingface.co/datasets/{visible(name)} elsewhere and give their folder.",
    )
    with _explained(hub, name):
        names = hub.HfApi().list_repo_files(name, repo_type="dataset", revision=CONVERTED)
    chosen = _of_split([file for file in names if file.endswith(".parquet")], split)
    if not chosen:
        raise DatasetError(
            f"hf:{visible(name)} has no {split} split.", f"It has {', '.join(sorted(map(visible, names))[:10])}."
        )
    _LOG.warning("downloading %d files of https://huggingface.co/datasets/%s", len(chosen), visible(name))
    with _explained(hub, name):
        paths = [Path(hub.hf_hub_download(name, file, repo_type="dataset", revision=CONVERTED)) for file in chosen]
    return paths[0].parent


@contextmanager
def _explained(hub: Any, name: str) -> Iterator[None]:  # noqa: ANN401  (the module)
    try:
        yield
    except (hub.errors.RepositoryNotFoundError, hub.errors.HFValidationError) as error:
        raise DatasetError(f"There is no data set '{visible(name)}' on the hub.", "Write it as hf:OWNER/NAME.") from error
    except Exception as error:  # the hub's HTTP library has changed before, and its errors have no common base
        raise DownloadError(
            f"hf:{visible(name)} could not be downloaded: {first_line(error)}.", "Check the network."
        ) from error


def _of_split(files: list[str], split: str) -> list[str]:
    """The files ``CONFIG/SPLIT/0000.parquet`` of one split, of the configuration ``default``, else of the first."""
    parts = [(file, file.split("/")) for file in files]
    for wanted in SPLITS[split]:
        configs = sorted({p[0] for _, p in parts if len(p) > 2 and p[1] == wanted}, key=lambda c: (c != "default", c))  # noqa: PLR2004
        if configs:
            return sorted(file for file, p in parts if p[:2] == [configs[0], wanted])
    return []


def _hub() -> Any:  # noqa: ANN401  (the module)
    require("hf", "huggingface_hub")
    import huggingface_hub
    import huggingface_hub.errors

    return huggingface_hub
