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
    """One module without children, as it was met.

    Attributes:
        player: ``generator`` or ``discriminator``.
        name: dotted name within the network.
        type: name of the class.
        shape: of its result for one picture.
        parameters: how many of its own.
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
    found: list[Layer] = []

    def note(name: str, module: nn.Module, result: Any) -> None:  # noqa: ANN401  (a module may return anything)
        shape = tuple(result.shape[1:]) if hasattr(result, "shape") else ()
        found.append(Layer(player, name, type(module).__name__, shape, _count(module)))

    leaves = [(name, module) for name, module in network.named_modules() if not list(module.children())]
    hooks = [
        module.register_forward_hook(lambda module, _, result, name=name: note(name, module, result)) for name, module in leaves
    ]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    return found
