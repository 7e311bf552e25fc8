"""A plugin under test: loaded once, and used as often as the checks need it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import torch
from torch import Tensor, nn

from gancli.config.resolve import resolve
from gancli.config.schema import RunConfig, checked
from gancli.data.batches import Batches
from gancli.errors import PluginError, UsageError, did_you_mean
from gancli.gan.algorithm import goodfellow_2014
from gancli.gan.build import build_training
from gancli.gan.context import conditions
from gancli.gan.losses import NonSaturating
from gancli.gan.trainer import Trainer
from gancli.plugin import ArchConfig, Architecture, ImageSpec, Networks, TrainedGenerator
from gancli.plugins.listing import KINDS, parse_image
from gancli.plugins.registry import ARCHITECTURES, COMMANDS, PluginT, Registry, imported, is_file
from gancli.runtime.device import Runtime
from gancli.training.setup import mean_image
from gancli_kit.checks import fail, skip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gancli.plugins.distributions import Entry

IMAGES = ("1x28x28", "3x32x32", "3x64x64")  # that an architecture is tried with unless its author says otherwise
CLASSES = 3
LATENT_DIM = 13  # not a multiple of anything, so that a number written into the networks is found out
BATCH_SIZE = 8


@dataclass(frozen=True)
class Case:
    """One kind of images that the architecture supports, and how its networks are called."""

    plugin: Architecture[Any]
    config: ArchConfig  # its options
    image: ImageSpec  # with classes or source images if the networks take them

    def __str__(self) -> str:
        classes = f" with {self.image.classes} classes" if self.image.classes else ""
        return f"{self.image}{classes}{' from source images' if self.image.source else ''}"

    def build(self, seed: int = 0) -> Networks:
        """All networks as they are built after ``torch.manual_seed(seed)``; those that no update trains are frozen."""
        torch.manual_seed(seed)
        networks = self.plugin.build(self.config, self.image, LATENT_DIM)
        updates = self.plugin.updates(self.config, NonSaturating(), *goodfellow_2014(NonSaturating()))
        trained = {name for update in updates for name in getattr(update, "networks", ())}
        for name, network in getattr(networks, "others", {}).items():
            if name not in trained:
                network.eval().requires_grad_(False)
        return networks

    def build_redrawn(self, seed: int = 0) -> Networks:
        """All networks, with :func:`redraw_constants`: where training may lead."""
        networks = self.build(seed)
        redraw_constants(all_of(networks).values())
        return networks

    def conditions(self, n: int) -> tuple[Tensor, ...]:
        """Labels 0, 1, 2, 0, ... ``(n,)``, source images of noise, both, or nothing."""
        labels = torch.arange(n) % self.image.classes if self.image.classes else None
        source = self.image.source
        return conditions(labels, torch.rand(n, *source) * 2 - 1 if source else None)

    def inputs(self, n: int) -> tuple[Tensor, ...]:
        """``z (n, latent_dim), *conditions``: what the generator takes."""
        return torch.randn(n, LATENT_DIM), *self.conditions(n)

    def images(self, n: int) -> Tensor:
        """Noise as images: uniform in [-1, 1], ``(n, c, h, w)``."""
        return torch.rand(n, *self.image.shape) * 2 - 1

    def trainer(self, config: RunConfig, runtime: Runtime | None = None) -> Trainer:
        """The training of ``gancli train`` on random images, before its first step."""
        chance = torch.Generator().manual_seed(0)

        def noise(shape: tuple[int, ...]) -> Tensor:
            shape = 2 * BATCH_SIZE, *shape
            return torch.randint(0, 256, shape, dtype=torch.uint8, generator=chance)

        real = noise(self.image.shape)
        labels = torch.arange(len(real)) % self.image.classes if self.image.classes else None
        sources = noise(self.image.source) if self.image.source else None
        batches = Batches(real, labels, BATCH_SIZE, seed=0, sources=sources, paired=True)
        device = torch.device("cpu")
        state, updates = build_training(config, self.image, device, mean_image(real))
        rules, latent_dim = config.train, config.model.latent_dim
        return Trainer(state, updates, batches, runtime or Runtime(device), rules=rules, latent_dim=latent_dim)

    @torch.no_grad()
    def reads_sources(self, atol: float = 0.0) -> bool:
        """Whether source images change what is generated; most ``supports`` do not mention them."""
        *inputs, source = self.inputs(2)
        generator = self.build_redrawn().generator.eval()
        try:
            one, other = generator(*inputs, source), generator(*inputs, source.flip(0))
        except Exception:  # noqa: BLE001  (whatever a network does with an input that it does not know)
            return False
        return not torch.allclose(one, other, rtol=0, atol=atol)

    def trained_generator(self, made_by: str = "") -> TrainedGenerator:
        """The generator as an exporter gets it, of the architecture ``made_by`` if it is to be built again."""
        distribution, _, name = made_by.rpartition("/")
        version = ARCHITECTURES.find(made_by).version if made_by else "0"
        image, options = self.image, self.config.model_dump(mode="json")
        names = tuple(map(str, range(image.classes)))
        metadata: dict[str, Any] = {
            "arch": {"name": name or "check", "distribution": distribution, "version": version, "options": options},
            "image": {"channels": image.channels, "height": image.height, "width": image.width},
            "classes": list(names),
            "latent_dim": LATENT_DIM,
            "dataset": {"name": "none"},
        }
        metadata |= {"gancli": "0", "run": "check", "step": 1, "weights": "ema", "digest": "0" * 64}
        metadata |= {"source": list(image.source), "paired": image.paired} if image.source else {}
        network = self.build_redrawn().generator.eval().requires_grad_(requires_grad=False)
        network(*self.inputs(1))  # buffers that the first forward pass makes
        return TrainedGenerator(network, LATENT_DIM, image, names, metadata)


@dataclass
class Subject(Generic[PluginT]):
    """A plugin under test."""

    registry: Registry[Any]
    name: str  # what users type: of the entry point, dist/name or FILE.py:CLASS
    options: dict[str, Any]  # for instance a smaller width; the others have their defaults
    images: Sequence[str] = IMAGES  # CHANNELSxHEIGHTxWIDTH each: what an architecture is tried with

    section: ClassVar[str] = ""  # of the configuration, which holds its options
    key: ClassVar[str] = "name"  # of the section, which holds its name
    model: ClassVar[str] = ""  # the class in it that describes its options, if that is not the plugin itself

    @cached_property
    def entry(self) -> Entry:
        """What is known about it without importing it."""
        return self.registry.find(self.name)

    @cached_property
    def imported(self) -> type[PluginT]:
        """The class, whatever version of the contract it was written for."""
        return self.registry.import_entry(self.entry)

    @cached_property
    def plugin(self) -> type[PluginT]:
        """The class, checked as every command checks it."""
        return self.registry.load_entry(self.entry)

    @property
    def options_model(self) -> type[ArchConfig]:
        """The Pydantic model of its options."""
        plugin: Any = self.plugin
        found: type[ArchConfig] = getattr(plugin, self.model) if self.model else plugin
        return found

    @cached_property
    def config(self) -> Any:  # noqa: ANN401  (the plugin's own model)
        """Its options in a new run: what is given, what it prefers, and the plain defaults."""
        own, defaults = f"{self.section}.", getattr(self.plugin, "defaults", {})
        preferred = {key.removeprefix(own): value for key, value in defaults.items() if key.startswith(own)}
        return checked(self.section, self.options_model, preferred | self.options)

    def resolve(self, **flags: object) -> RunConfig:
        """The configuration of a small training that chooses it, with the options that are tried.

        ``flags`` are other settings, with ``__`` for the dot: ``objective__name="hinge"``.

        Raises:
            ConfigError: what it prefers is unknown or not allowed.
        """
        chosen: dict[str, object] = {f"{self.section}.{self.key}": self.name}
        chosen |= {f"{self.section}.{key}": value for key, value in self.options.items()}
        chosen |= {"model.latent_dim": LATENT_DIM, "train.batch_size": BATCH_SIZE, "train.accumulate": 1}
        chosen |= {key.replace("__", "."): value for key, value in flags.items()}
        return resolve(flags=chosen, environment={}).config


class ArchitectureSubject(Subject[Architecture[Any]]):
    """An architecture, and the images that it is tried with."""

    section = "arch"
    model = "Config"

    def specs(self) -> list[ImageSpec]:
        """The images to try, each plain, with classes, and from source images."""
        plain = [parse_image(text) for text in self.images]
        with_classes = [replace(image, classes=CLASSES) for image in plain]
        return [*plain, *with_classes, *(replace(image, source=image.shape, paired=True) for image in plain)]

    @cached_property
    def cases(self) -> list[Case]:
        """Those of these that are supported; source images only where the generator reads them.

        Raises:
            fail: none is, so that there is nothing to check.
        """
        plugin = self.plugin()
        answers = [(image, plugin.supports(self.config, image)) for image in self.specs()]
        found = [Case(plugin, self.config, image) for image, reason in answers if reason is None]
        if not found:
            tried, reason = ", ".join(self.images), answers[0][1]
            where = "Name others: --image, or `images` of the test class."
            raise fail(f"It supports none of {tried} ({reason}). {where}")
        if all(case.image.source for case in found):
            return found
        return [case for case in found if case.image.source is None or case.reads_sources()]

    @property
    def smallest(self) -> list[Case]:
        """The smallest images of each kind that is supported: for checks that take long."""
        small = sorted(self.cases, key=lambda case: math.prod(case.image.shape))
        kinds = {(case.image.classes, case.image.source is None): case for case in reversed(small)}
        return list(kinds.values())

    @property
    def conditional(self) -> list[Case]:
        """Those of the smallest that have classes; a check of them is skipped if there are none."""
        if found := [case for case in self.smallest if case.image.classes]:
            return found
        raise skip("It supports no classes.")

    @property
    def translating(self) -> list[Case]:
        """Those of the smallest that have source images; likewise."""
        if found := [case for case in self.smallest if case.image.source]:
            return found
        raise skip("Its generator reads no source images.")


@torch.no_grad()
def redraw_constants(networks: Iterable[nn.Module]) -> None:
    """Redraw every parameter that starts constant: c + N(0, 2 / fan-in) for weights, c + N(0, 1/4) for others.

    A gain of zero, say, would hide what is behind it. All others stay as they were built: only their author knows their
    scale, which equalised learning rates or a parametrization may have taken out of them.
    """
    for network in networks:
        for weight in network.parameters():
            if bool((weight == weight.flatten()[0]).all()):
                spread = math.sqrt(2 / weight[0].numel()) if weight.dim() > 1 else 0.5
                weight.add_(spread * torch.randn_like(weight))


def all_of(networks: Networks) -> dict[str, nn.Module]:
    """Every network by name."""
    return {"generator": networks.generator, "discriminator": networks.discriminator, **networks.others}


def states(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Copies of all parameters and buffers that checkpoints would hold, ``network/name``."""
    return {
        f"{network}/{name}": value.detach().clone()
        for network, module in networks.items()
        for name, value in module.state_dict().items()
    }


