"""What only a GPU can show; without one these tests are left out."""

import pytest
import torch

from gancli.training.setup import set_up

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


def test_a_step_never_waits_for_the_device(configure):
    game = set_up(configure("runtime.device=cuda", "runtime.precision=bf16"))
    for _ in range(3):
        game.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(6):  # within an epoch: a new order is moved to the device once per epoch
            game.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("compiled", ["false", "true"])
def test_the_losses_are_those_of_the_cpu(configure, compiled):
    without = "arch.dropout=0"  # whose masks are another device's
    here = set_up(configure(without))
    there = set_up(configure(without, "runtime.device=cuda", f"runtime.compile={compiled}"))
    for _ in range(4):
        expected, found = here.step(), there.step()
        for name, value in expected.items():
            assert float(found[name]) == pytest.approx(float(value), rel=1e-2, abs=1e-3)
