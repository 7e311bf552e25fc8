"""The layers of an architecture's networks, found by running them once. Imports torch when called."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gancli.errors import ConfigError, UsageError
from gancli.plugin import ImageSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gancli.config.schema import RunConfig


def parse_image(text: str, classes: int = 0) -> ImageSpec:
    """``CHANNELSxHEIGHTxWIDTH``.

    >>> parse_image("1x28x28")
    ImageSpec(channels=1, height=28, width=28, classes=0, source=None, paired=False)
    """
    match = re.fullmatch(r"([1-4])x([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if match is None:
        raise UsageError(f"'{text}' is not the shape of an image.", "Write CHANNELSxHEIGHTxWIDTH, for instance 1x28x28.")
    channels, height, width = map(int, match.groups())
    return ImageSpec(channels, height, width, classes)


def networks(config: RunConfig, image: ImageSpec) -> dict[str, Any]:
    """Build all networks, and run generator and discriminator on two images: for source images too, if need be.

    Returns:
        ``parameters``: how many, by network. ``layers``: of each module that has parameters of its own, or no children,
        ``network``, ``name`` and ``type``; ``shape`` of its result for one image, empty if it was not called; and how many
        ``parameters`` of its own it has. Those that two modules share count for the first.
    """
    import torch

    from gancli.config.resolve import choose_arch
    from gancli.gan.context import example_conditions, example_inputs

    chosen = choose_arch(config)
    architecture, options = chosen.plugin, chosen.options
    if reason := architecture.supports(options, image):
        image = replace(image, source=image.shape)
        if architecture.supports(options, image):
            raise ConfigError(f"The architecture '{config.arch.name}' cannot generate images of {image}.", reason)
    latent_dim = config.model.latent_dim
    built = architecture.build(options, image, latent_dim)
    given = {
        "generator": (built.generator, example_inputs(image, latent_dim, 2)),
        "discriminator": (built.discriminator, (torch.zeros(2, *image.shape), *example_conditions(image, 2))),
        **{name: (network, None) for name, network in built.others.items()},
    }
    return {
        "parameters": {name: sum(x.numel() for x in network.parameters()) for name, (network, _) in given.items()},
        "layers": [layer for name, pair in given.items() for layer in _layers(name, *pair)],
    }


def _layers(network_name: str, network: nn.Module, inputs: tuple[Tensor, ...] | None) -> list[dict[str, Any]]:
    """In the order in which they are first called, if there are inputs to call the network with; then all others."""
    import torch

    shapes: dict[str, tuple[int, ...]] = {}
    modules = {name: x for name, x in network.named_modules() if "parametrizations" not in name.split(".")}

    def note(_module: nn.Module, _inputs: object, result: object, name: str) -> None:
        shapes.setdefault(name, tuple(result.shape[1:]) if isinstance(result, torch.Tensor) else ())

    if inputs is not None:
        hooks = [module.register_forward_hook(partial(note, name=name)) for name, module in modules.items()]
        with torch.no_grad():
            network.eval()(*inputs)
        for hook in hooks:
            hook.remove()

    layers, counted = [], set[int]()
    for name in (*shapes, *(name for name in modules if name not in shapes)):
        module = modules[name]
        own = list(module.parameters(recurse=False))
        if isinstance(parametrized := getattr(module, "parametrizations", None), torch.nn.ModuleDict):
            own += parametrized.parameters()
        elif not own and next(module.children(), None) is not None:
            continue
        found = {id(x): x.numel() for x in own if id(x) not in counted}
        counted |= found.keys()
        about = {"network": network_name, "name": name, "type": type(module).__name__, "shape": shapes.get(name, ())}
        layers.append({**about, "parameters": sum(found.values())})
    return layers
