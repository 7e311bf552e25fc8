"""The configuration of a training run: what may be set, within which bounds, and what it means. Importable without torch.

Frozen Pydantic models in which an unknown key is an error. The sections ``arch`` and ``objective`` name a plugin; their other
keys are that plugin's options, checked by its own model (:mod:`gancli.config.resolve`, which decides where values come from).
"""

from __future__ import annotations

import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gancli.errors import ConfigError, did_you_mean
from gancli.plugin import ArchConfig as Section

if TYPE_CHECKING:
    from collections.abc import Mapping

Beta = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Address = Annotated[str, Field(min_length=1, max_length=4096)]
PluginName = Annotated[str, Field(min_length=1, max_length=500)]

SHORTEST_SIDE, LONGEST_SIDE = 4, 1024  # pixels per side of the images that may be requested


def sides(size: str) -> tuple[int, int]:
    """Height and width that ``N`` or ``HxW`` asks for.

    >>> sides("64"), sides("32x48")
    ((64, 64), (32, 48))
    """
    height, _, width = size.partition("x")
    return int(height), int(width or height)


def _size(value: object) -> str:
    """``N`` or ``HxW``, as text; on the command line the first is a number."""
    text = str(value)
    size = re.fullmatch(r"([0-9]{1,9})(x[0-9]{1,9})?", text)
    if size is None or not all(SHORTEST_SIDE <= side <= LONGEST_SIDE for side in sides(text)):
        raise ValueError(f"a size is N or HxW, with sides from {SHORTEST_SIDE} to {LONGEST_SIDE}")
    return text


ImageSize = Annotated[str, BeforeValidator(_size)]


class Choice(Section):
    """A plugin by name, and its options beside it: ``{"name": "dense", "dropout": 0.3}``."""

    model_config = ConfigDict(extra="allow")

    name: PluginName = Field(description="name of the plugin")

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.__pydantic_extra__ or {})


class ArchChoice(Choice):
    """The networks. The remaining keys are the architecture's options: see ``gancli arch show NAME``."""

    name: PluginName = Field("dense", description="architecture: a name, dist/name or FILE.py:CLASS")


class ObjectiveChoice(Choice):
    """The losses and penalties. The remaining keys are the objective's options."""

    name: PluginName = Field("non-saturating", description="objective: name of the losses and penalties")


class OptimizerChoice(Choice):
    """Which optimiser: a name, or ``{"name": "rmsprop", "alpha": 0.9}`` with its options."""

    name: PluginName = Field("adam", description="optimiser: its name")


Optimizer = Annotated[
    OptimizerChoice,
    BeforeValidator(
        lambda value: {"name": value} if isinstance(value, str) else value, json_schema_input_type=str | OptimizerChoice
    ),
]


class DataConfig(Section):
    """The images."""

    dataset: Address = Field("mnist", description="name of a data set, or a path")
    to: Address | None = Field(
        None, description="the target images of a translation, a name or a path; the same path as data.dataset: its domain B"
    )
    paired: bool = Field(False, description="with data.to: images of the same file name belong together")
    labels: str | None = Field(None, max_length=4096, description="path of the labels, where they are a file of their own")
    image_size: ImageSize | None = Field(
        None, description="pixels per side, N or HxW; none: as the images are, or a square that fits"
    )
    channels: Literal[1, 2, 3, 4] | None = Field(
        None, description="1 grey, 3 colour, 2 and 4 the same with alpha; none: as the images are"
    )
    fit: Literal["crop", "pad", "stretch"] = Field(
        "crop", description="images of other proportions: crop to the centre, pad with a border, or stretch"
    )
    alpha: Literal["composite", "keep"] = Field(
        "composite", description="transparent images: composite onto the background, or keep the alpha channel"
    )
    background: str = Field(
        "white",
        pattern=r"^(#[0-9a-fA-F]{6}|[a-zA-Z]{3,30})$",
        description="a colour's name or #rrggbb, behind alpha and borders",
    )
    max_pixels: int = Field(
        89_478_485, ge=1, le=2**32, description="pixels of the largest image that is decoded; of a JPEG four times as many"
    )
    allow_broken: float = Field(0.05, ge=0, le=1, description="fraction of the images that may be broken; they are skipped")


class ModelConfig(Section):
    """What every architecture is given."""

    latent_dim: int = Field(100, ge=1, le=65536, description="dimensions of the latent z ~ N(0, I)")
    conditional: bool = Field(False, description="train on the labels, so that a class can be sampled")
    parent: Address | None = Field(None, description="run, checkpoint, file or hf:USER/NAME that training starts from")


