from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import gancli
from gancli.errors import UsageError
from gancli.models.interpolation import Frames, Interpolation, Path, between, lerp, progress, slerp, to_and_fro
from gancli.models.loading import load
from gancli.randomness.latents import MAX_SEED, latents

METHODS = ["slerp", "lerp"]
SHARES = np.linspace(0, 1, 11)


def shoemake(a, b, t):
    """The formula as printed (Shoemake, 1985), of unit vectors."""
    omega = np.arccos(a @ b)
    return (np.sin((1 - t) * omega)[:, None] * a + np.sin(t * omega)[:, None] * b) / np.sin(omega)


def two(seed=0, dimensions=7):
    return latents([2 * seed, 2 * seed + 1], dimensions).astype(np.float64)


def angles(points, origin):
    cosines = points @ origin / np.linalg.norm(points, axis=1) / np.linalg.norm(origin)
    return np.arccos(np.clip(cosines, -1, 1))


# -- one arc --


@given(st.integers(0, 10**6), st.integers(2, 50))
def test_between_equal_norms_it_is_shoemakes_formula(seed, dimensions):
    a, b = (z / np.linalg.norm(z) for z in two(seed, dimensions))
    np.testing.assert_allclose(slerp(a, b).at(SHARES), shoemake(a, b, SHARES), atol=1e-7)


@given(st.integers(0, 10**6), st.integers(1, 50), st.sampled_from([slerp, lerp]))
def test_an_arc_begins_and_ends_where_it_should(seed, dimensions, kind):
    a, b = two(seed, dimensions)
    np.testing.assert_allclose(kind(a, b).at(np.array([0.0, 1.0])), [a, b], atol=1e-9)


@given(st.integers(0, 10**6), st.floats(0.01, 100))
def test_the_norm_goes_from_one_end_to_the_other_and_never_dips(seed, longer):
    a, b = two(seed)
    norms = np.linalg.norm(slerp(a, longer * b).at(SHARES), axis=1)
    steps = np.diff(norms)
    assert (steps >= -1e-9).all() or (steps <= 1e-9).all()


@given(st.integers(0, 10**6), st.floats(0.01, 100), st.integers(2, 40))
def test_the_length_is_that_of_the_way(seed, longer, dimensions):
    a, b = two(seed, dimensions)
    arc = slerp(a, longer * b)
    points = arc.at(np.linspace(0, 1, 5000))
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).sum() == pytest.approx(arc.length, rel=1e-4)


@pytest.mark.parametrize("factor", [1.0, 3.0, 1e-3, 1 + 1e-12])
def test_parallel_latents_are_joined_by_the_straight_line(factor):
    a, _ = two()
    points = slerp(a, factor * a).at(SHARES)
    np.testing.assert_allclose(points, (1 - SHARES + factor * SHARES)[:, None] * a, atol=1e-12)


@pytest.mark.parametrize("angle", [1e-3, 1e-6, 1e-8, 1e-10, 1e-12])
def test_nearly_parallel_latents_lose_no_precision(angle):
    a = np.array([1.0, 0, 0])
    b = np.array([np.cos(angle), np.sin(angle), 0])
    points = slerp(a, b).at(SHARES)
    np.testing.assert_allclose(points, np.stack([np.cos(SHARES * angle), np.sin(SHARES * angle), 0 * SHARES], 1), atol=1e-11)


@pytest.mark.parametrize("dimensions", [2, 3, 100])
def test_antipodal_latents_are_joined_by_half_a_great_circle(dimensions):
    a, _ = two(3, dimensions)
    points = slerp(a, -a).at(SHARES)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), np.linalg.norm(a))
    np.testing.assert_allclose(angles(points, a), SHARES * np.pi, atol=1e-6)
    np.testing.assert_array_equal(points, slerp(a, -a).at(SHARES), "the same way every time")


@pytest.mark.parametrize("off", [1e-4, 1e-7, 1e-8])
def test_nearly_antipodal_latents_go_by_the_shorter_way_and_arrive(off):
    a, b = np.array([1.0, 0, 0]), np.array([-np.cos(off), np.sin(off), 0])
    points = slerp(a, b).at(SHARES)
    np.testing.assert_allclose(points[-1], b, atol=1e-7)
    assert (points[:, 1] >= -1e-9).all()
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)