def differing(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> str | None:
    """Name of the first tensor that differs, or None."""
    if first.keys() != second.keys():
        return min(first.keys() ^ second.keys())
    return next((name for name in first if not torch.equal(first[name], second[name])), None)


def kind_of(name: str, kind: str | None = None) -> Registry[Any]:
    """The kind of plugin that ``name`` is: an entry point, ``dist/name``, or ``FILE.py:CLASS``, whose base class says the kind.

    Raises:
        PluginError: there is none, or the file cannot be imported.
        UsageError: there is no such kind, or the name is ambiguous.
    """
    kinds = {registry.kind.replace(" ", ""): registry for registry in KINDS}
    if kind is not None and kind not in kinds:
        raise UsageError(f"There is no kind of plugin '{kind}'.", did_you_mean(kind, kinds))
    wanted = {text: registry for text, registry in kinds.items() if kind in {None, text}}
    if is_file(name):
        plugin = None if kind else imported(name)
        if found := next((registry for registry in wanted.values() if kind or registry.is_kind_of(plugin)), None):
            return found
        bases = ", ".join(registry.base.__name__ for registry in KINDS if registry is not COMMANDS)
        raise PluginError(f"'{name}' is not a plugin.", f"Derive the class from one of gancli.plugin's: {bases}.")
    having = {text: registry for text, registry in wanted.items() if registry.matches(name)}
    if not having:
        hint = did_you_mean(name, {each for registry in wanted.values() for each in registry.names()})
        remedy = f"{hint} See `gancli plugin list`; for a file write FILE.py:CLASS.".lstrip()
        raise PluginError(f"There is no {wanted[kind].kind if kind else 'plugin'} '{name}'.", remedy)
    if len(having) > 1:
        listed = " or ".join(f"--kind {text}" for text in having)
        raise UsageError(f"'{name}' is the name of plugins of {len(having)} kinds.", f"Add {listed}.")
    return next(iter(having.values()))