class TrainConfig(Section):
    """How the networks are trained. Exactly one of epochs, images and minutes is the length."""

    epochs: int | None = Field(None, ge=1, le=10**6, description="length of the run in passes over the data")
    images: int | None = Field(None, ge=1, le=10**12, description="length of the run in real images seen")
    minutes: float | None = Field(None, gt=0, le=10**6, description="length of the run in minutes of training")
    batch_size: int = Field(128, ge=1, le=65536, description="real images per step, over all processes")
    accumulate: int = Field(
        1, ge=1, le=65536, description="micro-batches per step and process: less memory, batch statistics per micro-batch"
    )
    seed: Seed = Field(0, description="seed of weights, order, latents and dropout")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="learning rate of all networks")
    discriminator_learning_rate: float | None = Field(
        None, gt=0, le=1, description="the discriminator's own learning rate; none: the same"
    )
    betas: tuple[Beta, Beta] = Field((0.0, 0.99), description="Adam's decay rates of the two moments")
    optimizer: Optimizer | None = Field(
        None, description="optimiser: adam, adamw, rmsprop, sgd, or an object of name and options; none: adam"
    )
    discriminator_optimizer: Optimizer | None = Field(None, description="the discriminator's own optimiser; none: the same")
    discriminator_updates: int = Field(
        1, ge=1, le=1000, description="updates of the discriminator per step, each on fresh images: 5 for a WGAN"
    )
    learning_rate_decay: float = Field(
        0.5, ge=0, le=1, description="last fraction of the run in which the learning rate falls linearly to 0"
    )
    warmup: float = Field(
        0.0, ge=0, le=1, description="first fraction of the run in which the learning rate rises linearly from 0"
    )
    burn_in: float = Field(
        0.0, ge=0, le=1, description="first fraction of the run, in which the three *_start values move to the final ones"
    )
    learning_rate_start: float | None = Field(None, gt=0, le=1, description="learning rate at the start of the burn-in")
    beta2_start: Beta | None = Field(None, description="Adam's second decay rate at the start of the burn-in")
    penalty_start: float = Field(1.0, ge=0, le=1e4, description="factor of the penalties at the start of the burn-in")
    ema_halflife_images: float = Field(
        50_000, ge=0, le=10**12, description="half-life of the EMA of the generator, in images; 0: no EMA"
    )
    ema_rampup: float = Field(
        0.05, ge=0, le=1, description="the half-life is at most this fraction of the images seen so far; 0: no limit"
    )
    freeze_discriminator: int = Field(
        0, ge=0, le=1000, description="first layers of the discriminator that keep the weights of model.parent (FreezeD)"
    )
    real_fake_batch: Literal["joint", "separate"] = Field(
        "joint", description="D sees real and fake images in one batch, or in two"
    )


AugmentChange = Literal[
    "flip", "translation", "cutout", "colour", "hue", "saturation", "rotation90", "rotation", "scale", "stretch"
]


class AugmentConfig(Section):
    """Random augmentation of everything that the discriminator sees, for small data sets."""

    mode: Literal["auto", "on", "off"] = Field("auto", description="auto: on for data sets below below_images")
    below_images: int = Field(10_000, ge=0, le=10**12, description="images from which a data set is no longer small")
    changes: tuple[AugmentChange, ...] = Field(
        ("translation", "cutout", "colour"),
        max_length=10,
        description="flip, translation, cutout, colour, hue, saturation, rotation90, rotation, scale, stretch",
    )
    strength: float | None = Field(None, ge=0, lt=1, description="probability of each change per image; none: adaptive")
    target: float = Field(0.6, ge=0, le=1, description="adaptive: target for the mean sign of D's logits on real images")
    adapt_images: int = Field(
        100_000, ge=1, le=10**12, description="adaptive: real images in which the probability can go from 0 to 1"
    )


class RuntimeConfig(Section):
    """Device and precision. Changes nothing but rounding and speed."""

    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d{1,3})?)$", description="auto, cpu, cuda, cuda:N or mps")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="fp32 or bf16; auto: bf16 where it is fast")
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads; none: one per core")
    deterministic: bool = Field(False, description="on a GPU: deterministic algorithms only")
    compile: bool = Field(False, description="use torch.compile where it works; no gain on a CPU")
    cuda_graph: Literal["auto", "on", "off"] = Field(
        "auto", description="on a GPU: replay steps as CUDA graphs where they compute the same; on: say so where they do not"
    )
    peer_timeout_seconds: float = Field(
        300, ge=1, le=86400, description="under torchrun: time after which a silent process is lost"
    )
    allow_other_processes: bool = Field(False, description="resume with another number of processes, though not bit-exact")


class CheckpointConfig(Section):
    """When the state is saved, and how much of it is kept."""

    every_steps: int | None = Field(
        None, ge=1, le=10**9, description="steps between checkpoints; none: once per epoch, at most every 100 steps"
    )
    keep: int = Field(2, ge=1, le=10**6, description="newest checkpoints to keep")


