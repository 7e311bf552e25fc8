from types import SimpleNamespace

import torch

from gancli.evaluation.measure import _asked_digits

DIGITS = tuple("0123456789")


def asked(numbers, names):
    found = _asked_digits(SimpleNamespace(asked=torch.tensor(numbers), class_names=names), DIGITS)
    return None if found is None else found.tolist()


def test_requested_classes_are_compared_with_digits_by_name():
    assert asked([0, 8, 1], tuple("123456789")) == [1, 9, 2]
    assert asked([0, 1], ("7", "1")) == [7, 1]
    assert asked([3, 9], DIGITS) == [3, 9]


def test_classes_that_are_no_digits_are_compared_with_none():
    assert asked([0, 1], ("cat", "dog")) is None
    assert asked([0, 1], ("1", "10")) is None
    assert _asked_digits(SimpleNamespace(asked=None, class_names=()), DIGITS) is None
