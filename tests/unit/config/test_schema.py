import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from gancli.config.schema import LENGTHS, RunConfig

SECTIONS = {name: type(getattr(RunConfig(), name)) for name in RunConfig.model_fields}
FIELDS = [(section, name) for section, model in SECTIONS.items() for name in model.model_fields]
NUMBERS = [
    (section, name)
    for section, name in FIELDS
    if any(kind in str(SECTIONS[section].model_fields[name].annotation) for kind in ("int", "float"))
]


def test_every_section_and_key_is_described():
    assert all(field.description for field in RunConfig.model_fields.values())
    assert all(SECTIONS[section].model_fields[name].description for section, name in FIELDS)


@pytest.mark.parametrize(("section", "name"), NUMBERS)
@pytest.mark.parametrize("value", [-1, 10**30, math.nan, math.inf, "x"])
def test_F40_every_number_is_bounded_on_both_sides(section, name, value):
    with pytest.raises(ValidationError):
        RunConfig.model_validate({section: {name: value}})


@pytest.mark.parametrize("section", [section for section in SECTIONS if section not in {"arch", "objective"}])
def test_F40_an_unknown_key_is_refused(section):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        RunConfig.model_validate({section: {"no_such_key": 1}})


def test_F40_an_unknown_section_is_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        RunConfig.model_validate({"trian": {}})


def test_nothing_changes_after_it_was_checked():
    config = RunConfig()
    for section, name in FIELDS:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(getattr(config, section), name, 1)


def test_a_plugins_options_stand_beside_its_name():
    config = RunConfig.model_validate({"arch": {"name": "x", "width": 3, "deep": [1, 2]}})
    assert (config.arch.name, config.arch.options) == ("x", {"width": 3, "deep": [1, 2]})
    assert RunConfig().arch.options == {}


def test_the_lengths_are_keys():
    assert set(LENGTHS) <= {f"{section}.{name}" for section, name in FIELDS}


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12"])
def test_devices_that_there_are(device):
    assert RunConfig.model_validate({"runtime": {"device": device}}).runtime.device == device


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "cuda:1234", "cpu\n", "", "CPU"])
def test_devices_that_there_are_not(device):
    with pytest.raises(ValidationError):
        RunConfig.model_validate({"runtime": {"device": device}})


@given(
    seed=st.integers(0, 2**63 - 1),
    rate=st.floats(0, 1, exclude_min=True),
    betas=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2),
    minutes=st.none() | st.floats(0, 10**6, exclude_min=True),
    dataset=st.text(st.characters(codec="utf-8"), min_size=1),
)
def test_json_round_trip_is_exact(seed, rate, betas, minutes, dataset):
    train = {"seed": seed, "learning_rate": rate, "betas": betas, "minutes": minutes}
    config = RunConfig.model_validate({"train": train, "data": {"dataset": dataset}})
    assert RunConfig.model_validate_json(config.model_dump_json(), strict=True) == config


def test_the_sections_are_models_of_their_own():
    assert all(issubclass(model, BaseModel) for model in SECTIONS.values())
