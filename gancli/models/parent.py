"""The model that another training starts from: its settings, and the weights of all its networks."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from gancli.checkpoint.loading import read_checkpoint, read_manifest
from gancli.checkpoint.provenance import KEY, Parent, Provenance, read_file, stored_provenance
from gancli.errors import CheckpointError, ConfigError
from gancli.models.stored import absolute, weights_path
from gancli.plugins.registry import ARCHITECTURES
from gancli.storage.tensors import read_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from gancli.config.layers import Flat
    from gancli.gan.state import TrainingState

__all__ = ["inherit", "start_from"]

_NOT_NETWORKS = ("optim.safetensors", "meters.safetensors")


def inherit(runs_dir: Path) -> Callable[[str], Flat]:
    """What a configuration takes over from the model at an address, for :func:`gancli.config.resolve.resolve`.

    Architecture with options, losses, latent space, classes or none, and the size of the images; and the address as it
    is found from any working directory, under ``model.parent``.
    """

    def settings(address: str) -> Flat:
        found = absolute(address, runs_dir)
        provenance = _stored(weights_path(found)).provenance
        made_by, image = provenance.arch, provenance.image
        name, options = made_by.name, dict(made_by.options)
        if made_by.distribution:
            entry = ARCHITECTURES.find_maker(name, made_by.distribution, made_by.version)
            options = ARCHITECTURES.load_entry(entry)().migrate(options, made_by.version)
        objective = {key: value for key, value in provenance.config.items() if key.startswith("objective.")}
        return {
            **objective,
            "arch.name": name,
            **{f"arch.{key}": value for key, value in options.items()},
            "model.latent_dim": provenance.latent_dim,
            "model.conditional": bool(provenance.classes),
            "data.image_size": f"{image.height}x{image.width}",
            "data.channels": image.channels,
            "model.parent": found,
        }

    return settings


@dataclass(frozen=True, slots=True)
class _Stored:
    """A checkpoint or a file.

    Attributes:
        run: name of the run, or of the file.
        provenance: what it says about itself.
        files: the weights of each network that it holds, by name; empty if they were not asked for.
    """

    run: str
    step: int
    provenance: Provenance
    files: dict[str, bytes]


def _stored(path: Path, *, weights: bool = False) -> _Stored:
    if path.suffix.lower() == ".safetensors":
        data = read_file(path)
        provenance = stored_provenance(read_metadata(data, f"'{path}'").get(KEY), path)
        name = "generator" if provenance.weights == "raw" else "ema"
        return _Stored(provenance.run or path.stem, provenance.step, provenance, {name: data})
    manifest = read_manifest(path)
    files = {}
    if weights:
        names = [name for name in manifest.files if name.endswith(".safetensors") and name not in _NOT_NETWORKS]
        files = {name.removesuffix(".safetensors"): data for name, data in read_checkpoint(path, names).files.items()}
    run = path.absolute().parent.parent.name
    return _Stored(run, manifest.step, Provenance.parse(manifest.facts, path), files)


def start_from(address: str, state: TrainingState, arch: str, classes: int) -> tuple[Parent, tuple[str, ...]]:
    """Copy the weights of a stored model into a training that has not begun: of all networks and EMAs that it holds.

    Args:
        address: ``model.parent``.
        state: whose networks are overwritten.
        arch: the name of their architecture.
        classes: of the new images. If there were as many, or none, everything is copied; else the class embeddings keep
            their new random weights.

    Returns:
        the parent, for the record; and sentences for the user.

    Raises:
        ConfigError: the weights do not fit, because image size, conditions or options are others.
        CheckpointError: the model is corrupt, foreign or unsafe.
    """
    from gancli.gan.state import load_strictly
    from gancli.models.loading import widened
    from gancli.storage.tensors import decode

    stored = _stored(weights_path(address), weights=True)
    tensors = {name: widened(decode(data, f"'{name}' of '{address}'")) for name, data in stored.files.items()}
    provenance = stored.provenance
    if provenance.arch.name.rpartition("/")[2] != arch.rpartition("/")[2]:
        raise ConfigError(
            f"'{stored.run}' has the architecture '{provenance.arch.name}', not '{arch}'.", "Leave --arch out, or --from."
        )
    for one, other in (("ema", "generator"), ("generator", "ema")):  # a file has only one of them
        tensors.setdefault(one, tensors.get(other, {}))
    copied = [name for name in state.stored_networks() if tensors.get(name)]
    redrawn = False
    for name in copied:
        network = state.stored_networks()[name]
        kept = _class_embeddings(network, tensors[name], classes)
        try:
            load_strictly(network, {**tensors[name], **kept}, f"{name} of '{stored.run}'")
        except CheckpointError as error:
            image = provenance.image
            raise ConfigError(
                error.problem,
                f"It makes {image.channels}x{image.height}x{image.width} and knows {len(provenance.classes)} classes: "
                "leave out --image-size, --conditional and -s arch., or --from.",
            ) from error
        redrawn = redrawn or bool(kept)
    first = stored.files["ema" if "ema" in stored.files else "generator"]
    parent = Parent(
        run=stored.run,
        step=stored.step,
        digest=provenance.digest or sha256(first).hexdigest(),
        dataset=provenance.dataset.name,
        networks=tuple(copied),
    )
    notes = [f"Starts from the weights of {parent.run}, step {parent.step:,}, trained on {parent.dataset}."]
    if missing := sorted(state.trained.keys() - set(copied)):
        notes.append(f"'{parent.run}' holds no weights of these networks, which start anew: {', '.join(missing)}.")
    if redrawn:
        notes.append(f"There are {classes} classes instead of {len(provenance.classes)}: the class embeddings start anew.")
    return parent, tuple(notes)


def _class_embeddings(network: nn.Module, stored: Mapping[str, Tensor], classes: int) -> dict[str, Tensor]:
    """The network's own embeddings of the classes, where the stored ones are of another number of them."""
    from torch import nn

    own = {
        f"{name}.weight": module.weight.detach()
        for name, module in network.named_modules()
        if isinstance(module, nn.Embedding) and module.num_embeddings == classes
    }
    return {
        key: weight
        for key, weight in own.items()
        if key in stored and stored[key].shape[1:] == weight.shape[1:] and len(stored[key]) != classes
    }
