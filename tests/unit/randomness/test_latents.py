import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancli.randomness.latents import latents, philox4x32

ONES = 0xFFFFFFFF
SEEDS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8)


def words(*values):
    return [np.array([[value]], dtype=np.uint64) for value in values]


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_known_answers_of_random123(counter, key, expected):
    assert [word.item() for word in philox4x32(tuple(words(*key)), words(*counter))] == list(expected)


def test_the_latent_of_a_seed_is_pinned():
    """Another value here would draw other pictures for every seed that anybody ever wrote down."""
    expected = [[0.991138, -0.924663, -0.617609, -0.482069, -0.153638], [1.720349, -0.479050, -1.859154, -1.658863, -1.388845]]
    np.testing.assert_allclose(latents([0, 2**40 + 7], 5), expected, atol=1e-5)


def test_the_formula_word_by_word():
    seed = 2**33 + 5
    u = [(w.item() + 0.5) / 2**32 for w in philox4x32(tuple(words(5, 2)), words(1, 0, 0, 0))]
    by_hand = [
        np.sqrt(-2 * np.log(u[0])) * np.cos(2 * np.pi * u[1]),
        np.sqrt(-2 * np.log(u[0])) * np.sin(2 * np.pi * u[1]),
        np.sqrt(-2 * np.log(u[2])) * np.cos(2 * np.pi * u[3]),
        np.sqrt(-2 * np.log(u[2])) * np.sin(2 * np.pi * u[3]),
    ]
    np.testing.assert_allclose(latents([seed], 8)[0, 4:], by_hand, rtol=1e-6)


@given(SEEDS, st.integers(1, 40))
def test_a_row_depends_on_its_seed_alone(seeds, latent_dim):
    together = latents(seeds, latent_dim)
    assert together.shape == (len(seeds), latent_dim)
    assert together.dtype == np.float32
    for seed, row in zip(seeds, together, strict=True):
        assert np.array_equal(latents([seed], latent_dim)[0], row)


@given(SEEDS, st.integers(1, 20), st.integers(0, 20))
def test_a_longer_latent_begins_with_the_shorter(seeds, latent_dim, more):
    assert np.array_equal(latents(seeds, latent_dim + more)[:, :latent_dim], latents(seeds, latent_dim))


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_both_halves_of_a_seed_count(low, high):
    assert not np.array_equal(latents([low], 8), latents([low + high * 2**32], 8))


def test_they_are_standard_normal():
    z = latents(range(4000), 100).astype(np.float64)
    assert abs(z.mean()) < 0.005
    assert abs(z.std() - 1) < 0.005
    assert abs((z**3).mean()) < 0.015
    assert abs((z**4).mean() - 3) < 0.03
    assert abs(np.mean(np.abs(z) < 1) - 0.68269) < 0.003
    assert np.isfinite(z).all()


def test_dimensions_and_neighbouring_seeds_are_uncorrelated():
    z = latents(range(4000), 24).astype(np.float64)
    across = np.corrcoef(z.T) - np.eye(24)
    along = (z[1:] * z[:-1]).mean(0)
    assert np.abs(across).max() < 0.08
    assert np.abs(along).max() < 0.08


@pytest.mark.parametrize("word", [0, ONES])
def test_the_extreme_words_give_finite_latents(monkeypatch, word):
    """They turn up once in 2^32 words, so they are put there: u is never 0, which has no logarithm."""
    monkeypatch.setattr("gancli.randomness.latents.philox4x32", lambda _key, _counter: words(*[word] * 4))
    u = (word + 0.5) / 2**32
    expected = np.sqrt(-2 * np.log(u)) * np.array([np.cos(2 * np.pi * u), np.sin(2 * np.pi * u)])
    np.testing.assert_allclose(latents([0], 4).ravel(), np.tile(expected, 2), rtol=1e-6, atol=1e-20)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_attempt_k_has_the_address_position_k(seed, attempt):
    """Word by word, as it would be written in another language."""

    def normal(position):
        counter = words(position // 4, attempt, 0, 0)
        u = [(w.item() + 0.5) / 2**32 for w in philox4x32(tuple(words(seed % 2**32, seed >> 32)), counter)]
        pair = position % 4 // 2 * 2
        turn = (np.cos, np.sin)[position % 2]
        return np.sqrt(-2 * np.log(u[pair])) * turn(2 * np.pi * u[pair + 1])

    expected = [normal(position) for position in range(6)]
    np.testing.assert_allclose(latents([seed], 6, attempt)[0], expected, rtol=1e-5, atol=1e-6)


def test_the_first_attempt_is_the_latent_of_the_seed():
    assert np.array_equal(latents([3, 4], 7, 0), latents([3, 4], 7))
    assert not np.array_equal(latents([3, 4], 7, 1), latents([3, 4], 7))
