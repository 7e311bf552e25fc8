from importlib.resources import files

import pytest
import torch

from gancli.data.mnist import Mnist
from gancli.errors import UsageError
from gancli.metrics.choice import extractor_for
from gancli.metrics.digits import DigitExtractor
from gancli.metrics.extractor import TOTAL_VARIANCE, batches, read
from gancli.metrics.moments import Moments
from gancli.metrics.random_ import RandomExtractor


@pytest.fixture(scope="module")
def mnist():
    return Mnist().load()


@pytest.fixture(scope="module")
def noise():
    return torch.randint(0, 256, (100, 3, 20, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_its_file_is_small_and_says_whose_data_it_learned_from():
    folder = files("gancli.metrics") / "files"
    assert sum(len(path.read_bytes()) for path in folder.iterdir()) < 300_000
    assert "Share Alike" in (folder / "NOTICE").read_text().replace("-", " ")


def test_random_features_are_the_same_for_the_same_data_and_scaled_to_it(noise):
    one, two = RandomExtractor.for_data(noise), RandomExtractor.for_data(noise)
    found = read(one, batches(noise)).features
    assert torch.equal(found, read(two, batches(noise)).features)
    assert one.digest == two.digest != RandomExtractor.for_data(noise[:50]).digest
    assert Moments.of([found]).total_variance == pytest.approx(TOTAL_VARIANCE, rel=1e-3)
    assert float(found.mean()) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (4, 5, 40), (3, 200, 100), (2, 64, 64)])
def test_random_features_of_any_shape(shape):
    pictures = torch.randint(0, 256, (9, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = read(RandomExtractor.for_data(pictures), batches(pictures)).features
    assert len(found) == 9
    assert found.isfinite().all()


def test_random_features_of_equal_pictures():
    pictures = torch.full((9, 1, 8, 8), 7, dtype=torch.uint8)
    assert read(RandomExtractor.for_data(pictures), batches(pictures)).features.isfinite().all()


def test_autocast_and_random_state_are_none_of_an_extractors_business(mnist):
    extractor, state = DigitExtractor(), torch.random.get_rng_state()
    plain = read(extractor, batches(mnist.images[:64])).features
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(read(extractor, batches(mnist.images[:64])).features, plain)
    RandomExtractor.for_data(mnist.images[:64])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_which_extractor_suits(mnist, noise):
    assert extractor_for("mnist", mnist.images).name == "mnist"
    assert extractor_for("mine", mnist.images).name == "mnist"  # the same pictures under another name
    assert extractor_for("fashion-mnist", mnist.images[:50]).name == "random"
    assert extractor_for("fashion-mnist", mnist.images[:50], "mnist").name == "mnist"
    assert extractor_for("mnist", mnist.images, "random").name == "random"
    assert extractor_for("stacked-mnist", mnist.images[:60].view(20, 3, 28, 28)).name == "stacked-mnist"
    assert extractor_for("mnist", noise).name == "random"
    with pytest.raises(UsageError, match=r"cannot read pictures of 3x20x12\..*--extractor random"):
        extractor_for("x", noise, "mnist")


def test_nothing_to_read():
    with pytest.raises(ValueError, match="no pictures"):
        read(DigitExtractor(), [])
