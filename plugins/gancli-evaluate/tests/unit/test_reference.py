import os

import pytest
import torch

from gancli.metrics.extractors import DigitExtractor, RandomExtractor, Reading
from gancli_evaluate import reference as module
from gancli_evaluate.reference import cached


@pytest.fixture
def extractor():
    return DigitExtractor()


@pytest.fixture
def counted():
    """A computation that counts its calls."""

    class Computation:
        calls = 0

        def __call__(self):
            self.calls += 1
            return Reading(torch.arange(6.0).view(3, 2), torch.tensor([4, 5, 6]))

    return Computation()


def test_what_was_read_is_read_once(extractor, counted):
    first, second = cached(extractor, "a", counted), cached(extractor, "a", counted)
    assert counted.calls == 1
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.classes, second.classes)
    assert second.classes.dtype == torch.int64


def test_other_pictures_and_other_extractors_are_others(extractor, counted):
    cached(extractor, "a", counted)
    cached(extractor, "b", counted)
    pictures = torch.randint(0, 256, (9, 1, 8, 8), dtype=torch.uint8)
    cached(RandomExtractor.for_data(pictures), "a", counted)
    cached(RandomExtractor.for_data(pictures // 2), "a", counted)
    assert counted.calls == 4


@pytest.mark.parametrize("damage", [b"", b"{}", bytes(64), b"\xff" * 200])
def test_F12_damaged_files_are_read_again_and_replaced(extractor, counted, cache, damage):
    cached(extractor, "a", counted)
    (path,) = cache.iterdir()
    path.write_bytes(damage)
    assert len(cached(extractor, "a", counted)) == 3
    assert len(cached(extractor, "a", counted)) == 3
    assert counted.calls == 2


def test_F09_a_place_that_cannot_be_written_to_is_no_failure(extractor, counted, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "file"))
    assert len(cached(extractor, "a", counted)) == 3


def test_F52_no_home_is_no_failure(extractor, counted, monkeypatch):
    for name in ("GANCLI_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert len(cached(extractor, "a", counted)) == 3


def test_the_oldest_go_when_there_is_too_much(extractor, counted, cache, monkeypatch):
    cached(extractor, "a", counted)
    size = next(cache.iterdir()).stat().st_size
    os.utime(next(cache.iterdir()), (1, 1))
    monkeypatch.setattr(module, "MOST_BYTES", 2 * size)
    cached(extractor, "b", counted)
    cached(extractor, "c", counted)
    assert len(list(cache.iterdir())) == 2
    cached(extractor, "b", counted)
    assert counted.calls == 3
    cached(extractor, "a", counted)
    assert counted.calls == 4
