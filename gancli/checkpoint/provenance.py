"""What a model says about itself: where it came from, and what is needed to build it. No torch.

A run's checkpoint, the averaged generator in it (``ema.safetensors``) and every export say it in the same words: a JSON
object, in the manifest or under the key ``gancli`` of the file's own metadata.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from gancli.errors import CheckpointError, RunError
from gancli.storage.strict_json import parse_object
from gancli.storage.system import open_to_read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


KEY = "gancli"  # where the metadata of a file hold the provenance
SHARED = "generator.safetensors"  # the file with the weights in a folder that is made to be shared
MAX_FILE_BYTES = 2**31  # size of the largest file that is read: what a protocol buffer can have

Weights = Literal["ema", "raw"]
Size = Annotated[int, Field(ge=1, le=65536)]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model came from."""

    run: str  # the name of its run or file
    checkpoint: Path  # the path of the checkpoint or file
    step: int  # the training steps behind it
    digest: str  # SHA-256 of the weights' file
    weights: Weights
    provenance: Provenance  # what the checkpoint says about itself
    notes: tuple[str, ...] = ()  # sentences that the user should read, such as a plugin of another version

    def __str__(self) -> str:
        """``20261123-120431-mnist-dense, step 9,380, ema weights``."""
        return f"{self.run}, step {self.step:,}, {self.weights} weights"


class _Section(BaseModel):
    """What is known is checked, what is not is kept: another version may have written it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")


class MadeBy(_Section):
    """The architecture plugin that built a model, with the options it was given."""

    name: str
    distribution: str
    version: str
    options: dict[str, JsonValue]


class ImageSize(_Section):
    """Channels, height and width of an image."""

    channels: Size
    height: Size
    width: Size


class TrainedOn(_Section):
    """The data set: its name, the fingerprint of its images, and its licence as far as it is known."""

    name: str
    fingerprint: str | None = None
    licence: str | None = None


class Length(_Section):
    """The length of a training, and the step from which on it was made another one."""

    total_steps: int | None
    extended_at: int = 0


class Change(_Section):
    """A setting that was changed when the run was resumed at ``step``."""

    step: int
    images_seen: int
    key: str
    before: JsonValue
    now: JsonValue


class Parent(_Section):
    """The model whose weights a training started from, and the ``networks`` of it: generator, discriminator, ema."""

    run: str
    step: int
    digest: str
    dataset: str
    networks: Annotated[tuple[str, ...], Field(strict=False)]


class Provenance(_Section):
    """What a checkpoint or an exported file says about its model. The file may be anybody's.

    The first five are what a model is built from; the others are there as far as the file needs them.
    """

    arch: MadeBy
    image: ImageSize
    classes: Annotated[tuple[str, ...], Field(strict=False)]
    latent_dim: Size
    dataset: TrainedOn
    source: Annotated[tuple[Size, Size, Size], Field(strict=False)] | None = None  # size of images that are translated
    paired: bool = False  # whether each of these belongs to one target image
    frozen: dict[str, str] = {}  # SHA-256 of the weights of each network that is never trained
    environment: dict[str, JsonValue] = {}  # what the bits of a result may depend on
    config: dict[str, JsonValue] = {}  # every setting by its dotted name
    plan: Length | None = None
    inexact: str = ""  # why the run may not end in the same bits; empty if it does
    divided_anew: Annotated[tuple[str, ...], Field(strict=False)] = ()  # where it went on in another number of processes
    changes: Annotated[tuple[Change, ...], Field(strict=False)] = ()
    best: dict[str, JsonValue] | None = None
    parent: Parent | None = None
    elapsed_seconds: float = 0.0
    gancli: str = ""
    step: Annotated[int, Field(ge=0)] = 0
    run: Annotated[str, Field(max_length=255)] | None = None  # name of the run that a file was exported from
    weights: Weights | None = None  # of the file that it was exported from
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None  # likewise

    @classmethod
    def parse(cls, stored: Mapping[str, object], path: Path) -> Self:
        """What is stored in ``path``, checked; a CheckpointError if something is missing or impossible."""
        try:
            return cls.model_validate(dict(stored))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            problem = f"'{path}' does not say what is needed: {where}: {first['msg']}."
            raise CheckpointError(problem, "Give one that gancli wrote.") from error

    def document(self) -> dict[str, JsonValue]:
        """As JSON: what was set, and nothing else."""
        return self.model_dump(mode="json", exclude_unset=True)


def read_file(path: Path) -> bytes:
    """The content of a file that holds a model. It may be anybody's: a FIFO does not make anyone wait.

    Raises:
        RunError: there is no such file, or it cannot be read.
        CheckpointError: it is not a regular file, or larger than 2 GiB.
    """
    try:
        descriptor = open_to_read(path)
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
        problem = f"'{path}' cannot be read: {error.strerror}."
        raise RunError(problem, "Give a checkpoint directory, or a .safetensors or .onnx file.") from error


def stored_origin(text: str | None, data: bytes, path: Path) -> Origin:
    """Where the model in a file with this content came from, by what its metadata say under :data:`KEY`."""
    if text is None:
        raise CheckpointError(f"'{path}' does not say which model it holds.", "Give one that gancli wrote.")
    stored = parse_object(text.encode(errors="surrogatepass"), f"What '{path}' says about its model")
    stated = Provenance.parse(stored, path)
    return Origin(
        stated.run or path.stem, path, stated.step, stated.digest or sha256(data).hexdigest(), stated.weights or "ema", stated
    )
