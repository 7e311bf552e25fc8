import re
from types import SimpleNamespace

import torch

from gancli.evaluation.measure import _asked_digits, _bias_of_few

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


def test_the_distance_of_few_images_says_that_it_is_biased_by_few():
    features = torch.randn(5000, 8, generator=torch.Generator().manual_seed(0)) * 11
    reference = SimpleNamespace(
        real=None,
        reading=lambda _: SimpleNamespace(features=features),
        extractor=SimpleNamespace(distances=("FD-x", "KD-x")),
    )
    (note,) = _bias_of_few(reference, 20)
    said = re.fullmatch(r"FD-x of only 20 images is biased upward: 20 real images score ([\d.]+)\. Evaluate more\.", note)
    assert float(said[1]) > 100
    assert _bias_of_few(reference, 1000) == ()
    assert _bias_of_few(reference, 2600) == ()