class LogConfig(Section):
    """What is logged while training."""

    every_steps: int = Field(50, ge=1, le=10**6, description="steps per row of metrics.jsonl")
    preview_every_epochs: int | None = Field(
        None, ge=1, le=10**6, description="epochs between previews; none: 1, at most every 100 steps"
    )
    quality_every_images: int = Field(
        50_000, ge=0, le=10**12, description="images between evaluations during training, at the next epoch's end; 0: none"
    )
    extractor: PluginName | None = Field(
        None, description="extractor of these evaluations, of images that are not digits; none: random convolutions"
    )
    previews: int = Field(64, ge=1, le=1024, description="images in each preview, always from the same latents")
    to: tuple[str, ...] = Field(
        (), max_length=16, description="loggers that also get it, such as tensorboard; `gancli plugin list` shows them"
    )


class RunConfig(Section):
    """The whole configuration of a run, as stored in its ``config.json``."""

    data: DataConfig = Field(default_factory=DataConfig, description="the images")
    arch: ArchChoice = Field(default_factory=ArchChoice, description="the networks")
    objective: ObjectiveChoice = Field(default_factory=ObjectiveChoice, description="the losses and penalties")
    model: ModelConfig = Field(default_factory=ModelConfig, description="latent space and classes")
    train: TrainConfig = Field(default_factory=TrainConfig, description="how the networks are trained")
    augment: AugmentConfig = Field(default_factory=AugmentConfig, description="augmentation of small data sets")
    runtime: RuntimeConfig = Field(default_factory=RuntimeConfig, description="device and precision")
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig, description="when checkpoints are saved")
    log: LogConfig = Field(default_factory=LogConfig, description="what is logged")


LENGTHS = ("train.epochs", "train.images", "train.minutes")  # the three ways to say how long; one excludes the others


# -- values against a model, strictly; and what is wrong with them, as a sentence for the user --

ModelT = TypeVar("ModelT", bound=BaseModel)


def checked(section: str, model: type[ModelT], values: object, origins: Mapping[str, str] = MappingProxyType({})) -> ModelT:
    """The values of a section, validated strictly, as JSON: a true is no 1, a "3" no 3, a list may be a tuple.

    Raises:
        ConfigError: a key is unknown or a value is not allowed; it says where this was set.
    """
    try:
        return model.model_validate_json(json.dumps(values, default=plain), strict=True)
    except ValidationError as error:
        raise _explain(section, model, error, origins) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"A value in the configuration cannot be stored: {error}.", "Use numbers, text, lists.") from error


def _explain(section: str, model: type[BaseModel], error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    first, *others = error.errors(include_url=False)
    path = ".".join(map(str, (*([section] if section else []), *first["loc"])))
    key = ".".join(path.split(".")[:2])
    origin = f" (from {origins[key]})" if origins.get(key, "default") != "default" else ""
    more = f" {len(others)} more are not allowed." if others else ""
    if first["type"] == "json_invalid":  # what json.dumps wrote is JSON, except for half a character
        problem = "A text in the configuration is not valid Unicode, and cannot be stored."
        return ConfigError(problem, "Rename the file, or correct the text.")
    if first["type"] == "extra_forbidden":
        return ConfigError(f"Unknown key '{path}'{origin}.", did_you_mean(path, (f"{section}.{k}" for k in model.model_fields)))
    if first["type"] == "string_pattern_mismatch":  # a regular expression says nothing to a user
        problem = f"{path} = {shown(first['input'])}{origin} is not allowed."
        return ConfigError(problem, f"{_meaning(key, model)}{more}")
    lists = {"augment.changes": '["flip","cutout"]', "log.to": '["tensorboard"]'}
    example = f", such as {lists.get(key, '[2,3]')}" if first["type"] in {"tuple_type", "list_type"} else ""
    _, should, rest = first["msg"].partition(" should ")  # of "Input should be less than 1"
    reason = f"it should {rest}" if should else first["msg"].removeprefix("Value error, ")
    problem = f"{path} = {shown(first['input'])}{origin} is not allowed: {reason}{example}."
    return ConfigError(problem, f"{_meaning(key, model)}{more}")


def plain(value: object) -> object:
    """What JSON has for a value from Python: numbers for those of NumPy and torch, else the text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def shown(value: object) -> str:
    """A value as JSON, for a message."""
    return shortened(json.dumps(value, default=plain))


def shortened(text: str) -> str:
    """At most 60 characters of a text."""
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  (enough to recognise it)


def _meaning(key: str, model: type[BaseModel]) -> str:
    """The description of a key: ``train.epochs: length of the run in passes over the data.``"""
    section, _, name = key.partition(".")
    if model is RunConfig and section in RunConfig.model_fields:
        model = type(getattr(RunConfig(), section))
    field = model.model_fields.get(name)
    return f"{name}: {field.description}." if field and field.description else ""
