"""What a model says about itself: where it came from, and what is needed to build it. No torch.

A run's checkpoint, the averaged generator in it (``ema.safetensors``) and every export say it in the same words: a JSON
object, in the manifest or under the key ``gancli`` of the file's own metadata.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gancli.errors import CheckpointError, RunError
from gancli.storage.strict_json import parse_object

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KEY", "SHARED", "Facts", "MadeBy", "Origin", "Weights", "parse_facts", "read_file", "stored_facts"]

KEY = "gancli"
"""Where the metadata of a file hold the facts."""

SHARED = "generator.safetensors"
"""The file with the weights in a folder that is made to be shared."""

MAX_FILE_BYTES = 2**31
"""Size of the largest file that is read: what a protocol buffer can have."""

Weights = Literal["ema", "raw"]
Size = Annotated[int, Field(ge=1, le=65536)]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model came from.

    Attributes:
        run: name of the run, or of the file.
        checkpoint: path of the checkpoint or file.
        step: training steps behind it.
        digest: SHA-256 of the weights' file.
        weights: ``ema`` or ``raw``.
        facts: what the checkpoint says about itself: architecture, data set, licence, environment.
        notes: sentences that the user should read, such as a plugin of another version.
    """

    run: str
    checkpoint: Path
    step: int
    digest: str
    weights: Weights
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class MadeBy(_Section):
    """The architecture plugin that built a model, with the options it was given."""

    name: str
    distribution: str
    version: str
    options: dict[str, Any]


class Picture(_Section):
    channels: Size
    height: Size
    width: Size


class Named(_Section):
    name: str


class Facts(_Section):
    """What a checkpoint has to say about its model, as far as it is needed to build it. The file may be anybody's."""

    arch: MadeBy
    image: Picture
    classes: list[str]
    latent_dim: Size
    dataset: Named
    step: Annotated[int, Field(ge=0)]
    run: Annotated[str, Field(max_length=255)] | None = None
    weights: Weights | None = None
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


def read_file(path: Path) -> bytes:
    """The content of a file that holds a model. It may be anybody's: a FIFO does not make anyone wait.

    Raises:
        RunError: there is no such file, or it cannot be read.
        CheckpointError: it is no file, or larger than 2 GiB.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123  (of a descriptor)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise CheckpointError(f"'{path}' is not a file, but a directory, FIFO or device.", "Give a file.")
            if status.st_size > MAX_FILE_BYTES:
                raise CheckpointError(f"'{path}' has {status.st_size:,} bytes.", f"At most {MAX_FILE_BYTES:,} are read.")
            return file.read()
    except FileNotFoundError as error:
        raise RunError(f"There is no file '{path}'.", "Check its name and the directory (ls).") from error
    except OSError as error:
        raise RunError(
            f"'{path}' cannot be read: {error.strerror}.", "Give a checkpoint directory, or a .safetensors or .onnx file."
        ) from error


def stored_facts(text: str | None, path: Path) -> dict[str, Any]:
    """What the metadata of a file say under :data:`KEY`, not yet checked.

    Raises:
        CheckpointError: nothing, or no JSON object of at most 1 MiB.
    """
    if text is None:
        raise CheckpointError(f"'{path}' does not say which model it holds.", "Give one that gancli wrote.")
    return parse_object(text.encode(errors="surrogatepass"), f"What '{path}' says about its model")


def parse_facts(stored: dict[str, Any], path: Path) -> Facts:
    """What is needed to build or run a model, checked.

    Raises:
        CheckpointError: something is missing or impossible.
    """
    try:
        return Facts.model_validate(stored)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(
            f"'{path}' does not say what is needed: {where}: {first['msg']}.", "Give one that gancli wrote."
        ) from error
