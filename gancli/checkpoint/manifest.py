"""What a checkpoint says about itself: ``manifest.json``, written last and read first.

It holds the size and the SHA-256 of every other file, so that loading can prove that each is the one that was saved, and
``facts``: whatever the training wants to know before it touches a tensor (architecture, data set, environment). Nothing here
imports what they name. It is sealed: it ends with the SHA-256 of its own content, in the one form that :func:`seal` gives it,
so that a single flipped bit is seen wherever it is. (A seal shows damage, not malice.)
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from gancli.errors import CheckpointError
from gancli.storage.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

MANIFEST = "manifest.json"
FORMAT_VERSION: Final = 1
SEAL = "sha256"

Count = Annotated[int, Field(ge=0, le=10**18)]
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _plain(name: str) -> str:
    if name == MANIFEST or not _PLAIN_NAME.fullmatch(name):
        raise PydanticCustomError(
            "file_name", "a file's name is 1 to 100 letters, digits, '.', '_' and '-', and not manifest.json"
        )
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
        members = {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()
        }
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
            raise CheckpointError(
                f"{what} has the format version {version!a:.100}.",
                f"This gancli reads version {FORMAT_VERSION}; a newer gancli may read it.",
            )
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
