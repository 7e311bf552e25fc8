from typing import Annotated, Literal

from pydantic import BaseModel, Field

from gancli.plugins.distributions import Entry
from gancli.plugins.listing import listing, options, overview
from gancli.plugins.registry import ARCHITECTURES


def test_F36_listing_imports_nothing_of_others(monkeypatch):
    other = Entry("other", "gancli.architectures", "no_such_module:Nothing", "someone", "1.0", "theirs")
    monkeypatch.setattr(ARCHITECTURES, "entries", lambda: [other])
    assert listing(ARCHITECTURES) == [{"name": "other", "distribution": "someone", "version": "1.0", "summary": "theirs"}]


def test_F36_what_is_broken_and_what_is_off(install, monkeypatch):
    install("one", "one_module")
    install("two", "two_module", "raise ValueError('no')", name="bad")
    found = {row["name"]: (row["status"], row["problem"]) for row in overview(verify=True)}
    assert found["good"] == ("ok", None)
    assert found["bad"][0] == "broken"
    assert "ValueError: no" in found["bad"][1]
    monkeypatch.setenv("GANCLI_PLUGINS", "one")
    assert {row["name"]: row["status"] for row in overview()}["bad"] == "off"


class Model(BaseModel):
    norm: Literal["batch", "none"] = "batch"
    widths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (2, 3)
    rate: float | None = Field(None, gt=0, lt=1, description="learning rate")
    betas: tuple[float, float] = (0.0, 0.9)
    flag: bool = False
    name: str = Field(max_length=9)


ROWS = {key: rest for key, *rest in options(Model.model_json_schema(), "x")}


def test_types_defaults_ranges_and_meanings():
    assert ROWS == {
        "x.norm": ["batch | none", '"batch"', "", ""],
        "x.widths": ["list of integer", "[2, 3]", "at least 1, each >= 1", ""],
        "x.rate": ["number or none", "null", "> 0, < 1", "learning rate"],
        "x.betas": ["list of number", "[0.0, 0.9]", "at least 2, at most 2", ""],
        "x.flag": ["true | false", "false", "", ""],
        "x.name": ["text", "", "at most 9 characters", ""],
    }


def test_a_schema_of_anything():
    assert options({"properties": {"x": {}}}, "arch") == [("arch.x", "any", "", "", "")]