@pytest.mark.parametrize(("a", "b"), [([0, 0], [1, 2]), ([1, 2], [0, 0]), ([0, 0], [0, 0]), ([1.5], [-2]), ([1], [3])])
def test_what_cannot_be_turned_is_joined_by_the_straight_line(a, b):
    a, b = np.array(a, float), np.array(b, float)
    points = slerp(a, b).at(SHARES)
    np.testing.assert_allclose(points, (1 - SHARES)[:, None] * a + SHARES[:, None] * b, atol=1e-12)


# -- the whole way --


def arc_steps(keyframes, method, frames, *, loop):
    """Distances between neighbouring frames, measured along the way by many points between them."""
    path = Path(keyframes, method, loop=loop)
    ends = progress(frames, loop=loop)
    fine = 400
    every = np.linspace(ends[0], ends[-1], (frames - 1) * fine + 1)
    small = np.linalg.norm(np.diff(path.at(every).astype(np.float64), axis=0), axis=1)
    return small.reshape(frames - 1, fine).sum(1)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10**6), k=st.integers(2, 7), frames=st.integers(3, 12), loop=st.booleans(), d=st.integers(2, 100))
def test_every_frame_is_one_step_of_the_same_length(method, seed, k, frames, loop, d):
    keyframes = latents(range(seed, seed + k), d) * np.linspace(1, 3, k)[:, None]
    steps = arc_steps(keyframes, method, frames, loop=loop)
    np.testing.assert_allclose(steps, steps.mean(), rtol=5e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_loop_closes_by_one_more_step_of_that_length(method):
    path = Path(latents(range(5), 64), method)
    shares = np.append(progress(500, loop=True), 1.0)
    points = path.at(shares).astype(np.float64)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(points[-1], points[0], atol=1e-6)
    np.testing.assert_allclose(steps[[0, -1]], np.median(steps), rtol=1e-3)  # elsewhere a step may cut a corner


@pytest.mark.parametrize("method", METHODS)
def test_an_open_path_begins_with_the_first_keyframe_and_ends_with_the_last(method):
    z = latents(range(4), 20)
    points = Path(z, method, loop=False).at(progress(9, loop=False))
    np.testing.assert_allclose(points[[0, -1]], z[[0, 3]], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_it_passes_every_keyframe(method):
    z = latents(range(6), 30)
    points = Path(z, method).at(np.linspace(0, 1, 20_001))
    for keyframe in z:
        assert np.linalg.norm(points - keyframe, axis=1).min() < 0.01


def test_it_is_the_same_however_many_points_are_asked_for_at_once():
    path, shares = Path(latents(range(3), 10)), progress(50, loop=True)
    np.testing.assert_array_equal(path.at(shares), np.concatenate([path.at(shares[i : i + 7]) for i in range(0, 50, 7)]))


def test_the_same_keyframe_twice_is_no_stop():
    z = latents([1, 1, 2], 10)
    steps = arc_steps(z, "slerp", 8, loop=True)
    np.testing.assert_allclose(steps, steps.mean(), rtol=5e-3)


def test_one_keyframe_is_where_one_stays():
    z = latents([4], 10)
    np.testing.assert_allclose(Path(z).at(progress(3, loop=True)), np.repeat(z, 3, 0), atol=1e-6)


# -- classes --


@pytest.mark.parametrize("loop", [True, False])
def test_classes_are_passed_at_equal_distances_in_time(loop):
    first, second, weight = between([3, 8, 1], progress(301, loop=loop), loop=loop)
    ways = [(3, 8), (8, 1), (1, 3)] if loop else [(3, 8), (8, 1)]
    place = [ways.index(way) + w for *way, w in zip(first, second, weight, strict=True) for way in [tuple(way)]]
    np.testing.assert_allclose(np.diff(place), len(ways) / (301 if loop else 300))
    assert place[0] == 0
    assert loop or place[-1] == 2


# -- what is no interpolation --


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"frames": 1}, "cannot have 1 frames"),
        ({"frames": 10**7}, "cannot have 10,000,000 frames"),
        ({"method": "slrp"}, "Did you mean 'slerp'"),
        ({"seeds": []}, "0 seeds"),
        ({"cells": 4}, "6 seeds cannot be the keyframes of 4 images"),
        ({"cells": 0}, "0 images"),
        ({"cells": 10**5, "seeds": range(10**5)}, "100,000 images"),
        ({"seeds": range(10**6)}, "1,000,000 seeds"),
        ({"seeds": [-1, 2]}, "out of range"),
        ({"seeds": [1, MAX_SEED + 1]}, "out of range"),
        ({"seeds": [3]}, "stands still"),
        ({"seeds": [3], "labels": [1]}, "stands still"),
        ({"seeds": [3], "labels": [1, 1]}, "stands still"),
        ({"seeds": [3, 4, 3, 4], "cells": 2}, "stands still"),
        ({"truncation": 0.0}, "0.0 is out of range"),
    ],
)
def test_F40_what_is_no_interpolation_is_refused(wrong, words):
    with pytest.raises(UsageError, match=words):
        Interpolation(**{"seeds": range(6), **wrong})


