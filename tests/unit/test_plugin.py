from inspect import isclass
from typing import get_args

import pytest
import torch
from pydantic import Field, ValidationError

from gancli import events, plugin
from gancli.plugin import API, ArchConfig, Architecture, Dataset, ImageSet, ImageSpec, Networks, Objective


class TinyConfig(ArchConfig):
    width: int = Field(4, ge=1, le=9, description="units")


class Tiny(Architecture[TinyConfig]):
    api = 1
    summary = "tiny"
    Config = TinyConfig

    def build(self, config, image, latent_dim):  # noqa: ARG002  (the signature is given)
        return Networks(torch.nn.Linear(latent_dim, config.width), torch.nn.Linear(config.width, 1))


class Plain(Objective):
    api = 1
    summary = "plain"

    def discriminator_loss(self, real_logits, fake_logits):
        return fake_logits - real_logits

    def generator_loss(self, fake_logits, real_logits):  # noqa: ARG002  (the signature is given)
        return -fake_logits


def test_the_api_is_the_one_that_was_promised():
    assert API == 2


def test_the_public_names_exist_and_are_all():
    classes = {name for name, value in vars(plugin).items() if isclass(value) and value.__module__ == plugin.__name__}
    assert set(plugin.__all__) == classes | {"API", "Defaults", "Event", *(kind.__name__ for kind in get_args(events.Event))}


@pytest.mark.parametrize("options", [{"width": 0}, {"width": 10}, {"widht": 4}, {"width": "4", "x": 1}])
def test_F40_options_refuse_what_they_do_not_know(options):
    with pytest.raises(ValidationError):
        TinyConfig(**options)


def test_options_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        TinyConfig().width = 5


def test_an_architecture_needs_no_more_than_build():
    architecture = Tiny()
    assert architecture.supports(TinyConfig(), ImageSpec(1, 2, 2)) is None
    assert architecture.migrate({"width": 3}, "0.1") == {"width": 3}
    assert dict(architecture.defaults) == {}
    assert architecture.build(TinyConfig(), ImageSpec(1, 2, 2), 3).generator.in_features == 3


@pytest.mark.parametrize("kind", [Architecture, Dataset, Objective])
def test_a_kind_cannot_be_used_by_itself(kind):
    assert kind.__abstractmethods__
    with pytest.raises(TypeError, match="abstract"):
        kind()


def test_an_objective_needs_no_more_than_two_formulas():
    objective = Plain(r1_gamma=2.0)
    assert not objective.generator_sees_real
    assert objective.penalty_interval_steps == 1
    assert list(objective.penalties()) == []


@pytest.mark.parametrize("options", [{"r1_gamma": -1}, {"r2_gamma": float("inf")}, {"penalty_interval_steps": 0}, {"gama": 1}])
def test_F40_an_objectives_options_are_bounded(options):
    with pytest.raises(ValidationError):
        Plain(**options)


def test_a_picture_is_described_in_one_order():
    spec = ImageSpec(3, 28, 32, 10)
    assert (spec.shape, str(spec)) == ((3, 28, 32), "3x28x32")


@pytest.mark.parametrize(("conditional", "classes"), [(True, 2), (False, 0)])
def test_an_image_set_knows_what_it_holds(conditional, classes):
    images = ImageSet(torch.zeros(4, 3, 5, 7, dtype=torch.uint8), torch.tensor([0, 1, 1, 0]), ("a", "b"))
    assert images.spec(conditional=conditional) == ImageSpec(3, 5, 7, classes)


def test_without_labels_there_are_no_classes():
    assert ImageSet(torch.zeros(4, 1, 5, 7, dtype=torch.uint8)).spec(conditional=True).classes == 0
