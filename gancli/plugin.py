"""The contract between gancli and its plugins. Importable without torch.

A plugin is a *light* class behind an entry point: it describes itself (summary, options, defaults) and imports torch
only when it is asked to build. There are four kinds, one entry-point group each:

=====================  ======================  =====================================================
group                  class                   answers the question
=====================  ======================  =====================================================
gancli.architectures   :class:`Architecture`   which generator, which discriminator?
gancli.objectives      :class:`Objective`      what does each player want? (losses and penalties)
gancli.datasets        :class:`Dataset`        which pictures?
gancli.loggers         :class:`Logger`         where else is a training written down?
=====================  ======================  =====================================================

The name by which users choose a plugin is the name of the entry point, and stands nowhere else.

A complete architecture::

    from pydantic import Field
    from gancli.plugin import ArchConfig, Architecture, ImageSpec, Networks

    class TinyConfig(ArchConfig):
        width: int = Field(64, ge=1, le=4096, description="units of the hidden layer")

    class Tiny(Architecture[TinyConfig]):
        api = 1
        summary = "One hidden layer each"
        Config = TinyConfig
        defaults = {"train.learning_rate": 1e-3}

        def build(self, config: TinyConfig, image: ImageSpec, latent_dim: int) -> Networks:
            from my_package.networks import Generator, Discriminator    # torch is imported here
            return Networks(Generator(...), Discriminator(...))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gancli.events import (
    Alarm,
    CheckpointSaved,
    EpochEnded,
    Event,
    IntervalEnded,
    Preparing,
    PreviewWritten,
    Progress,
    RunEnded,
    RunStarted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

__all__ = [
    "API",
    "Alarm",
    "ArchConfig",
    "Architecture",
    "CheckpointSaved",
    "Dataset",
    "Defaults",
    "EpochEnded",
    "Event",
    "ImageSet",
    "ImageSpec",
    "IntervalEnded",
    "Logger",
    "Networks",
    "Objective",
    "Penalty",
    "Preparing",
    "PreviewWritten",
    "Progress",
    "RunEnded",
    "RunStarted",
]

API = 1
"""The version of this contract. A plugin states the one that it was written for as ``api``."""

Defaults = dict[str, Any]
"""Configuration keys and values that a plugin prefers, such as ``{"train.learning_rate": 2e-4}``. Typed and checked like the
user's own; anything that the user sets wins."""


class ArchConfig(BaseModel):
    """An architecture's own options: a frozen Pydantic model in which unknown keys are errors.

    Give every field a default, bounds and a description: they become the help text, the JSON Schema and the error
    messages. On the command line a field is set by ``-s arch.key=value`` (or ``objective.`` or ``data.``). The name
    ``name`` is taken by the plugin's own name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


ConfigT = TypeVar("ConfigT", bound=ArchConfig)


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What the pictures look like: ``channels`` x ``height`` x ``width``, and how many classes they are labelled with.

    ``classes`` is 0 for an unconditional model; networks of a conditional one take labels ``(n,)`` in [0, classes).
    """

    channels: int
    height: int
    width: int
    classes: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        return self.channels, self.height, self.width

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"


@dataclass(frozen=True, slots=True)
class Networks:
    """The two players.

    Attributes:
        generator: ``(n, latent_dim)`` [, labels ``(n,)``] -> images ``(n, c, h, w)`` in [-1, 1]. Labels are whole numbers; if
            all that is done with them is to look them up in modules of the kind ``nn.Embedding``, ``gancli interpolate`` can
            also draw what lies between two classes, by blending what these return. Otherwise it cross-fades pictures.
        discriminator: images ``(n, c, h, w)`` [, labels ``(n,)``] -> logits ``(n,)``, without a sigmoid.
    """

    generator: nn.Module
    discriminator: nn.Module


class Architecture(ABC, Generic[ConfigT]):
    """A pair of networks. Subclasses are named by an entry point of the group ``gancli.architectures``.

    Randomness comes from torch's default generator only, and there is no global state: two builds after the same
    ``torch.manual_seed`` have the same weights.
    """

    api: ClassVar[int]
    """The version of the contract that the class was written for: 1."""
    summary: ClassVar[str]
    """One line for listings, with the paper if there is one."""
    Config: ClassVar[type[ArchConfig]]
    """The Pydantic model of the options."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Training settings that suit these networks, see :data:`Defaults`."""

    def supports(self, config: ConfigT, image: ImageSpec) -> str | None:  # noqa: ARG002  (for subclasses)
        """None if such pictures can be made, else the reason why not, as a sentence for the user."""
        return None

    @abstractmethod
    def build(self, config: ConfigT, image: ImageSpec, latent_dim: int) -> Networks:
        """Both networks, freshly initialised, on the CPU, in float32."""

    def calibrate(self, networks: Networks, mean: Tensor) -> None:
        """Adapt fresh networks to the data, once, before the first step; by default nothing is done.

        Args:
            networks: what :meth:`build` returned, on its device.
            mean: the mean training image, float32 ``(c, h, w)`` in [-1, 1], on the same device. What is made of it has to
                end up in parameters or buffers, since a checkpoint holds these and nothing else.
        """

    def migrate(self, config: dict[str, Any], from_version: str) -> dict[str, Any]:  # noqa: ARG002  (for subclasses)
        """Options stored by version ``from_version`` of the distribution, in today's form."""
        return config


