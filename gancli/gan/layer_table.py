"""The networks of an architecture, built to be looked at. Imports torch when called."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gancli.errors import ConfigError, UsageError
from gancli.plugin import ImageSpec

if TYPE_CHECKING:
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
    """Build all networks: for source images too, if need be.

    Returns:
        ``parameters``: how many, by network. ``layers``: what PyTorch prints of each network.
    """
    from gancli.config.resolve import choose_arch

    chosen = choose_arch(config)
    if reason := chosen.plugin.supports(chosen.options, image):
        image = replace(image, source=image.shape)
        if chosen.plugin.supports(chosen.options, image):
            raise ConfigError(f"The architecture '{config.arch.name}' cannot generate images of {image}.", reason)
    built = chosen.plugin.build(chosen.options, image, config.model.latent_dim)
    all_of = {"generator": built.generator, "discriminator": built.discriminator, **built.others}
    parameters = {name: sum(x.numel() for x in network.parameters()) for name, network in all_of.items()}
    return {"parameters": parameters, "layers": {name: str(network) for name, network in all_of.items()}}
