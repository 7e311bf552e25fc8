"""Downloads: announced, bounded, checked against a pinned hash, and atomic. The one module that opens a connection.

URL, size and target are a warning of this module's logger before the first byte; unless set otherwise, `logging` writes
warnings to stderr. What is wrong or incomplete is not kept, and the next mirror is tried. ``GANCLI_OFFLINE=1`` forbids all
of it and says what to do by hand.
"""

from __future__ import annotations

import logging
import os
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from gancli.errors import DownloadError
from gancli.storage.disk import explained, make_directories, write_atomically
from gancli.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from requests import Response

_LOG = logging.getLogger("gancli.hub")  # below the one that --quiet silences

VARIABLE = "GANCLI_OFFLINE"
TIMEOUT_SECONDS = 30
CHUNK_BYTES = 2**18


class Remote(NamedTuple):
    """A file that can be downloaded."""

    name: str
    mirrors: tuple[str, ...]  # folders, each ending in /, the best first
    size: int
    sha256: str  # of the file as it is downloaded, in hex


def refuse_offline(what: str, remedy: str) -> None:
    """Stop if the user has forbidden the network."""
    if os.environ.get(VARIABLE, "0") not in {"", "0"}:
        raise DownloadError(f"{what} has to be downloaded, and {VARIABLE} forbids it.", remedy)


def fetch(remote: Remote, folder: Path) -> Path:
    """The file in ``folder``, downloaded unless it is there and right."""
    import requests

    target = folder / remote.name
    if target.is_file() and sha256(target.read_bytes()).hexdigest() == remote.sha256:
        return target
    by_hand = f"Download {remote.mirrors[0]}{remote.name} ({remote.size:,} bytes) elsewhere and put it at {target}."
    refuse_offline(remote.name, by_hand)
    with explained(folder):
        make_directories(folder)
    failures = []
    for address in (f"{mirror}{remote.name}" for mirror in remote.mirrors):
        _LOG.warning("downloading %s (%s bytes) to %s", address, f"{remote.size:,}", visible(str(target)))
        try:
            write_atomically(target, _downloaded(address, remote))
        except requests.Timeout:
            reason = f"no answer within {TIMEOUT_SECONDS} s"
        except requests.ConnectionError:
            reason = "the connection failed"
        except (requests.RequestException, _RefusedError) as error:
            reason = str(error)
        else:
            return target
        failures.append(f"{address}: {visible(reason)}")
    raise DownloadError(
        f"{remote.name} could not be downloaded ({'; '.join(failures)}).",
        f"Try again later, or put the file at {target} by hand.",
    )


class _RefusedError(Exception):
    """What a server sends is not what was asked for."""


def _downloaded(address: str, remote: Remote) -> bytes:
    """What a server sends, if it is the right file."""
    import requests

    headers = {"User-Agent": "gancli", "Accept-Encoding": "identity"}  # the hash is that of the file as it is stored
    content = bytearray()
    hooks = {"response": _refuse_downgrade}
    with requests.get(address, headers=headers, hooks=hooks, timeout=TIMEOUT_SECONDS, stream=True) as answer:
        if not answer.ok:
            raise _RefusedError(f"HTTP {answer.status_code}, {answer.reason}")
        for piece in answer.iter_content(CHUNK_BYTES):
            content += piece
            if len(content) > remote.size:
                raise _RefusedError(f"it is larger than {remote.size:,} bytes")
    if len(content) < remote.size:
        raise _RefusedError(f"it ended after {len(content):,} of {remote.size:,} bytes")
    if sha256(content).hexdigest() != remote.sha256:
        raise _RefusedError(f"its SHA-256 is not {remote.sha256}")
    return bytes(content)


def _refuse_downgrade(answer: Response, *_: object, **__: object) -> None:
    """Follow redirects only to http and https, and never from https to http."""
    scheme, following = urlsplit(answer.url).scheme, urljoin(answer.url, answer.headers.get("Location", ""))
    allowed = ("https",) if scheme == "https" else ("http", "https")
    if answer.is_redirect and urlsplit(following).scheme not in allowed:
        raise _RefusedError(f"it redirects to {following}, which is not followed")
