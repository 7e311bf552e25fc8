"""From a run, a checkpoint or a file to a model.

A checkpoint says which plugin made it, never where code lies: install the plugin, or give the architecture's file again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from packaging.utils import canonicalize_name
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from gancli.checkpoint.manifest import read_checkpoint
from gancli.checkpoint.provenance import Origin, Provenance, Weights, read_file
from gancli.checkpoint.store import CheckpointStore
from gancli.config.schema import checked
from gancli.data.source import HUB
from gancli.errors import CheckpointError, ConfigError, PluginError, UsageError
from gancli.gan.state import load_strictly
from gancli.models.model import Model
from gancli.models.stored import BUNDLED, is_file, origin_of_file, weights_path
from gancli.plugin import ArchConfig, Architecture, ImageSpec
from gancli.plugins.registry import ARCHITECTURES
from gancli.runs import find_run
from gancli.runtime.device import pick_device
from gancli.storage.tensors import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gancli.plugins.distributions import Entry

_BACK = "back"  # the network that translates the other way; its EMA's file is called ``ema_back``
_LARGER, _ALWAYS_FINE = 20, 2**28
"""All networks together may have this many times the numbers of the stored generator, and a GiB of them in any case."""


def load(
    source: str | PathLike[str] | None = None,
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

    >>> import gancli
    >>> gancli.load(checkpoint="mnist")
    <gancli.Model mnist, step 8,892, ema weights: dense, z 64 -> 1x28x28, 10 classes, 444,080 parameters, cpu>

    Args:
        source: a run, its name or path, ``hf:USER/NAME[@revision]``, ``mnist``, or a ``.safetensors`` file; by default
            ``$GANCLI_RUN``, else the run that saved last.
        checkpoint: ``best`` or ``latest`` of the run; or, instead of a run, the path of a checkpoint directory, of a
            ``.safetensors`` file, or of a folder that ``gancli export -o DIR/`` wrote; ``hf:USER/NAME[@revision]``; or
            ``mnist``, a small model that gancli brings along. By default the best, by the metric of the training.
        step: which checkpoint of the run, instead of the best.
        weights: ``ema``, the EMA of the generator, or ``raw``, the one that was trained; by default ``ema``, or what a
            file holds.
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
    source = None if source is None else fspath(source)
    if source is not None and checkpoint is None:
        bundled = source in BUNDLED and not (Path(runs_dir) / source).exists()
        if bundled or source.startswith(HUB) or source.endswith(".safetensors"):
            source, checkpoint = None, source
    path = None if checkpoint in (None, "best", "latest") else weights_path(checkpoint)
    if path and is_file(path):
        if back:
            raise UsageError(f"'{path}' holds one generator, without a way back.", "Give the run that it was exported from.")
        return from_bytes(read_file(path), path, arch, weights, where)
    weights = weights or "ema"
    raw = weights == "raw"
    name = (_BACK if raw else f"ema_{_BACK}") if back else ("generator" if raw else "ema")
    member = f"{name}.safetensors"
    try:
        if path:
            found, run = read_checkpoint(path, [member]), path.absolute().parent.parent.name
        else:
            directory = find_run(source, Path(runs_dir))
            store, run = CheckpointStore(directory.checkpoints), directory.name
            best = step is None and checkpoint != "latest"
            found = store.load_best([member]) if best else store.load(step, [member])
    except CheckpointError as error:
        if not back or f"has no {member}" not in error.problem:
            raise
        problem = "This model does not translate back."
        raise UsageError(problem, "Leave --back out; --arch cyclegan learns to translate both ways.") from error
    facts = Provenance.parse(found.manifest.facts, found.path)
    origin = Origin(run, found.path, found.step, found.manifest.files[member].sha256, weights, facts)
    return _model(origin, decode(found.files[member], f"'{found.path / member}'"), where, arch, back=back)


def from_bytes(
    data: bytes, path: Path, arch: str | None = None, weights: Weights | None = None, device: torch.device | None = None
) -> Model:
    """The model in the content of a ``.safetensors`` file, by default on the CPU; ``path`` is its name in messages."""
    origin = origin_of_file(data, path)
    held = origin.provenance.weights
    if weights and held and weights != held:
        problem = f"'{path}' holds the {held} weights, not the {weights} ones."
        raise CheckpointError(problem, "Leave --weights out, or give a run.")
    origin = replace(origin, weights=held or weights or "ema")
    return _model(origin, widened(decode(data, f"'{path}'")), device or torch.device("cpu"), arch)


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same in float32 where they are of 16 bits: a file may be half as large as the network that it becomes."""
    halves = {torch.float16, torch.bfloat16}
    return {name: tensor.float() if tensor.dtype in halves else tensor for name, tensor in tensors.items()}


