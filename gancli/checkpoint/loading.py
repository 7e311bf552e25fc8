"""One checkpoint directory -> verified bytes.

Everything is checked before anything is returned: the directory holds exactly the files that the manifest lists (what operating
systems leave behind is ignored), each is a regular file of the listed size, and each has the listed SHA-256. Only files that
were asked for are kept in memory.
"""

from __future__ import annotations

import errno
import hashlib
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gancli.checkpoint.manifest import MANIFEST, Manifest
from gancli.errors import CheckpointError, RunError
from gancli.storage.disk import DISK, Storage, explained
from gancli.storage.strict_json import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from gancli.checkpoint.manifest import Member

_PIECE_BYTES = 1 << 20
_NOT_A_FILE = frozenset((errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint of which every byte was verified: its manifest, and the files that were asked for, by name."""

    path: Path
    manifest: Manifest
    files: Mapping[str, bytes]

    @property
    def step(self) -> int:
        """The generator updates done."""
        return self.manifest.step

    @property
    def state_digest(self) -> str:
        """SHA-256 of the whole state, see :attr:`.Manifest.state_digest`."""
        return self.manifest.state_digest


def read_checkpoint(path: Path, names: Collection[str] | None = None, storage: Storage = DISK) -> Checkpoint:
    """Read and verify the checkpoint in the directory ``path``.

    Only files of these ``names`` are kept in memory; all of them if None.

    Raises:
        RunError: there is no such directory.
        CheckpointError: it is corrupt, foreign or unsafe, or lacks one of ``names``.
        StorageError: the disk refuses to say.
    """
    with explained(path):
        try:
            # not what a system or file manager left: .DS_Store, ._x, .nfs0001. No member's name begins with a dot
            litter = ("desktop.ini", "thumbs.db")
            present = {name for name in storage.listdir(path) if name[0] != "." and name.lower() not in litter}
        except FileNotFoundError:
            raise RunError(f"There is no checkpoint '{path}'.", "Check the spelling.") from None
        except NotADirectoryError:
            raise CheckpointError(f"'{path}' is a file. A checkpoint is a directory with a {MANIFEST}.") from None
        manifest = read_manifest(path, storage)
        listed = {MANIFEST, *manifest.files}
        if missing := sorted(listed - present):
            raise CheckpointError(f"'{path}' lacks {missing[0]}, which its manifest lists.")
        if extra := sorted(present - listed):
            raise CheckpointError(f"'{path}' has a file {extra[0][:100]!a} that its manifest does not list.")
        wanted = set(manifest.files if names is None else names)
        if missing := sorted(wanted - manifest.files.keys()):
            raise CheckpointError(f"'{path}' has no {missing[0]}. It has {', '.join(manifest.files)}.")
        files = {}
        for name, member in manifest.files.items():
            content = _verified(path / name, member, storage, keep=name in wanted)
            if name in wanted:
                files[name] = content
    return Checkpoint(path, manifest, files)


def read_manifest(path: Path, storage: Storage = DISK) -> Manifest:
    """What the checkpoint in the directory ``path`` says about itself; its other files are not looked at."""
    what = f"The manifest of '{path}'"
    with _opened(path / MANIFEST, storage) as (descriptor, size):
        if size > MAX_BYTES:
            raise CheckpointError(f"{what} has {size:,} bytes. At most {MAX_BYTES:,} are read.")
        return Manifest.parse(b"".join(_pieces(descriptor, size, size, storage)), what)


def _verified(path: Path, member: Member, storage: Storage, *, keep: bool) -> bytes:
    """The content of a file, or nothing unless ``keep``, after its size and hash were found right."""
    sha256, kept = hashlib.sha256(), []
    with _opened(path, storage) as (descriptor, size):
        if size != member.size:
            raise CheckpointError(f"'{path}' has {size:,} bytes, but {member.size:,} were saved.")
        for piece in _pieces(descriptor, size, size if keep else _PIECE_BYTES, storage):
            sha256.update(piece)
            if keep:
                kept.append(piece)
    if sha256.hexdigest() != member.sha256:
        raise CheckpointError(f"'{path}' is not what was saved: its SHA-256 is {sha256.hexdigest()}, not {member.sha256}.")
    return b"".join(kept)


def _pieces(descriptor: int, size: int, piece_bytes: int, storage: Storage) -> Iterator[bytes]:
    """``size`` bytes, or fewer where the file ends before."""
    while size and (piece := storage.read(descriptor, min(size, piece_bytes))):
        size -= len(piece)
        yield piece


@contextmanager
def _opened(path: Path, storage: Storage) -> Iterator[tuple[int, int]]:
    """Descriptor and size of a regular file."""
    try:
        descriptor = storage.open(path)
    except OSError as error:
        if error.errno not in _NOT_A_FILE:
            raise
        raise CheckpointError(f"'{path}' is missing, or is a link or another thing that is not a file.") from error
    try:
        status = storage.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"'{path}' is not a file, but a directory, FIFO or device.")
        yield descriptor, status.st_size
    finally:
        storage.close(descriptor)
