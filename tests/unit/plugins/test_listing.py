from typing import Annotated, Literal

from pydantic import BaseModel, Field

from gancli.plugins.distributions import Entry
from gancli.plugins.listing import health, listing, options, overview
from gancli.plugins.registry import ARCHITECTURES


def test_F36_listing_imports_nothing_of_others(monkeypatch):
    other = Entry("other", "gancli.architectures", "no_such_module:Nothing", "someone", "1.0", "theirs")
    monkeypatch.setattr(ARCHITECTURES, "entries", lambda: [other])
    assert listing(ARCHITECTURES) == [{"name": "other", "distribution": "someone", "version": "1.0", "summary": "theirs"}]


def test_F36_health_says_what_is_broken_and_leaves_out_what_is_off(install, monkeypatch):
    install("one", "one_module")
    install("two", "two_module", "raise ValueError('no')", name="bad")
    found = {row["name"]: row["error"] for row in health()}
    assert found["good"] is None
    assert "ValueError: no" in found["bad"]
    monkeypatch.setenv("GANCLI_PLUGINS", "one")
    assert "bad" not in {row["name"] for row in health()}
    assert {row["name"]: row["status"] for row in overview()}["bad"] == "off"


class Model(BaseModel):
    norm: Literal["batch", "none"] = "batch"
    widths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (2, 3)
    rate: float | None = Field(None, gt=0, lt=1, description="learning rate")
    betas: tuple[float, float] = (0.0, 0.9)
    flag: bool = False
    name: str = Field(max_length=9)


ROWS = {option.key: option for option in options(Model.model_json_schema())}


def test_types():
    types = {key: option.type for key, option in ROWS.items()}
    assert types == {
        "norm": "batch | none",
        "widths": "list of integer",
        "rate": "number or none",
        "betas": "list of number",
        "flag": "true | false",
        "name": "text",
    }


def test_ranges():
    assert ROWS["widths"].range == "at least 1, each >= 1"
    assert ROWS["rate"].range == "> 0, < 1"
    assert ROWS["name"].range == "at most 9 characters"
    assert ROWS["flag"].range == ""


def test_defaults_and_meanings():
    assert (ROWS["widths"].default, ROWS["rate"].default, ROWS["name"].default) == ("[2, 3]", "null", "")
    assert ROWS["rate"].meaning == "learning rate"


def test_a_schema_of_anything():
    (option,) = options({"properties": {"x": {}}})
    assert (option.type, option.range) == ("any", "")