def _model(
    origin: Origin, tensors: Mapping[str, Tensor], device: torch.device, arch: str | None, *, back: bool = False
) -> Model:
    """Build the generator and put its weights into it. The caller's random numbers stay the caller's."""
    facts, path = origin.provenance, origin.checkpoint
    size = facts.image
    image = ImageSpec(size.channels, size.height, size.width, len(facts.classes), facts.source, facts.paired)
    entry = _find_architecture(facts, arch)
    plugin: Architecture[ArchConfig] = ARCHITECTURES.load_entry(entry)()
    try:
        options = checked("arch", plugin.Config, plugin.migrate(dict(facts.arch.options), facts.arch.version))
        reason = plugin.supports(options, image)
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        reason = str(error)
    if reason:
        problem = f"'{path}' does not fit {entry.qualified} {entry.version}: {reason.rstrip('.')}."
        raise CheckpointError(problem, f"It was made by version {facts.arch.version}; install that one.")
    with torch.random.fork_rng(devices=[]), _growth_bounded(path, sum(tensor.numel() for tensor in tensors.values())):
        if back and image.source:
            generator = plugin.build(options, image, facts.latent_dim).others[_BACK]
            channels, height, width = image.source
            image = replace(image, channels=channels, height=height, width=width, source=image.shape)
        else:
            generator = plugin.build_generator(options, image, facts.latent_dim)
    load_strictly(generator, tensors, f"generator of '{path}'")
    if facts.arch.version != entry.version:
        note = f"Made by {facts.arch.distribution} {facts.arch.version}; {entry.version} is installed."
        origin = replace(origin, notes=(note,))
    return Model(generator.to(device), facts.latent_dim, image, tuple(facts.classes), origin)


def _find_architecture(facts: Provenance, given: str | None) -> Entry:
    """The installed plugin that made a model, or the file that is given again."""
    name, distribution = facts.arch.name, canonicalize_name(facts.arch.distribution)
    if given:
        entry = ARCHITECTURES.find(given)
        if not distribution and entry.version != facts.arch.version:
            problem = f"'{given}' is not the file that made this model: its content differs."
            raise PluginError(problem, "Give the file as it was.")
        return entry
    if not distribution:
        problem = f"The model was made by the file '{name}'."
        raise PluginError(problem, "Give it again with --arch FILE.py:CLASS; it is not imported by itself.")
    return ARCHITECTURES.find_maker(name, distribution, facts.arch.version)


@contextmanager
def _growth_bounded(path: Path, there: int) -> Iterator[None]:
    """Refuse networks that are far larger than the file that describes them.

    A parameter is registered before its memory is filled, so that a small file that describes a huge network costs nothing.
    """
    most, seen = _LARGER * there + _ALWAYS_FINE, 0
    problem = f"'{path}' describes networks of more than {most:,} numbers, and holds {there:,}."
    refusal = CheckpointError(problem, "Give one that gancli wrote.")

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal seen
        seen += 0 if parameter is None else parameter.numel()
        if seen > most:
            raise refusal

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise refusal from error
    finally:
        handle.remove()
