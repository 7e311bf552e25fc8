"""The contract between gancli and its plugins, version 2. Importable without torch.

A plugin is a *light* class behind an entry point, whose name is the one that users choose it by: it describes itself
(summary, options, defaults) and imports torch only when it is asked to build. A command (group ``gancli.commands``) derives
from no class: it is a function whose parameters Typer understands, or a Typer app as a group; named ``arch.tag``, it is
``gancli arch tag``. It is imported when it is called, prints its result, and raises :class:`gancli.errors.GancliError` for
what users can mend.

A complete architecture::

    from pydantic import Field
    from gancli.plugin import ArchConfig, Architecture, ImageSpec, Networks

    class TinyConfig(ArchConfig):
        width: int = Field(64, ge=1, le=4096, description="units of the hidden layer")

    class Tiny(Architecture[TinyConfig]):
        api = 2
        summary = "One hidden layer each"
        Config = TinyConfig
        defaults = {"train.learning_rate": 1e-3}

        def build(self, config: TinyConfig, image: ImageSpec, latent_dim: int) -> Networks:
            from my_package.networks import Generator, Discriminator    # torch is imported here
            return Networks(Generator(...), Discriminator(...))

A plugin written for version 1 runs unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

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
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

__all__ = [
    "API",
    "Alarm",
    "ArchConfig",
    "Architecture",
    "Asset",
    "CheckpointSaved",
    "Dataset",
    "Defaults",
    "Draw",
    "EpochEnded",
    "Event",
    "Exporter",
    "FeatureExtractor",
    "ImageSet",
    "ImageSpec",
    "IntervalEnded",
    "LabellingDiscriminator",
    "LinearlyReadGenerator",
    "Logger",
    "LossTerm",
    "Networks",
    "Objective",
    "OpenedGenerator",
    "Optimizer",
    "Penalty",
    "Preparing",
    "PreviewWritten",
    "Progress",
    "Purpose",
    "RunEnded",
    "RunStarted",
    "StepContext",
    "StyledGenerator",
    "TrainedGenerator",
    "TwoStageGenerator",
    "Update",
]

API = 2
"""The version of this contract. A plugin states the version it was written for as ``api``."""

Defaults = dict[str, Any]
"""Configuration keys and the values that a plugin prefers, such as ``{"train.learning_rate": 2e-4}``.

They are typed and checked like the user's own. Anything that the user sets wins."""