@dataclass(frozen=True, slots=True)
class Penalty:
    """A regulariser of the discriminator, added to its loss at every ``interval_steps``-th step.

    Attributes:
        name: the column under which it is reported, for instance ``r1``.
        value: ``(discriminator, real, real_logits, fake, fake_logits) -> (n,)``, the penalty of each sample without
            its weight. ``real`` and ``fake`` require gradients and the logits were computed from them, so that a
            gradient penalty needs no pass of its own. ``discriminator`` is the network, with labels already bound.
        weight: factor of the value; at a lazy interval it is multiplied by the interval, so that the mean strength
            over many steps does not depend on the interval (Karras et al., 2020, appendix B).
    """

    name: str
    value: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor, Tensor], Tensor]
    weight: float


class Objective(ArchConfig, ABC):
    """What the two players want: two formulas on logits, per sample, and the penalties that go with them.

    An objective is its own options model: the fields are what a user may set by ``-s objective.key=value``, the methods
    are the formulas as printed in the paper. Never ``log(sigmoid(x))``; see :func:`torch.nn.functional.softplus`.
    Named by an entry point of the group ``gancli.objectives``.
    """

    api: ClassVar[int]
    summary: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {}
    probabilities: ClassVar[bool] = False
    """Whether s(D(x)) estimates the probability that x is real, so that it is worth showing as one: of the logistic loss."""

    r1_gamma: float = Field(0.0, ge=0, le=1e4, description="weight of R1, the squared gradient of D at real images; 0: off")
    r2_gamma: float = Field(0.0, ge=0, le=1e4, description="weight of R2, the squared gradient of D at fake images; 0: off")
    gradient_penalty: float = Field(
        0.0, ge=0, le=1e4, description="weight of the WGAN-GP penalty between real and fake; 0: off"
    )
    penalty_interval_steps: int = Field(
        1, ge=1, le=1000, description="apply the penalties at every n-th step, n times as strong"
    )

    @abstractmethod
    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """``(n,), (n,) -> (n,)``: what the discriminator minimises, per pair of samples."""

    @abstractmethod
    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """``(n,), (n,) -> (n,)``: what the generator minimises, per sample; only relativistic losses look at real."""

    @property
    def generator_sees_real(self) -> bool:
        """Whether :meth:`generator_loss` reads ``real_logits``; if not, they are not computed (and are zeros)."""
        return False

    def penalties(self) -> Sequence[Penalty]:
        """Regularisers of the objective's own, besides those that the fields above switch on."""
        return ()


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Pictures ready for training.

    Attributes:
        images: uint8 ``(n, c, h, w)``, contiguous; may be memory-mapped.
        labels: int64 ``(n,)`` in [0, len(class_names)), or None.
        class_names: one name per class, in the order of the labels; empty without labels.
        notes: what was done to the pictures on the way, one sentence each, for the user to read.
    """

    images: Tensor
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def spec(self, *, conditional: bool = False) -> ImageSpec:
        """The shape of one picture, and the number of classes if the model is to be conditional."""
        _, channels, height, width = self.images.shape
        return ImageSpec(channels, height, width, len(self.class_names) if conditional else 0)


class Dataset(ABC):
    """A named source of pictures. Subclasses are named by an entry point of the group ``gancli.datasets``."""

    api: ClassVar[int]
    summary: ClassVar[str]
    licence: ClassVar[str] = ""
    """The licence of the pictures, kept with every export."""
    defaults: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def load(self, split: str = "train") -> ImageSet:
        """The pictures of ``split`` (``"train"`` or ``"test"``). No network unless the user was told before."""


class Logger(ABC):
    """Writes down somewhere else what happens during a training. Named by an entry point of ``gancli.loggers``.

    A logger runs in a thread of its own, which takes one event after the other (see :mod:`gancli.events`), all but
    :class:`Progress` and :class:`Preparing`. It may take its time: training does not wait for it. What it raises is shown as
    an alarm, once, and it gets no more events. It keeps off stdout, which carries results only::

        class Csv(Logger):
            api = 1
            summary = "Losses as comma-separated values"

            def log(self, event: Event) -> None:
                match event:
                    case RunStarted(run=run):
                        self.file = (run / "losses.csv").open("a")
                    case IntervalEnded(step=step, metrics=metrics):
                        print(step, *metrics.values(), sep=",", file=self.file)

            def close(self) -> None:
                self.file.close()

    The constructor takes no arguments; it may refuse early, by :class:`gancli.errors.GancliError`, what cannot work.
    """

    api: ClassVar[int]
    summary: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def log(self, event: Event) -> None:
        """Take one event. :class:`RunStarted`, with the settings, is the first."""

    def close(self) -> None:  # noqa: B027  (optional)
        """Finish: no event follows, whether the run has ended or failed."""
