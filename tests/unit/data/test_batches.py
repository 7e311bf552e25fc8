import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.data.batches import Batches, normalise


def numbered(n):
    """Pictures of 1x2 pixels that carry their own number, base 256."""
    index = torch.arange(n)
    return torch.stack([index // 256, index % 256], 1).to(torch.uint8).reshape(n, 1, 1, 2)


def numbers(real):
    high, low = (real * 127.5 + 127.5).round().long().flatten(1).unbind(1)
    return (high * 256 + low).tolist()


def epoch_of(batches, epoch):
    steps = batches.steps_per_epoch
    return [i for step in range(epoch * steps, (epoch + 1) * steps) for i in numbers(batches[step][0])]


def test_pixels_are_normalised_exactly():
    pixels = torch.arange(256, dtype=torch.uint8)
    expected = [(x - 127.5) / 127.5 for x in range(256)]
    assert normalise(pixels).dtype == torch.float32
    assert normalise(pixels).equal(torch.tensor(expected))
    assert normalise(pixels)[[0, 255]].tolist() == [-1, 1]


def test_a_batch_has_the_documented_shape_and_the_labels_of_its_pictures():
    labels = torch.arange(50) * 3
    real, (chosen,) = Batches(numbered(50), labels, 8, seed=1)[4]
    assert real.shape == (8, 1, 1, 2)
    assert chosen.tolist() == [3 * i for i in numbers(real)]
    assert Batches(numbered(50), None, 8, seed=1)[4][1] == ()


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 300), batch_size=st.integers(1, 300), epoch=st.integers(0, 3), seed=st.integers(0, 2**63 - 1))
def test_every_picture_is_shown_once_per_epoch_up_to_the_remainder(n, batch_size, epoch, seed):
    batches = Batches(numbered(n), None, batch_size, seed)
    shown = epoch_of(batches, epoch)
    assert batches.steps_per_epoch == max(1, n // batch_size)
    if batch_size <= n:
        assert len(set(shown)) == len(shown) == n - n % batch_size


@pytest.mark.parametrize(("n", "batch_size"), [(1, 1), (1, 64), (3, 8), (7, 14), (99, 100)])
def test_F29_a_set_smaller_than_a_batch_is_shown_in_whole_passes(n, batch_size):
    batches = Batches(numbered(n), None, batch_size, seed=0)
    assert batches.steps_per_epoch == 1
    for step in range(3):
        shown = numbers(batches[step][0])
        assert len(shown) == batch_size
        for start in range(0, batch_size - n + 1, n):
            assert sorted(shown[start : start + n]) == list(range(n))


def test_F29_the_passes_of_one_step_have_orders_of_their_own():
    shown = numbers(Batches(numbered(50), None, 100, seed=0)[0][0])
    assert shown[:50] != shown[50:]


def test_orders_differ_between_epochs_and_seeds():
    orders = {tuple(epoch_of(Batches(numbered(64), None, 8, seed), epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_any_step_may_be_asked_at_any_time():
    forwards = Batches(numbered(100), None, 8, seed=5)
    expected = [numbers(forwards[step][0]) for step in range(40)]
    backwards = Batches(numbered(100), None, 8, seed=5)
    assert [numbers(backwards[step][0]) for step in reversed(range(40))] == expected[::-1]


def test_the_order_does_not_depend_on_the_global_generator():
    torch.manual_seed(1)
    first, _ = Batches(numbered(100), None, 8, seed=5)[3]
    state = torch.get_rng_state()
    second, _ = Batches(numbered(100), None, 8, seed=5)[3]
    assert first.equal(second)
    assert torch.get_rng_state().equal(state)


def test_the_order_of_a_seed_is_the_same_in_every_version():
    assert epoch_of(Batches(numbered(10), None, 10, seed=0), 0) == [3, 2, 4, 8, 1, 7, 5, 9, 6, 0]


def test_the_parts_of_several_processes_are_the_batch_of_one():
    labels = torch.arange(100)
    whole, (names,) = Batches(numbered(100), labels, 8, seed=2)[20]
    parts = [Batches(numbered(100), labels, 8, seed=2, part=slice(start, start + 4))[20] for start in (0, 4)]
    assert torch.cat([real for real, _ in parts]).equal(whole)
    assert torch.cat([numbers for _, (numbers,) in parts]).equal(names)


def test_the_pictures_themselves_are_left_alone():
    images = numbered(20)
    Batches(images, None, 8, seed=0)[0][0].zero_()
    assert images.equal(numbered(20))


def test_steps_count_from_zero():
    with pytest.raises(IndexError, match="not -1"):
        Batches(numbered(20), None, 8, seed=0)[-1]


def test_batches_go_to_the_device_of_the_training_wherever_the_pictures_are():
    real, (chosen,) = Batches(numbered(20), torch.arange(20), 4, 0, device=torch.device("meta"))[0]
    assert (real.device.type, chosen.device.type) == ("meta", "meta")
