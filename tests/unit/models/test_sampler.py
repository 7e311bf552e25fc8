"""Classes by name and number."""

from types import SimpleNamespace

import pytest

from gancli.errors import UsageError
from gancli.models.sampler import Sampler
from gancli.plugin import ImageSpec

ZOO = SimpleNamespace(class_names=("cat", "dog", "0"), image=ImageSpec(1, 8, 8, classes=3))


@pytest.mark.parametrize(("given", "label"), [("dog", 1), ("1", 1), ("0", 2), ("2", 2)])
def test_a_class_is_a_name_or_else_a_number(given, label):
    assert Sampler.class_number(ZOO, given) == label


@pytest.mark.parametrize("given", ["dgo", "3", "-1", "²"])
def test_a_class_that_is_not_there(given):
    with pytest.raises(UsageError, match="no such class"):
        Sampler.class_number(ZOO, given)


def test_the_nearest_name_is_named():
    with pytest.raises(UsageError, match="Did you mean 'dog'"):
        Sampler.class_number(ZOO, "dgo")