class ArchConfig(BaseModel):
    """An architecture's own options: a frozen Pydantic model in which unknown keys are errors.

    Give every field a default, bounds and a description: they become the help text, the JSON Schema and the error
    messages. On the command line a field is set by ``-s arch.key=value`` (or ``objective.`` or ``data.``). The name
    ``name`` is taken by the plugin's own name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


ConfigT = TypeVar("ConfigT", bound=ArchConfig)
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The images of a model: ``channels`` x ``height`` x ``width``, their classes, their source images.

    Attributes:
        channels: 1 grey, 3 colour; 2 and 4 with alpha.
        height: pixels.
        width: pixels.
        classes: of a conditional model, whose networks take labels ``(n,)`` in [0, classes); 0 for an unconditional one.
        source: ``(channels, height, width)`` of the image that an image-to-image generator takes; None for latents alone.
        paired: whether each source image belongs to one image of the data set.
    """

    channels: int
    height: int
    width: int
    classes: int = 0
    source: tuple[int, int, int] | None = None
    paired: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        return self.channels, self.height, self.width

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of an architecture, by name.

    All are called with ``*conditions`` at the end: labels ``(n,)`` int64 if the model is conditional, then source images
    ``(n, *image.source)`` if it translates images, else nothing. A network that has no use for one of them ignores it.

    Buffers that a forward pass changes are stored in checkpoints. Those of floating point are averaged over micro-batches, as
    running means want it; others, a pool of images say, suit only ``train.accumulate = 1`` on one process.

    Attributes:
        generator: ``(z (n, latent_dim), *conditions) -> images (n, c, h, w)``. Values outside [-1, 1] are clamped when they
            become pixels. It may be a :class:`TwoStageGenerator`. If all that it does with labels is to look them up in
            ``nn.Embedding`` modules, ``interpolate`` blends these between two classes; otherwise it cross-fades the images.
        discriminator: ``(images (n, c, h, w), *conditions) -> logits (n,)`` or ``(n, k)``, without a sigmoid. k logits per
            image are averaged in the loss, as a patch discriminator's are.
        others: further networks. Those that an :class:`Update` names are trained and stored in checkpoints. The others are
            frozen: in eval mode, without gradients, and stored as a SHA-256 of their weights only, since
            :meth:`Architecture.build` makes them again. A network that looks through another one, as D does through frozen
            features, keeps it in a tuple, so that torch does not take its weights for its own.
        ema: which of ``others`` have an EMA besides the generator, because they generate images too.
    """

    generator: nn.Module
    discriminator: nn.Module
    others: Mapping[str, nn.Module] = field(default_factory=dict)
    ema: tuple[str, ...] = ()


@runtime_checkable
class TwoStageGenerator(Protocol):
    """A generator with a mapping network: G(z, *c) = synthesis(mapping(z, *c)) (Karras et al., 2019).

    Truncation is then taken toward ``mean_w``, a buffer ``(w_dim,)``: the running mean of w, which the generator updates
    while training. Interpolation and style mixing are in w.
    """

    mean_w: Tensor

    def mapping(self, z: Tensor, *conditions: Tensor) -> Tensor:
        """``(n, latent_dim) -> w (n, w_dim)``, or ``(n, layers, w_dim)``: one w for every layer."""
        ...

    def synthesis(self, w: Tensor) -> Tensor:
        """``(n, w_dim)`` or ``(n, layers, w_dim)`` -> images ``(n, c, h, w)``."""
        ...


@runtime_checkable
class StyledGenerator(TwoStageGenerator, Protocol):
    """A two-stage generator whose styles can be mixed: ``synthesis`` takes one w for each of ``layers``, coarse ones first."""

    layers: int


@runtime_checkable
class LabellingDiscriminator(Protocol):
    """A discriminator that finds classes of its own in images without labels (Liu et al., 2020, "Diverse Image Generation via
    Self-Conditioned GANs").

    While an unconditional model trains, both networks are called with the labels of the real images. Everywhere else they are
    called without: D then labels the images itself, and G takes a class from z.
    """

    def label(self, images: Tensor) -> Tensor:
        """Real images ``(n, c, h, w)`` -> classes ``(n,)``, int64."""
        ...


@runtime_checkable
class LinearlyReadGenerator(Protocol):
    """A generator that exposes the first layer that reads its latent: directions are then found in closed form (SeFa)."""

    def latent_weight(self) -> Tensor:
        """``(m, d)``: what multiplies w ``(d,)`` of a :class:`TwoStageGenerator`, else z; of several such layers all rows."""
        ...


class StepContext(Protocol):
    """What one update of one micro-batch has computed so far; a member is computed when first read.

    Networks that the update does not train are frozen: gradients flow through them, not into them.
    ``fake`` carries a gradient only if the update trains the generator.
    """

    @property
    def real(self) -> Tensor:
        """Real images ``(n, c, h, w)``, float32 in [-1, 1]."""

    @property
    def z(self) -> Tensor:
        """Latents ``(n, latent_dim)``, standard normal, fresh in every update."""

    @property
    def conditions(self) -> tuple[Tensor, ...]:
        """Labels, source images, both, or nothing; see :class:`Networks`."""

    @property
    def fake(self) -> Tensor:
        """Generated images G(z, *conditions), ``(n, c, h, w)``, float32."""

    @property
    def real_logits(self) -> Tensor:
        """D's logits of the augmented real images, float32. In D's own update they share one forward pass with
        ``fake_logits``, unless ``train.real_fake_batch`` is ``separate``.
        """

    @property
    def fake_logits(self) -> Tensor:
        """D's logits of the augmented generated images, float32."""

    def discriminate(self, images: Tensor) -> Tensor:
        """D's logits of any images, augmented as those of this update are, with its conditions."""

    def network(self, name: str) -> nn.Module:
        """A network by name, for its other methods and for further forward passes."""

    def once(self, compute: Callable[[StepContext], ResultT]) -> ResultT:
        """``compute(context)``, computed once per micro-batch and update, for what several terms read: F(y), for instance."""


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One summand of what an update minimises: weight * every * mean(value), at every ``every``-th update.

    Attributes:
        name: the column under which the mean of its value is reported, such as ``g_loss``.
        value: ``(context) -> (n, ...)``, without its weight; the trainer takes the mean.
        weight: factor of the mean.
        every: lazy regularisation: evaluated at every n-th update, n times as strong (Karras et al., 2020, appendix B).
        second_order: the value contains gradients that are differentiated again, as gradient penalties do. The trained
            networks then compute in float32 and uncompiled, and ``real`` and ``fake`` require gradients. The weight follows
            ``train.penalty_start``.
        networks: those of the update's networks that it trains; empty: all of them.
    """

    name: str
    value: Callable[[StepContext], Tensor]
    weight: float = 1.0
    every: int = 1
    second_order: bool = False
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """One optimisation step of one or several networks together, on the sum of its loss terms.

    Attributes:
        networks: the names of the networks that are trained; all others are frozen meanwhile.
        losses: what is minimised.
        repeats: how often the update happens per training step, each time on fresh real images and latents: 5 for the
            critic of a WGAN.
        after: called with the networks by name, without gradients, when their weights have moved: for weight clipping, say.
    """

    networks: tuple[str, ...]
    losses: tuple[LossTerm, ...]
    repeats: int = 1
    after: Callable[[Mapping[str, nn.Module]], None] | None = None

    @property
    def name(self) -> str:
        """``discriminator``, or ``generator+back``: the networks, which also address its randomness."""
        return "+".join(self.networks)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of pretrained weights that networks are built from and that no checkpoint holds.

    Attributes:
        path: where it has to be.
        sha256: of the file; any other file is refused.
        origin: how to get it, as a sentence: ``Install it: pip install ...``.
    """

    name: str
    path: Path
    sha256: str
    origin: str


@dataclass(frozen=True, slots=True)
class Purpose:
    """Which images an architecture is for: how it is chosen for users who choose none.

    Of the installed architectures that are for the images at hand, and can generate them, the one of the highest rank is
    chosen. Where the images are larger than ``resized_to``, they are resized to it.

    Attributes:
        why: the reason as a clause, for the note that a training begins with: ``convolutions learn small sets best``.
        rank: the highest is chosen. gancli's own: dense 30, projected 20, aided 15, dcgan 10, resnet 5.
        sides: shortest and longest shorter side of the images, in pixels.
        channels: the numbers of channels.
        fewest: images from which on it is good.
        gpu: whether it needs a GPU, because it takes too long without one.
        resized_to: largest side that is chosen by default: on a CPU, and on a GPU.
        images: default length in real images seen, for sides of at most 64 pixels on a CPU; None: as ``defaults`` say.
    """

    why: str
    rank: int = 0
    sides: tuple[int, int] = (1, 2**31)
    channels: tuple[int, ...] = (1, 2, 3, 4)
    fewest: int = 1
    gpu: bool = False
    resized_to: tuple[int, int] = (64, 64)
    images: int | None = None


class Architecture(ABC, Generic[ConfigT]):
    """Networks and how they are trained. Subclasses are named by entry points of ``gancli.architectures``.

    Randomness comes from torch's default generator only, and there is no global state: two builds after
    the same ``torch.manual_seed`` have the same weights.
    """

    api: ClassVar[int]
    """The version of the contract that the class was written for: 1 or 2."""
    summary: ClassVar[str]
    """One line for listings, with the paper if there is one."""
    Config: ClassVar[type[ArchConfig]]
    """The Pydantic model of the options."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Training settings that suit these networks, see :data:`Defaults`."""
    translates: ClassVar[bool] = False
    """Whether the generator makes images of source images, ``generator(z, source)``, instead of latents alone."""
    purpose: ClassVar[Purpose | None] = None
    """Which images it is for; None: it is never chosen unless its user asks for it."""

    def supports(self, config: ConfigT, image: ImageSpec) -> str | None:  # noqa: ARG002  (for subclasses)
        """None if such images can be generated, else the reason why not, as a sentence for the user."""
        return None

    @abstractmethod
    def build(self, config: ConfigT, image: ImageSpec, latent_dim: int) -> Networks:
        """All networks, freshly initialised, on the CPU, in float32."""

    def build_generator(self, config: ConfigT, image: ImageSpec, latent_dim: int) -> nn.Module:
        """The generator alone, for sampling. Override it where building the other networks is expensive."""
        return self.build(config, image, latent_dim).generator

    def updates(
        self,
        config: ConfigT,  # noqa: ARG002  (for subclasses)
        objective: Objective,  # noqa: ARG002  (the signature is given)
        discriminator: Update,
        generator: Update,
    ) -> Sequence[Update]:
        """The updates of one training step, in order. By default those of Goodfellow et al., 2014.

        The updates of D and G with the user's objective come in, to be changed, replaced or left out. StyleGAN2, for
        instance, adds a term to G's::

            path = LossTerm("path_length", path_length, weight=2.0, every=4, second_order=True)
            return discriminator, replace(generator, losses=(*generator.losses, path))
        """
        return discriminator, generator

    def parameter_groups(
        self,
        config: ConfigT,  # noqa: ARG002  (for subclasses)
        name: str,  # noqa: ARG002  (the signature is given)
        network: nn.Module,
    ) -> Iterable[Tensor] | Iterable[dict[str, Any]]:
        """What the optimiser of the network ``name`` is given: parameters, or torch's parameter groups.

        A group may have ``lr_scale``, a factor of the learning rate for its parameters.
        """
        return network.parameters()

    def assets(self, config: ConfigT) -> Sequence[Asset]:  # noqa: ARG002  (for subclasses)
        """Files of pretrained weights that :meth:`build` reads; checked before it is called."""
        return ()

    def calibrate(self, networks: Networks, mean: Tensor) -> None:
        """Adapt fresh networks to the data, once, before the first step; by default nothing is done.

        ``mean`` is the mean training image, float32 ``(c, h, w)`` in [-1, 1], on the device of the networks. The result has to
        be in parameters or buffers, since a checkpoint holds nothing else.
        """

    def prepare(self, networks: Networks, images: Tensor) -> None:
        """Adapt networks to the data, once, before the first step; by default nothing is done.

        Unlike :meth:`calibrate` it is also called for networks that a training starts from (``--from``), after their weights
        are loaded. ``images`` are at most 2,000 real ones, uint8 ``(n, c, h, w)``, which D sees as ``images / 127.5 - 1``.
        """

    def migrate(self, config: dict[str, Any], from_version: str) -> dict[str, Any]:  # noqa: ARG002  (for subclasses)
        """Options stored by version ``from_version`` of the distribution, in today's form."""
        return config


@dataclass(frozen=True, slots=True)
class Penalty:
    """A gradient penalty of the discriminator, which becomes a second-order :class:`LossTerm`.

    Attributes:
        name: the column under which it is reported, for instance ``r1``.
        value: ``(discriminate, real, real_logits, fake, fake_logits) -> (n,)``, the penalty of each sample without its weight.
            ``real`` and ``fake`` require gradients and the logits were computed from them. ``discriminate`` maps images to
            logits.
        weight: factor of the mean.
    """

    name: str
    value: Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor, Tensor], Tensor]
    weight: float