def test_along_a_direction_it_goes_to_both_sides_and_back():
    point, direction = np.array([1.0, 2.0]), np.array([0.0, 1.0])
    shares = np.array([0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(to_and_fro(point, direction, shares)[:, 1], [2, 5, 2, -1], atol=1e-6)
    np.testing.assert_allclose(to_and_fro(point, direction, np.array([0, 0.5, 1]), loop=False)[:, 1], [-1, 2, 5], atol=1e-6)


@pytest.mark.parametrize("wrong", [{"direction": 0}, {"direction": 1, "seeds": (0, 1)}, {"direction": 1, "labels": (0, 1)}])
def test_a_direction_needs_one_keyframe_and_one_class(wrong):
    with pytest.raises(UsageError, match="Give a number from 1, one keyframe per image"):
        Interpolation(**{"seeds": (0,), **wrong})


def test_even_paths_take_equally_long_between_keyframes():
    path = Path(np.array([[0.0, 0], [1, 0], [1, 9]]), "lerp", loop=False, even=True)
    np.testing.assert_allclose(path.at(np.array([0.5, 0.75])), [[1, 0], [1, 4.5]], atol=1e-6)


# -- the frames of a model --


@pytest.fixture(scope="module")
def model(small_run):
    return load(small_run)


@pytest.fixture(scope="module")
def conditional(small_conditional_run):
    return load(small_conditional_run)


def test_frames_are_images_one_after_the_other(model):
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


def test_an_open_interpolation_ends_with_the_last_keyframes_sample(model):
    *_, last = model.interpolate(9, keyframes=[5, 6, 7, 8], cells=2, loop=False)
    torch.testing.assert_close(last, model.sample(seeds=[7, 8]))


def test_a_loop_closes(model):
    """From the last frame to the first it is as far as from any to the next, and no frame is there twice."""
    frames = list(model.interpolate(400, keyframes=3))
    steps = [(b - a).norm().item() for a, b in pairwise([*frames, frames[0]])]
    assert min(steps) > 0
    assert steps[-1] < 2 * np.median(steps)


@pytest.mark.parametrize("cells", [1, 3, 300])
def test_a_frame_does_not_depend_on_which_others_are_generated(model, cells):
    asked = Frames(model, Interpolation(range(2 * cells), frames=9, cells=cells))
    every = list(asked)
    some = list(asked.at(np.array([7, 2])))
    torch.testing.assert_close(some, [every[7], every[2]])
    assert len(every) == len(asked) == 9
    assert every[0].shape == (cells, 1, 8, 8)


def test_cells_go_their_own_ways_as_they_would_alone(model):
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
    asked = Frames(conditional, Interpolation([4], frames=9 if loop else 7, labels=[0, 2, 1], loop=loop))
    assert asked.blend == "embeddings"
    frames = torch.cat(list(asked))
    torch.testing.assert_close(frames[::3], conditional.sample(seeds=[4] * 3, labels=[0, 2, 1]))


@pytest.mark.parametrize("labels", [[], [3], [0, -1]])
def test_classes_that_are_not_there_are_refused_at_once(conditional, labels):
    with pytest.raises(UsageError, match="0 to 2"):
        conditional.interpolate(labels=labels)


def test_an_unconditional_model_passes_no_classes(model):
    with pytest.raises(UsageError, match="Train one with --conditional"):
        model.interpolate(labels=[0, 1])


@pytest.mark.parametrize("wrong", [{"frames": 1}, {"keyframes": 0}, {"keyframes": [1]}, {"cells": 0}, {"method": "jump"}])
def test_what_is_no_interpolation_is_refused_at_once(model, wrong):
    with pytest.raises(UsageError):
        model.interpolate(**wrong)


def test_it_leaves_the_callers_random_numbers_alone(conditional):
    before = torch.random.get_rng_state()
    list(conditional.interpolate(4, labels=[0, 1]))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_package_offers_it(small_run):
    assert len(list(gancli.load(small_run).interpolate(3))) == 3
