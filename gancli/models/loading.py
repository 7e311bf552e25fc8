"""From a run, a checkpoint or a file to a model.

A checkpoint says which plugin made it; it never says where code lies. The plugin has to be installed, and an architecture
that was a file has to be given again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from packaging.utils import canonicalize_name
from torch.nn.modules.module import register_module_parameter_registration_hook

from gancli.checkpoint.loading import read_checkpoint
from gancli.checkpoint.provenance import KEY, MadeBy, Origin, Provenance, Weights, read_file, stored_provenance
from gancli.checkpoint.store import CheckpointStore
from gancli.config.resolve import validate_options
from gancli.errors import CheckpointError, ConfigError, PluginError, UsageError
from gancli.gan.state import load_strictly
from gancli.models.model import Model
from gancli.models.stored import HUB, weights_path
from gancli.plugin import ImageSpec
from gancli.plugins.registry import ARCHITECTURES, Entry
from gancli.runs import find_run
from gancli.runtime.device import pick_device
from gancli.storage.tensors import decode, read_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

    from gancli.checkpoint.loading import Checkpoint
    from gancli.plugin import ArchConfig, Architecture

__all__ = ["from_bytes", "load", "widened"]

_MEMBER = {"ema": "ema", "raw": "generator"}
_BACK = "back"
"""The network that translates the other way, and how its EMA's file is called: ``ema_back``."""
_OF_A_RUN = ("best", "latest")
_LARGER, _ALWAYS_FINE = 20, 2**28
"""All networks together may have this many times the numbers of the stored generator, and a GiB of them in any case."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """The weights of a generator and what is known about them, not yet interpreted."""

    run: str
    path: Path
    step: int
    digest: str
    weights: Weights
    provenance: Provenance
    tensors: dict[str, Tensor]


def load(
    source: str | Path | None = None,
    *,
    checkpoint: str | Path | None = None,
    step: int | None = None,
    weights: Weights | None = None,
    device: str = "cpu",
    runs_dir: str | Path = "runs",
    arch: str | None = None,
    back: bool = False,
) -> Model:
    """Load a generator.

    Args:
        source: name or path of a run, or ``hf:USER/NAME[@revision]``; by default ``$GANCLI_RUN``, else the run that
            saved last.
        checkpoint: ``best`` or ``latest`` of the run; or, instead of a run, the path of a checkpoint directory, of a
            ``.safetensors`` file, or of a folder that ``gancli export -o DIR/`` wrote; ``hf:USER/NAME[@revision]``; or
            ``mnist``, a small model that gancli brings along. By default the best, by the metric of the training.
        step: which checkpoint of the run, instead of the best.
        weights: ``ema``, the averaged generator, or ``raw``, the one that was trained; by default ``ema``, or what a file
            holds.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        runs_dir: where runs are looked for by name.
        arch: ``FILE.py:CLASS``, for a model whose architecture was a file.
        back: load the translation back, of a run that learnt both ways (CycleGAN).

    Raises:
        UsageError: there is no way back.
        RunError: there is no such run or checkpoint.
        CheckpointError: it is corrupt, foreign or unsafe.
        PluginError: the architecture that made it is not here.
    """
    where = pick_device(device)
    if source is not None and str(source).startswith(HUB) and checkpoint is None:
        source, checkpoint = None, source
    path = None if checkpoint is None or checkpoint in _OF_A_RUN else weights_path(checkpoint)
    if path and path.suffix.lower() == ".safetensors":
        if back:
            raise UsageError(f"'{path}' holds one generator, without a way back.", "Give the run that it was exported from.")
        return _interpret(_parse_file(read_file(path), path, weights), where, arch)
    weights = weights or "ema"
    own = _MEMBER[weights] if not back else _BACK if weights == "raw" else f"ema_{_BACK}"
    member = f"{own}.safetensors"
    try:
        if path:
            found = read_checkpoint(path, [member])
            stored = _member(found, member, found.path.absolute().parent.parent.name, weights)
        else:
            which = checkpoint or "best" if step is None else step
            stored = _read_run(source, which, member, weights, Path(runs_dir))
    except CheckpointError as error:
        if not back or f"has no {member}" not in error.problem:
            raise
        raise UsageError(
            "This model does not translate back.", "Leave --back out; --arch cyclegan learns to translate both ways."
        ) from error
    return _interpret(stored, where, arch, back=back)


def _read_run(source: str | Path | None, which: int | str | Path, member: str, weights: Weights, runs_dir: Path) -> _Stored:
    run = find_run(None if source is None else str(source), runs_dir)
    store = CheckpointStore(run.checkpoints)
    step = which if isinstance(which, int) else None
    found = store.load_best([member]) if which == "best" else store.load(step, [member])
    return _member(found, member, run.name, weights)


def _member(found: Checkpoint, member: str, run: str, weights: Weights) -> _Stored:
    return _Stored(
        run=run,
        path=found.path,
        step=found.step,
        digest=found.manifest.files[member].sha256,
        weights=weights,
        provenance=Provenance.parse(found.manifest.facts, found.path),
        tensors=decode(found.files[member], f"'{found.path / member}'"),
    )


def from_bytes(data: bytes, path: Path, arch: str | None = None) -> Model:
    """The model in the content of a ``.safetensors`` file, on the CPU; ``path`` is its name in messages.

    Raises:
        CheckpointError: it is corrupt, foreign or unsafe.
        PluginError: the architecture that made it is not here.
    """
    return _interpret(_parse_file(data, path, None), torch.device("cpu"), arch)


def _parse_file(data: bytes, path: Path, weights: Weights | None) -> _Stored:
    from hashlib import sha256

    said = stored_provenance(read_metadata(data, f"'{path}'").get(KEY), path)
    if weights and said.weights and weights != said.weights:
        raise CheckpointError(
            f"'{path}' holds the {said.weights} weights, not the {weights} ones.", "Leave --weights out, or give a run."
        )
    return _Stored(
        run=said.run or path.stem,
        path=path,
        step=said.step,
        digest=said.digest or sha256(data).hexdigest(),
        weights=said.weights or weights or "ema",
        provenance=said,
        tensors=widened(decode(data, f"'{path}'")),
    )


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same in float32 where they are of 16 bits: a file may be half as large as the network that it becomes."""
    halves = {torch.float16, torch.bfloat16}
    return {name: tensor.float() if tensor.dtype in halves else tensor for name, tensor in tensors.items()}