class Objective(ArchConfig, ABC):
    """Adversarial losses of D and G: two formulas on logits, and the gradient penalties that go with them.

    An objective is its own options model: its fields are set by ``-s objective.key=value``, its methods
    are the formulas as printed in the paper. Never ``log(sigmoid(x))``; see
    :func:`torch.nn.functional.softplus`. Named by entry points of the group ``gancli.objectives``.
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
        """``(n, ...), (n, ...) -> (n, ...)``: what the discriminator minimises, per logit."""

    @abstractmethod
    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        """``(n, ...), (n, ...) -> (n, ...)``: what the generator minimises; only relativistic losses read real."""

    @property
    def generator_sees_real(self) -> bool:
        """Whether :meth:`generator_loss` reads ``real_logits``; if not, they are not computed (and are zeros)."""
        return False

    @property
    def weight_clip(self) -> float:
        """D's weights are clamped to [-c, c] after each of its updates (Arjovsky et al., 2017); 0: they are not."""
        return 0.0

    def penalties(self) -> Sequence[Penalty]:
        """Gradient penalties of the objective's own, besides those that the fields above switch on."""
        return ()


class Optimizer(ArchConfig, ABC):
    """An optimiser and its options, as ``train.optimizer`` names it.

    Named by entry points of the group ``gancli.optimizers``. Its state may be tensors of any shape and
    numbers; all of it is stored in checkpoints.
    """

    api: ClassVar[int]
    summary: ClassVar[str]

    @abstractmethod
    def build(
        self, parameters: Iterable[Tensor] | Iterable[dict[str, Any]], learning_rate: float, betas: tuple[float, float]
    ) -> torch.optim.Optimizer:
        """The optimiser of these parameters, or of torch's parameter groups. Each step's learning rate is set in its groups.

        ``betas`` are ``train.betas``, for optimisers of Adam's kind. A group's ``betas`` follow the schedule of
        ``train.beta2_start`` unless the group has ``fixed_betas``.
        """


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images ready for training.

    Attributes:
        images: uint8 ``(n, c, h, w)``, contiguous; may be memory-mapped.
        labels: int64 ``(n,)`` in [0, len(class_names)), or None.
        class_names: one name per class, in the order of the labels; empty without labels.
        notes: what was done to the images on the way, one sentence each, for the user.
        sources: uint8 ``(m, c, h, w)``, the input images of an image-to-image data set, or None.
        paired: whether source i belongs to image i (then m = n); else the two sets are independent.
    """

    images: Tensor
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sources: Tensor | None = None
    paired: bool = False

    def spec(self, *, conditional: bool = False) -> ImageSpec:
        """The shape of one image, and the number of classes if the model is to be conditional."""
        _, channels, height, width = self.images.shape
        source = None if self.sources is None else (*self.sources.shape[1:],)
        classes = len(self.class_names) if conditional else 0
        return ImageSpec(channels, height, width, classes, source, self.paired)


class Dataset(ABC):
    """A named data set. Subclasses are named by an entry point of the group ``gancli.datasets``."""

    api: ClassVar[int]
    summary: ClassVar[str]
    licence: ClassVar[str] = ""
    """The licence of the images, kept with every export."""
    defaults: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def load(self, split: str = "train") -> ImageSet:
        """The images of ``split`` (``"train"`` or ``"test"``). No network access without telling the user first."""


class Draw(Protocol):
    """A function from latents ``(n, latent_dim)`` and, for a conditional model, labels ``(n,)`` to images.

    Of a model that translates images it takes source images ``(n, c, h, w)`` instead of latents.
    """

    def __call__(self, z: NDArray[np.float32], labels: NDArray[np.int64] | None, /) -> NDArray[np.float32]:
        """Images, float32 ``(n, c, h, w)`` in [-1, 1]."""


@dataclass(frozen=True, slots=True)
class TrainedGenerator:
    """A trained generator, as an :class:`Exporter` gets it.

    Attributes:
        network: ``(n, latent_dim)`` [, labels ``(n,)``] [, source images] -> images ``(n, c, h, w)``; in evaluation
            mode, on the CPU. A translator is given latents of zeros.
        class_names: one name per class; empty for an unconditional model.
        metadata: what a file should say about its model, as JSON: ``gancli`` (the version), ``run``, ``step``,
            ``weights``, ``digest`` (SHA-256), ``arch``, ``image``, ``classes``, ``latent_dim`` and ``dataset``.
        arch_file: ``FILE.py:CLASS`` where the architecture was a file, which is needed to build the network again.
    """

    network: nn.Module
    latent_dim: int
    image: ImageSpec
    class_names: tuple[str, ...]
    metadata: Mapping[str, Any]
    arch_file: str | None = None

    def draw(self, z: NDArray[np.float32], labels: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Images of given latents, or translations of given images, as :class:`Draw` has it."""
        import torch

        given = [torch.from_numpy(each) for each in (z, labels) if each is not None]
        if self.image.source is not None:
            given = [torch.zeros(len(z), self.latent_dim), given[0]]
        with torch.no_grad():
            images: NDArray[np.float32] = self.network(*given).float().numpy()
        return images


