"""A plugin under test: loaded once, and used as often as the checks need it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import torch

from gancli.config.resolve import resolve, validate_options
from gancli.gan.layer_table import parse_image
from gancli.plugin import Architecture, ImageSpec, Networks
from gancli.plugins.registry import ARCHITECTURES, Entry, PluginT, Registry
from gancli.testing.checks import fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from gancli.config.schema import RunConfig
    from gancli.plugin import ArchConfig

__all__ = ["CLASSES", "IMAGES", "LATENT_DIM", "ArchitectureSubject", "Case", "Subject", "equal", "state_of"]

IMAGES = ("1x28x28", "3x32x32", "3x64x64")
"""The pictures that an architecture is tried on unless its author says otherwise."""

CLASSES = 3
LATENT_DIM = 13
"""No multiple of anything, so that a number written into the networks is found out."""


@dataclass(frozen=True)
class Case:
    """One kind of picture that the architecture supports, and how its networks are fed.

    Attributes:
        plugin: the architecture, an instance.
        config: its options.
        image: the pictures, with classes if the networks are conditional.
    """

    plugin: Architecture[Any]
    config: ArchConfig
    image: ImageSpec

    def __str__(self) -> str:
        return f"{self.image} with {self.image.classes} classes" if self.image.classes else str(self.image)

    def build(self, seed: int = 0) -> Networks:
        """Both networks, from ``torch.manual_seed(seed)``."""
        torch.manual_seed(seed)
        return self.plugin.build(self.config, self.image, LATENT_DIM)

    def build_generic(self, seed: int = 0) -> Networks:
        """Both networks with weights drawn at random, wherever the architecture starts: what must hold, holds there too.

        Weights are N(0, 2 / fan-in) (He et al., 2015), which keeps the signal's size; all else (biases, gains) N(0, 1/4), so
        that a layer that starts at zero hides nothing behind it.
        """
        networks = self.build(seed)
        with torch.no_grad():
            for network in (networks.generator, networks.discriminator):
                for parameter in network.parameters():
                    spread = math.sqrt(2 / parameter[0].numel()) if parameter.dim() > 1 else 0.5
                    parameter.normal_(0, spread)
        return networks

    def latents(self, n: int, scale: float = 1.0) -> tuple[Tensor, ...]:
        """``z (n, latent_dim)`` [, labels ``(n,)``]: what the generator takes."""
        return (scale * torch.randn(n, LATENT_DIM), *self.labels(n))

    def labels(self, n: int) -> tuple[Tensor, ...]:
        """Labels 0, 1, 2, 0, ... ``(n,)`` of a conditional model, or nothing."""
        return (torch.arange(n) % self.image.classes,) if self.image.classes else ()

    def pictures(self, n: int) -> Tensor:
        """Noise as pictures: uniform in [-1, 1], ``(n, c, h, w)``."""
        return torch.rand(n, *self.image.shape) * 2 - 1


@dataclass
class Subject(Generic[PluginT]):
    """A plugin under test.

    Args:
        name: what users type: of the entry point, or ``dist/name``.
        options: its options, for instance a smaller width; the others have their defaults.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    registry: ClassVar[Registry[Any]]
    section: ClassVar[str]
    """Of the configuration, in which it is chosen and its options stand."""

    @cached_property
    def entry(self) -> Entry:
        """What is known about it without importing it."""
        return self.registry.find(self.name)

    @cached_property
    def imported(self) -> type[PluginT]:
        """The class, whatever version of the contract it was written for."""
        found: type[PluginT] = self.registry.import_entry(self.entry)
        return found

    @cached_property
    def plugin(self) -> type[PluginT]:
        """The class, checked as every command checks it."""
        found: type[PluginT] = self.registry.load_entry(self.entry)
        return found

    @property
    def options_model(self) -> type[ArchConfig]:
        """The Pydantic model of its options."""
        raise NotImplementedError

    @cached_property
    def config(self) -> Any:  # noqa: ANN401  (the plugin's own model)
        """Its options, as a command makes them from what was given."""
        return validate_options(self.section, self.options_model, self.options)

    def refuse_wrong_use(self) -> None:
        """Raise for options that are given and are not allowed.

        Raises:
            ConfigError: an option is unknown or not allowed.
        """
        if self.options:
            _ = self.config

    def resolve(self) -> RunConfig:
        """The configuration of a training that chooses it, with the options that are tried.

        Raises:
            ConfigError: what it prefers is unknown or not allowed.
        """
        options = {f"{self.section}.{key}": value for key, value in self.options.items()}
        return resolve(flags={f"{self.section}.{self.key}": self.name, **options}, environment={}).config

    @property
    def key(self) -> str:
        """Of the section, by which it is chosen."""
        return "name"


@dataclass
class ArchitectureSubject(Subject[Architecture[Any]]):
    """An architecture, and the pictures that it is tried with; it may also be a ``FILE.py:CLASS``.

    Args:
        images: ``CHANNELSxHEIGHTxWIDTH`` each.
    """

    images: Sequence[str] = IMAGES

    registry = ARCHITECTURES
    section = "arch"

    @property
    def options_model(self) -> type[ArchConfig]:
        """The architecture's ``Config``."""
        return self.plugin.Config

    def refuse_wrong_use(self) -> None:
        """Raise for options and pictures that are given and are wrong.

        Raises:
            ConfigError: an option is unknown or not allowed.
            UsageError: a shape is none.
        """
        self.specs()
        super().refuse_wrong_use()

    def specs(self) -> list[ImageSpec]:
        """The pictures to try, each without and with classes."""
        plain = [parse_image(text) for text in self.images]
        return [*plain, *(replace(image, classes=CLASSES) for image in plain)]

    @cached_property
    def cases(self) -> list[Case]:
        """What of these is supported.

        Raises:
            fail: nothing is, so that there is nothing to keep the contract.
        """
        plugin = self.plugin()
        answers = [(image, plugin.supports(self.config, image)) for image in self.specs()]
        found = [Case(plugin, self.config, image) for image, reason in answers if reason is None]
        if not found:
            tried = ", ".join(self.images)
            raise fail(f"It supports none of {tried} ({answers[0][1]}). Name others: --image, or `images` of the test class.")
        return found

    @property
    def smallest(self) -> list[Case]:
        """The smallest pictures that are supported, without classes and with: for checks that take long."""
        small = sorted(self.cases, key=lambda case: math.prod(case.image.shape))
        by_classes = {case.image.classes: case for case in reversed(small)}
        return list(by_classes.values())


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> str | None:
    """Name of the first tensor that differs, or None."""
    if first.keys() != second.keys():
        return min(first.keys() ^ second.keys())
    return next((name for name in first if not torch.equal(first[name], second[name])), None)


def state_of(*networks: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers, ``0.name``, ``1.name``, ..."""
    return {f"{i}.{name}": value.clone() for i, network in enumerate(networks) for name, value in network.state_dict().items()}
