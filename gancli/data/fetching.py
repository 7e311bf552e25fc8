"""Downloads: announced, resumable, checked against a pinned hash, and atomic. The one module that opens a connection.

    announce   URL, size and target, as a warning of the logger of this module, before the first byte; unless told otherwise,
               `logging` writes warnings to stderr
    resume     NAME.part is gone on with by a range request, if the server can
    check      size while it comes, SHA-256 when it is complete; what is wrong is removed, and the next mirror is tried
    rename     the file has its name only when it is right

``GANCLI_OFFLINE=1`` forbids all of it and says what to do by hand.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from gancli.data.paths import visible
from gancli.errors import DownloadError
from gancli.storage.disk import DISK, explained, make_directories

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Remote", "fetch", "refuse_offline"]

_LOG = logging.getLogger(__name__)

VARIABLE = "GANCLI_OFFLINE"
CHUNK_BYTES = 2**18
TIMEOUT_SECONDS = 30
PARTIAL = 206
SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that can be downloaded.

    Attributes:
        name: of the file.
        mirrors: addresses of folders, each ending in ``/``, in the order in which they are tried.
        size: in bytes.
        sha256: of the file as it is downloaded, in hex.
    """

    name: str
    mirrors: tuple[str, ...]
    size: int
    sha256: str


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, but only to http and https, and never from https to http."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:  # noqa: ANN401  (urllib's signature)
        """See :class:`HTTPRedirectHandler`."""
        scheme = urlsplit(newurl).scheme
        if scheme not in SCHEMES or (req.type == "https" and scheme != "https"):
            raise URLError(f"it redirects to {visible(newurl)}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def refuse_offline(what: str, remedy: str) -> None:
    """Stop if the user has forbidden the network.

    Raises:
        DownloadError: ``GANCLI_OFFLINE`` is set.
    """
    if os.environ.get(VARIABLE, "0") not in {"", "0"}:
        raise DownloadError(f"{what} has to be downloaded, and {VARIABLE} forbids it.", remedy)


def fetch(remote: Remote, folder: Path) -> Path:
    """The file in ``folder``, downloaded unless it is there and right.

    Raises:
        DownloadError: the network is forbidden, or no mirror has the right file.
        StorageError: it cannot be written.
    """
    target = folder / remote.name
    if _is_right(target, remote):
        return target
    refuse_offline(
        remote.name, f"Download {remote.mirrors[0]}{remote.name} ({remote.size:,} bytes) elsewhere and put it at {target}."
    )
    with explained(folder):
        make_directories(folder)
    failures = []
    for mirror in remote.mirrors:
        address = f"{mirror}{remote.name}"
        _LOG.warning("downloading %s (%s bytes) to %s", address, f"{remote.size:,}", visible(str(target)))
        try:
            _download(address, remote, target)
        except (URLError, OSError, ValueError) as error:
            failures.append(f"{address}: {_reason(error)}")
        else:
            return target
    raise DownloadError(
        f"{remote.name} could not be downloaded ({'; '.join(failures)}).",
        f"Try again later, which goes on where this stopped, or put the file at {target} by hand.",
    )


def _download(address: str, remote: Remote, target: Path) -> None:
    """Get one file from one address, going on with what is there of it."""
    part = target.with_name(f"{target.name}.part")
    begun = part.stat().st_size if part.exists() else 0
    if begun >= remote.size:
        part.unlink()
        begun = 0
    request = Request(address, headers={"User-Agent": "gancli", **({"Range": f"bytes={begun}-"} if begun else {})})  # noqa: S310  (the redirect handler and the pinned mirrors allow http only)
    with build_opener(_Redirects).open(request, timeout=TIMEOUT_SECONDS) as answer, explained(part):
        mode = "ab" if answer.status == PARTIAL else "wb"
        with part.open(mode) as file:
            size = file.tell()
            while piece := answer.read(CHUNK_BYTES):
                size += len(piece)
                if size > remote.size:
                    break
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    _accept(part, remote, target, size)


def _accept(part: Path, remote: Remote, target: Path, size: int) -> None:
    if size < remote.size:
        raise URLError(f"it ended after {size:,} of {remote.size:,} bytes")
    digest = _digest(part)
    if size > remote.size or digest != remote.sha256:
        part.unlink()
        problem = f"it is larger than {remote.size:,} bytes" if size > remote.size else f"its SHA-256 is {digest}"
        raise URLError(f"{problem}, not {remote.sha256}")
    with explained(target):
        DISK.rename(part, target)
        DISK.fsync_dir(target.parent)


def _is_right(path: Path, remote: Remote) -> bool:
    return path.is_file() and path.stat().st_size == remote.size and _digest(path) == remote.sha256


def _digest(path: Path) -> str:
    state = sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            state.update(piece)
    return state.hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return visible(f"HTTP {error.code}, {error.reason}")
    return visible(str(error.reason if isinstance(error, URLError) else error))
