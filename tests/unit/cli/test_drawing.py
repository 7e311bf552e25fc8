from types import SimpleNamespace

import pytest

from gancli.cli.sample import Pictures
from gancli.errors import UsageError
from gancli.plugin import ImageSpec

ZOO = SimpleNamespace(class_names=("cat", "dog", "0"), image=ImageSpec(1, 8, 8, classes=3))


@pytest.mark.parametrize(("given", "label"), [("dog", 1), ("1", 1), ("0", 2), ("2", 2)])
def test_a_class_is_a_name_or_else_a_number(given, label):
    assert Pictures(class_=given).labels(ZOO, 2, None) == [label, label]


@pytest.mark.parametrize("given", ["dgo", "3", "-1", "²"])
def test_a_class_that_is_not_there(given):
    with pytest.raises(UsageError, match="no such class"):
        Pictures(class_=given).labels(ZOO, 2, None)


def test_the_nearest_name_is_named():
    with pytest.raises(UsageError, match="Did you mean 'dog'"):
        Pictures(class_="dgo").labels(ZOO, 1, None)


def test_the_last_seed_fits():
    assert Pictures(count=2, seed=2**63 - 2).seed_list(None)[-1] == 2**63 - 1
    with pytest.raises(UsageError):
        Pictures(count=3, seed=2**63 - 2).seed_list(None)