def _interpret(stored: _Stored, device: torch.device, arch: str | None, *, back: bool = False) -> Model:
    facts = stored.provenance
    size = facts.image.channels, facts.image.height, facts.image.width
    image = ImageSpec(*size, len(facts.classes), facts.source, facts.paired)
    entry = _find_architecture(facts.arch, arch)
    plugin, options = _configured(entry, facts, image, stored)
    latent_dim = facts.latent_dim
    if back and image.source:
        generator = _built(lambda: plugin.build(options, image, latent_dim).others[_BACK], stored)
        channels, height, width = image.source
        own = replace(image, channels=channels, height=height, width=width, source=image.shape)
    else:
        generator, own = _built(lambda: plugin.build_generator(options, image, latent_dim), stored), image
    load_strictly(generator, stored.tensors, f"generator of '{stored.path}'")
    notes: tuple[str, ...] = ()
    if facts.arch.version != entry.version:
        notes = (f"Made by {facts.arch.distribution} {facts.arch.version}; {entry.version} is installed.",)
    origin = Origin(stored.run, stored.path, stored.step, stored.digest, stored.weights, facts, notes)

    return Model(
        generator.to(device),
        facts.latent_dim,
        own,
        tuple(facts.classes),
        origin,
    )


def _configured(
    entry: Entry, facts: Provenance, image: ImageSpec, stored: _Stored
) -> tuple[Architecture[ArchConfig], ArchConfig]:
    """The architecture that the facts describe, and its options."""
    plugin: Architecture[ArchConfig] = ARCHITECTURES.load_entry(entry)()
    try:
        migrated = plugin.migrate(dict(facts.arch.options), facts.arch.version)
        options = validate_options("arch", plugin.Config, migrated)
        reason = plugin.supports(options, image)
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        reason = str(error)
    if reason:
        raise CheckpointError(
            f"'{stored.path}' does not fit {entry.qualified} {entry.version}: {reason.rstrip('.')}.",
            f"It was made by version {facts.arch.version}; install that one.",
        )
    return plugin, options


def _built(build: Callable[[], nn.Module], stored: _Stored) -> nn.Module:
    """A network with any weights. The caller's random numbers stay the caller's."""
    with torch.random.fork_rng(devices=[]), _growth_bounded(stored):
        return build()


@contextmanager
def _growth_bounded(stored: _Stored) -> Iterator[None]:
    """Refuse networks that are far larger than the file that describes them, before their memory is touched.

    A parameter is registered when its memory is reserved and before it is filled, so that a small file that describes a
    huge network costs nothing.
    """
    there = sum(tensor.numel() for tensor in stored.tensors.values())
    most, seen = _LARGER * there + _ALWAYS_FINE, 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:  # noqa: ARG001  (torch's signature)
        nonlocal seen
        seen += 0 if parameter is None else parameter.numel()
        if seen > most:
            raise refusal

    refusal = CheckpointError(
        f"'{stored.path}' describes networks of more than {most:,} numbers, and holds {there:,}.",
        "Give one that gancli wrote.",
    )
    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise refusal from error
    finally:
        handle.remove()


def _find_architecture(made_by: MadeBy, given: str | None) -> Entry:
    """The installed plugin that made a model, or the file that is given again."""
    name, distribution = made_by.name, canonicalize_name(made_by.distribution)
    if given:
        entry = ARCHITECTURES.find(given)
        if not distribution and entry.version != made_by.version:
            raise PluginError(
                f"'{given}' is not the file that made this model: its content differs.", "Give the file as it was."
            )
        return entry
    if not distribution:
        raise PluginError(
            f"The model was made by the file '{name}'.",
            "Give it again with --arch FILE.py:CLASS; it is not imported by itself.",
        )
    return ARCHITECTURES.find_maker(name, distribution, made_by.version)
