"""What a checkpoint says about itself: ``manifest.json``, written last and read first.

It holds the size and the SHA-256 of every other file, so that loading can prove that each is the one that was saved, and
``facts``: whatever the training wants to know before it touches a tensor (architecture, data set, environment). Nothing here
imports what they name. It is sealed: it ends with the SHA-256 of its own content, in the one form that :func:`seal` gives it,
so that a single flipped bit is seen wherever it is. (A seal shows damage, not malice.)

When a checkpoint is read, everything is checked before anything is returned: the directory holds exactly the files that the
manifest lists (what operating systems leave behind is ignored), each is a regular file of the listed size, and each has the
listed SHA-256. Only files that were asked for are kept in memory.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from gancli.errors import CheckpointError, RunError
from gancli.storage.disk import DISK, Storage, explained
from gancli.storage.strict_json import MAX_BYTES, parse_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

MANIFEST = "manifest.json"
FORMAT_VERSION: Final = 1
SEAL = "sha256"

_PIECE_BYTES = 1 << 20
_NOT_A_FILE = frozenset((errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENODEV))

Count = Annotated[int, Field(ge=0, le=10**18)]
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _plain(name: str) -> str:
    if name == MANIFEST or not _PLAIN_NAME.fullmatch(name):
        what = "a file's name is 1 to 100 letters, digits, '.', '_' and '-', and not manifest.json"
        raise PydanticCustomError("file_name", what)
    return name


FileName = Annotated[str, AfterValidator(_plain)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Member(BaseModel):
    """Size and SHA-256 of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: Count
    sha256: Sha256


class Manifest(BaseModel):
    """The description of one checkpoint: the generator updates done, the real images shown to D, free JSON about the training,
    and every other file by its name, which is a plain one: no separators, no leading dot.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format_version: Literal[1] = FORMAT_VERSION
    step: Count
    images_seen: Count
    facts: dict[str, Any]
    files: dict[FileName, Member]

    @classmethod
    def describe(cls, step: int, files: Mapping[str, bytes], *, images_seen: int, facts: Mapping[str, Any]) -> Self:
        """The manifest of a checkpoint that is about to be written: as it will be read back, tuples as lists for instance."""
        what = f"The manifest of step {step}"
        members = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
        fields = {"format_version": FORMAT_VERSION, "step": step, "images_seen": images_seen, "files": members}
        try:
            data = seal({**fields, "facts": dict(facts)})
        except (TypeError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{what} cannot hold its facts: {error}.", "Facts are JSON.") from error
        return cls.parse(data, what)

    @classmethod
    def parse(cls, data: bytes, what: str = "The manifest") -> Self:
        """The manifest in ``data``, or :class:`CheckpointError` naming what is wrong with it."""
        fields = parse_object(data, what)
        version = fields.get("format_version")
        if version != FORMAT_VERSION:
            problem = f"{what} has the format version {version!a:.100}."
            raise CheckpointError(problem, f"This gancli reads version {FORMAT_VERSION}; a newer gancli may read it.")
        fields.pop(SEAL, None)
        if seal(fields) != data:
            raise CheckpointError(f"{what} is not what was saved: its content and its seal differ.")
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CheckpointError(f"{what} is not valid: at {where[:100]!a}, {first['msg']}.") from error

    def encode(self) -> bytes:
        """The content of ``manifest.json``."""
        return seal(self.model_dump())

    @property
    def state_digest(self) -> str:
        """SHA-256 over the hashes of all files: equal if and only if the saved state is equal, whatever the facts."""
        lines = "".join(f"{name} {member.sha256}\n" for name, member in sorted(self.files.items()))
        return hashlib.sha256(lines.encode("ascii")).hexdigest()


def seal(fields: Mapping[str, Any]) -> bytes:
    """The one encoding of a manifest with these fields, the hash of the encoding without it included."""
    sha256 = hashlib.sha256(_encoded(fields)).hexdigest()
    return _encoded({**fields, SEAL: sha256})


def _encoded(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, indent=1, sort_keys=True, allow_nan=False).encode("ascii") + b"\n"


# -- reading --


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
    """What the checkpoint in the directory ``path`` says about itself; its other files are not read."""
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
