"""The model that another training starts from: its settings, and the weights of all its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gancli.checkpoint.manifest import read_checkpoint, read_manifest
from gancli.checkpoint.provenance import Origin, Parent, Provenance, read_file
from gancli.config.schema import checked
from gancli.errors import CheckpointError, ConfigError
from gancli.models.stored import absolute, is_file, origin_of_file, weights_path
from gancli.plugins.registry import ARCHITECTURES
from gancli.storage.tensors import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from gancli.config.layers import Flat
    from gancli.gan.state import TrainingState
    from gancli.plugin import ImageSpec


def inherit(runs_dir: Path) -> Callable[[str], Flat]:
    """What a configuration takes over from the model at an address, for :func:`gancli.config.resolve.resolve`."""

    def settings(address: str) -> Flat:
        found = absolute(address, runs_dir)
        path = weights_path(found)
        in_file = origin_of_file(read_file(path), path).provenance if is_file(path) else None
        provenance = in_file or Provenance.parse(read_manifest(path).facts, path)
        made_by, image = provenance.arch, provenance.image
        options = dict(made_by.options)
        if made_by.distribution:
            entry = ARCHITECTURES.find_maker(made_by.name, made_by.distribution, made_by.version)
            plugin = ARCHITECTURES.load_entry(entry)()
            # Options that it did not have yet have their plain defaults: what a new run prefers would be other networks.
            stored = checked("arch", plugin.Config, plugin.migrate(options, made_by.version))
            options = stored.model_dump(mode="json")
        return {
            **{key: value for key, value in provenance.config.items() if key.startswith("objective.")},
            "arch.name": made_by.name,
            **{f"arch.{key}": value for key, value in options.items()},
            "model.latent_dim": provenance.latent_dim,
            "model.conditional": bool(provenance.classes),
            "data.image_size": f"{image.height}x{image.width}",
            "data.channels": image.channels,
            "model.parent": found,
        }

    return settings


def start_from(address: str, state: TrainingState, arch: str, image: ImageSpec) -> tuple[Parent, tuple[str, ...]]:
    """Copy the weights of a stored model into a new training: of all networks and EMAs that it holds.

    ``image`` is what the new images are: if there were other classes, the class embeddings keep their new random weights.
    Returns the parent, for the record, and sentences for the user.

    Raises:
        ConfigError: the weights do not fit, because image size, conditions or options are others.
        CheckpointError: the model is corrupt, foreign or unsafe.
    """
    from gancli.gan.state import load_strictly
    from gancli.models.loading import widened

    path, networks = weights_path(address), state.stored_networks()
    if is_file(path):
        data = read_file(path)
        origin = origin_of_file(data, path)
        files = {"ema": data, "generator": data}  # it has only one of them
    else:
        there = read_manifest(path).files
        members = {name: f"{name}.safetensors" for name in networks if f"{name}.safetensors" in there}
        checkpoint = read_checkpoint(path, members.values())
        run, digest = path.absolute().parent.parent.name, there["ema.safetensors"].sha256
        origin = Origin(run, path, checkpoint.step, digest, "ema", Provenance.parse(checkpoint.manifest.facts, path))
        files = {name: checkpoint.files[member] for name, member in members.items()}
    run, provenance = origin.run, origin.provenance
    made, classes, then = provenance.image, image.classes, len(provenance.classes)
    if provenance.arch.name.rpartition("/")[2] != arch.rpartition("/")[2]:
        problem = f"'{run}' has the architecture '{provenance.arch.name}', not '{arch}'."
        raise ConfigError(problem, "Leave --arch out, or --from.")
    reset = False
    for name, data in files.items():
        tensors = widened(decode(data, f"'{name}' of '{address}'"))
        kept = _class_embeddings(networks[name], tensors, classes)
        try:
            load_strictly(networks[name], {**tensors, **kept}, f"{name} of '{run}'")
        except CheckpointError as error:
            problem, option = error.problem, "--latent-dim and the options of -s arch."
            if bool(then) != bool(classes):
                problem, option = f"'{run}' knows {then} classes, and this training {classes}.", "--conditional"
            if image.shape != (made.channels, made.height, made.width):
                shape = f"{made.channels}x{made.height}x{made.width}"
                problem, option = f"The weights of '{run}' make {shape}; '{arch}' has others for {image}.", "--image-size"
            raise ConfigError(problem, f"Leave out {option}, or --from.") from error
        reset = reset or bool(kept)
    copied = tuple(name for name in networks if name in files)
    notes = [f"Starts from the weights of {run}, step {origin.step:,}, trained on {provenance.dataset.name}."]
    if missing := sorted(state.trained.keys() - set(copied)):
        notes.append(f"'{run}' holds no weights of these networks, which start anew: {', '.join(missing)}.")
    if reset:
        now = "There is 1 class" if classes == 1 else f"There are {classes} classes"
        notes.append(f"{now} instead of {then}: the class embeddings start anew.")
    dataset = provenance.dataset.name
    return Parent(run=run, step=origin.step, digest=origin.digest, dataset=dataset, networks=copied), tuple(notes)


def _class_embeddings(network: nn.Module, stored: Mapping[str, Tensor], classes: int) -> dict[str, Tensor]:
    """The network's own embeddings of the classes, where the stored ones are of another number of them."""
    from torch import nn

    kept = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Embedding) and module.num_embeddings == classes:
            there = stored.get(f"{name}.weight")
            if there is not None and there.shape[1:] == module.weight.shape[1:] and len(there) != classes:
                kept[f"{name}.weight"] = module.weight.detach()
    return kept
