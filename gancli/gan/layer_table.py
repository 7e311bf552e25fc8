"""The layers of an architecture's networks, found by running them once. Imports torch when called."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gancli.errors import ConfigError, UsageError
from gancli.plugin import ImageSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gancli.config.schema import RunConfig

__all__ = ["Layer", "networks", "parse_image"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One module that has parameters of its own, or no children, in the order in which they were called.

    Attributes:
        player: ``generator`` or ``discriminator``.
        name: dotted name within the network.
        type: name of the class.
        shape: of its result for one image; empty if it was not called, or returns no tensor.
        parameters: how many of its own. Those of all layers add up to those of the network.
    """

    player: str
    name: str
    type: str
    shape: tuple[int, ...]
    parameters: int


def parse_image(text: str, classes: int = 0) -> ImageSpec:
    """``CHANNELSxHEIGHTxWIDTH``.

    >>> parse_image("1x28x28")
    ImageSpec(channels=1, height=28, width=28, classes=0)

    Raises:
        UsageError: it is something else.
    """
    match = re.fullmatch(r"([1-4])x([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if match is None:
        raise UsageError(f"'{text}' is no shape of a picture.", "Write CHANNELSxHEIGHTxWIDTH, for instance 1x28x28.")
    channels, height, width = map(int, match.groups())
    return ImageSpec(channels, height, width, classes)


def networks(config: RunConfig, image: ImageSpec) -> dict[str, Any]:
    """Build both networks and run them on two pictures.

    Returns:
        ``parameters``: how many, by player; ``layers``: one dictionary per :class:`Layer`.

    Raises:
        ConfigError: the architecture cannot make such pictures.
    """
    import torch

    from gancli.config.resolve import load_arch

    architecture, options = load_arch(config)
    if reason := architecture.supports(options, image):
        raise ConfigError(f"The architecture '{config.arch.name}' cannot make pictures of {image}.", reason)
    built = architecture.build(options, image, config.model.latent_dim)
    labels = [torch.zeros(2, dtype=torch.int64)] if image.classes else []
    with torch.no_grad():
        made = _record("generator", built.generator, torch.zeros(2, config.model.latent_dim), *labels)
        judged = _record("discriminator", built.discriminator, torch.zeros(2, *image.shape), *labels)
    return {
        "parameters": {"generator": _count(built.generator), "discriminator": _count(built.discriminator)},
        "layers": [asdict(layer) for layer in (*made, *judged)],
    }


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _record(player: str, network: nn.Module, *inputs: Tensor) -> list[Layer]:
    from torch.nn.utils.parametrize import is_parametrized

    chosen: dict[str, nn.Module] = {}
    inside: tuple[str, ...] = ()  # of a parametrized layer, whose weights are kept below it
    for name, module in network.named_modules():
        if not (inside and name.startswith(inside)):
            if is_parametrized(module) or not list(module.children()) or list(module.parameters(recurse=False)):
                chosen[name] = module
            if is_parametrized(module):
                inside += (f"{name}.",)
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, result: object) -> None:
        shapes[name] = tuple(result.shape[1:]) if hasattr(result, "shape") else ()

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, result, name=name: note(name, result))
        for name, module in chosen.items()
    ]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    counted: set[nn.Parameter] = set()  # a shared one belongs to the first that has it

    def own(module: nn.Module) -> int:
        fresh = set(module.parameters(recurse=is_parametrized(module))) - counted
        counted.update(fresh)
        return sum(parameter.numel() for parameter in fresh)

    names = [*shapes, *(name for name in chosen if name not in shapes)]
    return [Layer(player, name, type(chosen[name]).__name__, shapes.get(name, ()), own(chosen[name])) for name in names]