@dataclass(frozen=True, slots=True)
class OpenedGenerator:
    """An exported generator that runs without PyTorch, as :meth:`Exporter.open` gives it.

    The ``metadata`` are the JSON that the file holds of :attr:`TrainedGenerator.metadata`, unchecked; None if it holds none.
    """

    draw: Draw
    metadata: str | None


class Exporter(ABC, Generic[ConfigT]):
    """A file format for trained generators. Subclasses are named by an entry point of the group ``gancli.exporters``.

    The name of the entry point is the suffix: ``toy`` writes ``gancli export -o generator.toy``. A second form of a format has
    a name such as ``onnx-int8``; it writes ``.onnx`` too, with ``--format onnx-int8``. What was written is loaded again and
    compared with the generator on fresh latents, in batches of several sizes; only then does it take the target's place.
    """

    api: ClassVar[int]
    summary: ClassVar[str]
    Options: ClassVar[type[ArchConfig]] = ArchConfig
    """The Pydantic model of what can be set by ``gancli export -s key=value``; by default nothing."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Top-level modules that are imported and may be missing; users see an error before anything is computed."""
    translates: ClassVar[bool] = False
    """Whether the format can express a model that translates images (``generator.image.source``)."""

    @abstractmethod
    def export(self, generator: TrainedGenerator, path: Path, options: ConfigT) -> None:
        """Write the generator to ``path``, which does not exist: a file or a folder. An ExportError says why it cannot."""

    @abstractmethod
    def load(self, path: Path, generator: TrainedGenerator) -> Draw:
        """What draws the images of the file at ``path``, by the means of whoever will read it.

        ``generator`` is the one that was exported, for what a file does not say; its weights are not to be used.
        """

    def open(self, content: bytes, path: Path) -> OpenedGenerator:
        """The generator in a file's content, for ``gancli sample --checkpoint FILE``; optional, without torch.

        The file may be anybody's: run no code that it holds, and read no other file that it names.

        Raises:
            CheckpointError: it is corrupt, foreign or unsafe.
        """
        raise NotImplementedError

    def tolerance(self, options: ConfigT) -> float:  # noqa: ARG002  (for subclasses)
        """Largest difference to the generator that is allowed, in [-1, 1]; sums in another order differ by some 1e-6."""
        return 1e-4


