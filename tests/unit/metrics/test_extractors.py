from importlib.resources import files

import pytest
import torch

from gancli.metrics.distances import TOTAL_VARIANCE, Moments
from gancli.metrics.extractors import DigitExtractor, RandomExtractor, batches, read


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
    assert Moments.of([found]).covariance.trace() == pytest.approx(TOTAL_VARIANCE, rel=1e-3)
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


def test_nothing_to_read():
    with pytest.raises(ValueError, match="no images"):
        read(DigitExtractor(), [])
