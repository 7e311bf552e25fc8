import pytest
import torch

from gancli.data.mnist import Mnist
from gancli.data.stacked import StackedMnist
from gancli.errors import DatasetError


@pytest.fixture(scope="module")
def test():
    return StackedMnist().load("test")


def test_every_channel_is_a_digit_of_its_split_with_the_label_that_the_class_says(test):
    digits = Mnist().load("test")
    known = {picture.numpy().tobytes(): int(label) for picture, label in zip(digits.images[:, 0], digits.labels, strict=True)}
    for picture, label in zip(test.images[:200], test.labels[:200], strict=True):
        assert "".join(str(known[channel.numpy().tobytes()]) for channel in picture) == test.class_names[label]


def test_it_is_the_same_set_every_time(test):
    again = StackedMnist().load("test")
    assert torch.equal(again.images, test.images)
    assert test.labels[:6].tolist() == again.labels[:6].tolist()


def test_channels_are_independent(test):
    tens, units = test.labels // 10 % 10, test.labels % 10
    assert float((tens == units).float().mean()) == pytest.approx(0.1, abs=0.01)


def test_an_unknown_split_names_the_known_ones():
    with pytest.raises(DatasetError, match="no split 'valid'"):
        StackedMnist().load("valid")