class FeatureExtractor(ABC):
    """A pretrained network in whose features sets of images are compared. Named by an entry point of ``gancli.extractors``.

    The name is a part of the metrics': distances in the features of ``lite`` are ``FD-lite`` and ``KD-lite``. A model is never
    measured by a network that it was trained against: gancli compares the weights with those of the model's frozen networks.
    """

    api: ClassVar[int]
    summary: ClassVar[str]
    for_colour: ClassVar[bool] = False
    """Whether it is the default for images in colour where its assets are installed."""
    distances: ClassVar[tuple[str, str] | None] = None
    """Usual names of the two distances, ``("FID", "KID")``, if the features are used as they are. By default they are scaled
    such that those of the training images have a total variance of 1000."""

    def assets(self) -> Sequence[Asset]:
        """Files of pretrained weights that :meth:`build` reads; checked before it is called."""
        return ()

    @abstractmethod
    def build(self, tell: Callable[[str], None]) -> nn.Module:
        """The network: images ``(n, c, h, w)`` in [-1, 1] with 1 to 4 channels, of any size -> features ``(n, d)``.

        ``tell`` is called with address and size of a download before it starts.
        """


class Logger(ABC):
    """Writes down somewhere else what happens during a training. Named by an entry point of ``gancli.loggers``.

    A logger runs in a thread of its own, which takes one event after the other (see :mod:`gancli.events`), all but
    :class:`Progress` and :class:`Preparing`. Training does not wait for it. What it raises is shown as an alarm, once, and it
    gets no more events. It keeps off stdout, which carries results only::

        class Csv(Logger):
            api = 2
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
