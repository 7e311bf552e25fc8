import torch
from hypothesis import given
from hypothesis import strategies as st

from gancli.randomness.seeds import address, generator_at, normal_at

seeds = st.integers(0, 2**63 - 1)


@given(seeds, st.text(), st.integers(0, 2**40))
def test_an_address_is_a_seed_that_torch_takes(seed, purpose, index):
    torch.Generator().manual_seed(address(seed, purpose, index))


@given(seeds, st.integers(0, 10**6))
def test_neighbouring_addresses_share_nothing(seed, step):
    here = {address(seed, "latents", step), address(seed, "latents", step + 1), address(seed, "order", step)}
    assert len(here) == 3


def test_addresses_are_the_same_on_every_machine_and_in_every_release():
    assert address(1000, "order", 3) == 3795906072561396651


def test_what_is_drawn_depends_on_nothing_drawn_before():
    alone = normal_at((4, 3), 7, "latents", 5)
    normal_at((100,), 7, "latents", 4)
    torch.manual_seed(123)
    assert torch.equal(alone, normal_at((4, 3), 7, "latents", 5))


def test_drawing_leaves_the_callers_generator_alone():
    before = torch.random.get_rng_state()
    normal_at((4,), 0, "latents")
    torch.randperm(5, generator=generator_at(0, "order"))
    assert torch.equal(before, torch.random.get_rng_state())


def test_latents_are_standard_normal():
    z = normal_at((200_000,), 0, "latents")
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1) < 0.01
