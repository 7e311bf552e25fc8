from itertools import pairwise

import numpy as np
import pytest
import torch

import gancli
from gancli.errors import UsageError
from gancli.models.frames import Tour
from gancli.models.interpolation import Walk
from gancli.models.loading import load


@pytest.fixture(scope="module")
def model(small_run):
    return load(small_run)


@pytest.fixture(scope="module")
def conditional(small_conditional_run):
    return load(small_conditional_run)


def test_frames_are_pictures_one_after_the_other(model):
    frames = list(model.interpolate(7))
    assert [frame.shape for frame in frames] == [(1, 1, 8, 8)] * 7
    assert all(frame.dtype == torch.float32 and frame.abs().max() <= 1 for frame in frames)


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_seeds_and_classes_may_be_arrays(conditional, kind):
    lists = list(conditional.interpolate(4, keyframes=[3, 1, 4], labels=[0, 2]))
    arrays = list(conditional.interpolate(4, keyframes=kind([3, 1, 4]), labels=kind([0, 2])))
    torch.testing.assert_close(torch.cat(arrays), torch.cat(lists), rtol=0, atol=0)
    assert conditional.sample(2, labels=np.int64(1)).equal(conditional.sample(2, labels=1))
    first = next(conditional.interpolate(4, keyframes=np.int64(2), labels=np.int64(1)))
    torch.testing.assert_close(first, conditional.sample(1, labels=1))


def test_a_class_that_is_named_twice_is_kept(conditional):
    twice, once = (torch.cat(list(conditional.interpolate(5, labels=labels, cells=2))) for labels in ([2, 2], 2))
    torch.testing.assert_close(twice, once, rtol=0, atol=0)


def test_by_default_there_are_60_through_six_keyframes(model):
    frames = torch.cat(list(model.interpolate()))
    assert len(frames) == 60
    torch.testing.assert_close(frames, torch.cat(list(model.interpolate(60, keyframes=range(6)))))


def test_the_first_frame_is_the_first_keyframes_sample(model):
    frames = list(model.interpolate(9, keyframes=range(40, 52), cells=4))
    torch.testing.assert_close(frames[0], model.sample(4, seed=40))


def test_an_open_walk_ends_with_the_last_keyframes_sample(model):
    *_, last = model.interpolate(9, keyframes=[5, 6, 7, 8], cells=2, loop=False)
    torch.testing.assert_close(last, model.sample(seeds=[7, 8]))


def test_a_loop_closes(model):
    """From the last frame to the first it is as far as from any to the next, and no frame is there twice."""
    frames = list(model.interpolate(400, keyframes=3))
    steps = [(b - a).norm().item() for a, b in pairwise([*frames, frames[0]])]
    assert min(steps) > 0
    assert steps[-1] < 2 * np.median(steps)


@pytest.mark.parametrize("cells", [1, 3, 300])
def test_a_frame_does_not_depend_on_which_others_are_drawn(model, cells):
    tour = Tour(model, Walk(range(2 * cells), frames=9, cells=cells))
    every = list(tour)
    some = list(tour.at(np.array([7, 2])))
    torch.testing.assert_close(some, [every[7], every[2]])
    assert len(every) == len(tour) == 9
    assert every[0].shape == (cells, 1, 8, 8)


def test_cells_walk_their_own_ways_as_they_would_alone(model):
    together = torch.stack(list(model.interpolate(5, keyframes=range(6), cells=2)))
    for cell in range(2):
        alone = torch.stack(list(model.interpolate(5, keyframes=[cell, cell + 2, cell + 4])))
        torch.testing.assert_close(together[:, cell : cell + 1], alone)


def test_truncation_is_that_of_the_samples(model):
    first = next(model.interpolate(4, keyframes=2, truncation=0.05))
    torch.testing.assert_close(first, model.sample(1, truncation=0.05))
    assert not torch.allclose(first, model.sample(1))


def test_lerp_and_slerp_differ_between_keyframes_only(model):
    ways = [torch.cat(list(model.interpolate(5, keyframes=2, loop=False, method=method))) for method in ("slerp", "lerp")]
    torch.testing.assert_close(ways[0][[0, -1]], ways[1][[0, -1]])
    assert not torch.allclose(ways[0][2], ways[1][2])


def test_one_class_is_kept(conditional):
    frames = torch.cat(list(conditional.interpolate(4, keyframes=2, labels=2)))
    torch.testing.assert_close(frames[[0, 2]], conditional.sample(2, labels=2))


def test_without_a_class_every_cell_has_that_of_its_sample(conditional):
    frames = list(conditional.interpolate(4, keyframes=range(10), cells=5))
    torch.testing.assert_close(frames[0], conditional.sample(5))
    torch.testing.assert_close(frames[2], conditional.sample(seeds=range(5, 10), labels=[0, 1, 2, 0, 1]))


@pytest.mark.parametrize("loop", [True, False])
def test_classes_are_passed_one_after_the_other(conditional, loop):
    tour = Tour(conditional, Walk([4], frames=9 if loop else 7, labels=[0, 2, 1], loop=loop))
    assert tour.blend == "embeddings"
    frames = torch.cat(list(tour))
    torch.testing.assert_close(frames[::3], conditional.sample(seeds=[4] * 3, labels=[0, 2, 1]))


@pytest.mark.parametrize("labels", [[], [3], [0, -1]])
def test_classes_that_are_not_there_are_refused_at_once(conditional, labels):
    with pytest.raises(UsageError, match="0 to 2"):
        conditional.interpolate(labels=labels)


def test_an_unconditional_model_passes_no_classes(model):
    with pytest.raises(UsageError, match="Train one with --conditional"):
        model.interpolate(labels=[0, 1])


@pytest.mark.parametrize("wrong", [{"frames": 1}, {"keyframes": 0}, {"keyframes": [1]}, {"cells": 0}, {"method": "jump"}])
def test_what_is_no_walk_is_refused_at_once(model, wrong):
    with pytest.raises(UsageError):
        model.interpolate(**wrong)


def test_it_leaves_the_callers_random_numbers_alone(conditional):
    before = torch.random.get_rng_state()
    list(conditional.interpolate(4, labels=[0, 1]))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_package_offers_it(small_run):
    assert len(list(gancli.load(small_run).interpolate(3))) == 3
