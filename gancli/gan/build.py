"""From an architecture to a state that can be trained: networks, optimisers, EMAs, and the updates that train them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.parametrize import is_parametrized

from gancli.config.resolve import choose_arch, load_objective, load_optimizer
from gancli.errors import ConfigError, PluginError
from gancli.gan.algorithm import goodfellow_2014
from gancli.gan.context import example_conditions, example_inputs
from gancli.gan.state import Average, Trained, TrainingState
from gancli.plugin import ArchConfig, Architecture, ImageSpec, Networks, Objective, Update
from gancli.plugins.registry import Chosen, check_asset
from gancli.randomness.seeds import address

if TYPE_CHECKING:
    from gancli.config.schema import RunConfig, TrainConfig

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_RESERVED = frozenset({"generator", "discriminator", "ema", "optim", "meters", "state", "manifest", "rng"})


def build_training(
    config: RunConfig,
    image: ImageSpec,
    device: torch.device,
    mean: torch.Tensor,
    chosen: Chosen[Architecture[ArchConfig]] | None = None,
) -> tuple[TrainingState, tuple[Update, ...]]:
    """What a run of this configuration trains, and how; ``mean`` is the mean training image, ``(c, h, w)`` in [-1, 1].

    Raises:
        ConfigError: the architecture cannot generate such images.
        PluginError: networks or updates do not keep the contract, or pretrained weights are missing.
    """
    chosen = chosen or choose_arch(config)
    arch, options = chosen.plugin, chosen.options
    objective: Objective = load_objective(config)
    if reason := arch.supports(options, image):
        sides, source = (8, 16, 28, 32, 64, 128, 256), image.source
        squares = (replace(image, height=n, width=n, source=source and (source[0], n, n)) for n in sides)
        is_size = any(arch.supports(options, square) is None for square in squares)
        remedy = f"{reason} --image-size makes all images of one size." if is_size else reason
        raise ConfigError(f"The architecture '{config.arch.name}' cannot generate images of {image}.", remedy)
    for asset in arch.assets(options):
        check_asset(asset)
    torch.manual_seed(address(config.train.seed, "weights"))
    made = arch.build(options, image, config.model.latent_dim)
    others = {name: network.to(device) for name, network in made.others.items()}
    networks = Networks(made.generator.to(device), made.discriminator.to(device), others, made.ema)
    arch.calibrate(networks, mean)
    try:
        _check_networks(networks, image, config.model.latent_dim, device)
        return assemble(arch, options, objective, networks, config.train)
    except PluginError as error:
        raise PluginError(
            f"The architecture '{config.arch.name}' {error.problem}",
            "Its author has to keep the contract of gancli.plugin; `gancli plugin check` says more.",
        ) from error


def assemble(
    arch: Architecture[Any], options: ArchConfig, objective: Objective, networks: Networks, train: TrainConfig
) -> tuple[TrainingState, tuple[Update, ...]]:
    """Networks with their optimisers and EMAs, and the updates of a step; a PluginError if they do not keep the contract."""
    updates = tuple(arch.updates(options, objective, *goodfellow_2014(objective, train.discriminator_updates)))
    named = {"generator": networks.generator, "discriminator": networks.discriminator, **networks.others}
    for name in networks.others:
        if not _NAME.fullmatch(name) or name in _RESERVED or name.startswith("ema_"):
            raise PluginError(
                f"names a network '{name}', which is reserved, or not lower-case letters, digits and underscores."
            )
    learning = {name for update in updates for name in update.networks}
    if unknown := sorted((learning | set(networks.ema)) - named.keys()):
        raise PluginError(f"has no network '{unknown[0]}', which its updates or EMAs name.")
    if "generator" not in learning:
        raise PluginError("has no update that trains the generator.")
    _check_updates(updates)
    _freeze_first_layers(networks.discriminator, train.freeze_discriminator)
    trained: dict[str, Trained] = {}
    frozen: dict[str, torch.nn.Module] = {}
    for name, network in named.items():
        if name in learning:
            groups = arch.parameter_groups(options, name, network)
            optimizer = load_optimizer(train, name).build(groups, train.learning_rate, train.betas)
            trained[name] = Trained(network, optimizer)
        else:
            frozen[name] = network.eval().requires_grad_(False)
    averages = {name: Average(named[name]) for name in ("generator", *networks.ema)}
    return TrainingState(trained, averages, frozen), updates


def _check_updates(updates: tuple[Update, ...]) -> None:
    """A PluginError if names of updates or loss terms are not unique, or a term names a network that its update leaves."""
    for update in updates:
        for term in update.losses:
            if foreign := sorted({*term.networks} - {*update.networks}):
                raise PluginError(f"has a loss term '{term.name}' of '{foreign[0]}', which its update does not train.")
    terms = [term.name for update in updates for term in update.losses]
    for what, found in (("updates of", [update.name for update in updates]), ("loss terms named", terms)):
        if twice := next((name for name in found if found.count(name) > 1), None):
            raise PluginError(f"has two {what} '{twice}'.")


def _freeze_first_layers(discriminator: torch.nn.Module, number: int) -> None:
    """FreezeD (Mo et al., 2020, "Freeze the Discriminator"): the first layers with weights of their own are not trained."""
    layers = [
        module
        for name, module in discriminator.named_modules()
        if "parametrizations" not in name.split(".") and (list(module.parameters(recurse=False)) or is_parametrized(module))
    ]
    if number >= len(layers):
        problem = f"train.freeze_discriminator is {number}, and the discriminator has {len(layers)} layers."
        raise ConfigError(problem, f"Give at most {len(layers) - 1}: one has to be trained.")
    for layer in layers[:number]:
        for weight in layer.parameters(recurse=is_parametrized(layer)):
            weight.requires_grad_(False)


@torch.no_grad()
def _check_networks(networks: Networks, image: ImageSpec, latent_dim: int, device: torch.device) -> None:
    """Run generator and discriminator once on two images, in eval mode, so that nothing in them changes."""
    try:
        fake = networks.generator.eval()(*example_inputs(image, latent_dim, 2, device))
        shown = torch.zeros(2, *image.shape, device=device)
        logits = networks.discriminator.eval()(shown, *example_conditions(image, 2, device))
    except Exception as error:
        raise PluginError(f"fails on two images of {image}: {type(error).__name__}: {error}.") from error
    if fake.shape != (2, *image.shape) or not fake.dtype.is_floating_point:
        raise PluginError(f"generates {fake.dtype} {tuple(fake.shape)}, not float32 {(2, *image.shape)}.")
    if logits.ndim not in (1, 2) or len(logits) != 2:  # noqa: PLR2004  (the two images)
        raise PluginError(f"has logits of shape {tuple(logits.shape)} for two images, not (2,) or (2, k).")
    for network in (networks.generator, networks.discriminator, *networks.others.values()):
        network.train()
