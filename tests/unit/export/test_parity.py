import numpy as np
import pytest
import torch

from gancli.errors import CheckpointError, ExportError
from gancli.export.parity import largest_difference, refuse_difference


def drawing(model, calls):
    def draw(z, labels):
        calls.append((z, labels))
        return model.draw(torch.from_numpy(z), None if labels is None else torch.from_numpy(labels)).numpy()

    return draw


def test_batches_of_several_sizes_of_latents_that_are_all_different(models):
    calls = []
    assert largest_difference(models["small"], drawing(models["small"], calls)) == 0
    assert [len(z) for z, _ in calls] == [1, 2, 7, 64]
    assert len(np.unique(np.concatenate([z for z, _ in calls]), axis=0)) == 74


def test_every_class_is_drawn(models):
    calls = []
    largest_difference(models["mnist"], drawing(models["mnist"], calls))
    assert set(np.concatenate([labels for _, labels in calls])) == set(range(10))
    assert all(labels.dtype == np.int64 for _, labels in calls)


@pytest.mark.parametrize("label", range(3))
def test_a_single_wrong_class_is_found(models, label):
    draw = drawing(models["classes"], [])
    wrong = lambda z, labels: draw(z, np.where(labels == label, (label + 1) % 3, labels))  # noqa: E731
    assert largest_difference(models["classes"], wrong) > 1e-3


def test_a_batch_that_cannot_be_drawn_is_told(models):
    def draw(z, _labels):
        if len(z) > 2:
            raise CheckpointError("Too many.")
        return models["small"].draw(torch.from_numpy(z)).numpy()

    with pytest.raises(ExportError, match="cannot draw 7 pictures: Too many"):
        largest_difference(models["small"], draw)


@pytest.mark.parametrize("difference", [1.1e-4, float("nan"), float("inf")])
def test_a_difference_above_the_tolerance_is_refused(difference):
    with pytest.raises(ExportError, match="nothing was written"):
        refuse_difference(difference, 1e-4)
    refuse_difference(1e-4, 1e-4)
