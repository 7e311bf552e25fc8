import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli import errors
from gancli.errors import GancliError, Stopped, UsageError, did_you_mean

KINDS = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, GancliError)}


def test_the_drawing_in_the_docstring_is_the_tree():
    drawn = dict(re.findall(r"^\W*([A-Z]\w+) +([\d/]+) ", errors.__doc__, re.MULTILINE))
    assert set(drawn) == set(KINDS)
    assert {name: code for name, code in drawn.items() if name != "Stopped"} == {
        name: str(kind.exit_code) for name, kind in KINDS.items() if name != "Stopped"
    }


@pytest.mark.parametrize(("number", "code"), [(1, 129), (2, 130), (15, 143)])
def test_a_stop_ends_in_128_and_the_signals_number(number, code):
    stopped = Stopped(number, "Stopped.", "Go on with --resume.")
    assert (stopped.exit_code, str(stopped)) == (code, "Stopped. Go on with --resume.")
    assert Stopped.exit_code == 1, "the class is left as it was"


def test_the_text_is_problem_and_remedy():
    assert str(UsageError("It is wrong.", "Do it right.")) == "It is wrong. Do it right."
    assert str(UsageError("It is wrong.")) == "It is wrong."


def test_scripts_get_the_same_in_parts():
    assert UsageError("It is wrong.", "Do it right.").as_json() == {
        "kind": "UsageError",
        "exit_code": 2,
        "problem": "It is wrong.",
        "remedy": "Do it right.",
    }


@given(st.text(), st.lists(st.text(min_size=1)))
def test_a_hint_names_nothing_that_is_not_known(name, known):
    hint = did_you_mean(name, known)
    assert hint in {"", f"Known: {', '.join(sorted(set(known)))}.", *(f"Did you mean '{k}'?" for k in known)}
    assert bool(hint) or not 0 < len(set(known)) <= 20


def test_a_long_list_is_not_given_and_a_long_name_compared_with_nothing():
    known = [f"name{i}" for i in range(21)]
    assert did_you_mean("xyz", known) == ""
    assert did_you_mean("name3" * 20_000, known[:2]) == "Known: name0, name1."


def test_what_is_hardly_alike_is_not_suggested():
    assert did_you_mean("edns", ["dcgan", "dense"]) == "Known: dcgan, dense."


@pytest.mark.parametrize("typo", ["dnse", "densee", "dens", "desne"])
def test_a_typo_is_recognised(typo):
    assert did_you_mean(typo, ["dcgan", "dense", "resnet"]) == "Did you mean 'dense'?"
