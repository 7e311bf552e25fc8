"""From a run, a checkpoint or a file to a model.

A checkpoint says which plugin made it; it never says where code lies. The plugin has to be installed, and an architecture
that was a file has to be given again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch.nn.modules.module import register_module_parameter_registration_hook

from gancli.checkpoint.loading import read_checkpoint
from gancli.checkpoint.store import CheckpointStore
from gancli.checkpoint.strict_json import parse_object
from gancli.checkpoint.tensors import decode, read_metadata
from gancli.distributions import canonical
from gancli.errors import CheckpointError, ConfigError, PluginError, RunError
from gancli.generation.facts import Facts, MadeBy, Origin, Weights
from gancli.generation.model import Model
from gancli.plugin import ImageSpec
from gancli.registry import ARCHITECTURES, Entry
from gancli.runs import find_run
from gancli.settings import validate_options
from gancli.training.runtime import pick_device
from gancli.training.state import load_strictly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

__all__ = ["load"]

_MEMBER = {"ema": "ema", "raw": "generator"}
_LARGER, _ALWAYS_FINE = 20, 2**24
"""Both networks together may have this many times the numbers of the stored generator, and some in any case."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """The weights of a generator and what is known about them, not yet interpreted."""

    run: str
    path: Path
    step: int
    digest: str
    facts: dict[str, Any]
    tensors: dict[str, Tensor]


def load(
    source: str | Path | None = None,
    *,
    checkpoint: str | Path | None = None,
    step: int | None = None,
    weights: Weights = "ema",
    device: str = "cpu",
    runs_dir: str | Path = "runs",
    arch: str | None = None,
) -> Model:
    """Load a generator.

    Args:
        source: name or path of a run; by default ``$GANCLI_RUN``, else the run that saved last.
        checkpoint: path of a checkpoint directory or of a ``.safetensors`` file instead.
        step: which checkpoint of the run; by default the newest.
        weights: ``ema``, the averaged generator, or ``raw``, the one that was trained.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        runs_dir: where runs are looked for by name.
        arch: ``FILE.py:CLASS``, for a model whose architecture was a file.

    Raises:
        RunError: there is no such run or checkpoint.
        CheckpointError: it is corrupt, foreign or unsafe.
        PluginError: the architecture that made it is not here.
    """
    where = pick_device(device)
    stored = _read_path(Path(checkpoint), weights) if checkpoint else _read_run(source, step, weights, Path(runs_dir))
    return _interpret(stored, weights, where, arch)


def _read_run(source: str | Path | None, step: int | None, weights: Weights, runs_dir: Path) -> _Stored:
    run = find_run(None if source is None else str(source), runs_dir)
    member = f"{_MEMBER[weights]}.safetensors"
    found = CheckpointStore(run.checkpoints).load(step, [member])
    return _Stored(
        run=run.name,
        path=found.path,
        step=found.step,
        digest=found.manifest.files[member].sha256,
        facts=dict(found.manifest.facts),
        tensors=decode(found.files[member], f"'{found.path / member}'"),
    )


def _read_path(path: Path, weights: Weights) -> _Stored:
    if path.suffix == ".safetensors":
        return _read_file(path)
    member = f"{_MEMBER[weights]}.safetensors"
    found = read_checkpoint(path, [member])
    run = found.path.absolute().parent.parent.name
    facts = dict(found.manifest.facts)
    tensors = decode(found.files[member], f"'{path / member}'")
    return _Stored(run, path, found.step, found.manifest.files[member].sha256, facts, tensors)


def _read_file(path: Path) -> _Stored:
    from hashlib import sha256

    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(
            f"'{path}' cannot be read: {error.strerror}.", "Give a checkpoint directory or a .safetensors file."
        ) from error
    text = read_metadata(data, f"'{path}'").get("gancli")
    if text is None:
        raise CheckpointError(f"'{path}' does not say which model it holds.", "Give one that gancli wrote.")
    facts = parse_object(text.encode(errors="surrogatepass"), f"What '{path}' says about its model")
    tensors = decode(data, f"'{path}'")
    return _Stored(path.stem, path, facts.get("step", 0), sha256(data).hexdigest(), facts, tensors)


def _interpret(stored: _Stored, weights: Weights, device: torch.device, arch: str | None) -> Model:
    try:
        facts = Facts.model_validate({**stored.facts, "step": stored.step})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(
            f"'{stored.path}' does not say what is needed: {where}: {first['msg']}.", "Give one that gancli wrote."
        ) from error
    image = ImageSpec(facts.image.channels, facts.image.height, facts.image.width, len(facts.classes))
    entry = _find_architecture(facts.arch, arch)
    generator = _build(entry, facts, image, stored)
    load_strictly(generator, stored.tensors, f"generator of '{stored.path}'")
    notes: tuple[str, ...] = ()
    if facts.arch.version != entry.version:
        notes = (f"Made by {facts.arch.distribution} {facts.arch.version}; {entry.version} is installed.",)
    origin = Origin(stored.run, stored.path, stored.step, stored.digest, weights, stored.facts, notes)
    return Model(generator.to(device), facts.latent_dim, image, tuple(facts.classes), origin)


def _build(entry: Entry, facts: Facts, image: ImageSpec, stored: _Stored) -> nn.Module:
    """The generator that the facts describe, with any weights."""
    plugin = ARCHITECTURES.load_entry(entry)()
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
    with torch.random.fork_rng(devices=[]), _growth_bounded(stored):  # the caller's random numbers are the caller's
        return plugin.build(options, image, facts.latent_dim).generator


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
    name, distribution = made_by.name, canonical(made_by.distribution)
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
