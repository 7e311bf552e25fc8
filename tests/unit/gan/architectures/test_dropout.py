import shutil

import pytest
import torch

from gancli.gan.architectures.dropout import Dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.0, 0.001, 0.3, 0.5, 0.9, 0.999])
def test_units_are_dropped_with_their_probability_and_the_mean_stays(p, dtype):
    torch.manual_seed(0)
    passes, x = 4000, torch.ones(40, 25, dtype=dtype)
    shares = torch.stack([(Dropout(p)(x) == 0).double().mean() for _ in range(passes)])
    of_a_pass = 1 / 256 + (p * (1 - p) / x.numel()) ** 0.5  # of its share of dropped units: rounding, and chance
    assert shares.mean().item() == pytest.approx(p, abs=4 * of_a_pass / passes**0.5 if p else 0)
    y = Dropout(p)(torch.ones(1000, 1001, dtype=dtype))
    assert (y.dtype, y.shape) == (dtype, (1000, 1001))
    assert set(y.unique().tolist()) <= {0.0, torch.tensor(1 / (1 - p), dtype=dtype).item()}


@pytest.mark.parametrize("p", [0.3, 0.5])
def test_the_share_of_a_pass_is_within_a_level_of_the_probability(p):
    torch.manual_seed(0)
    for _ in range(20):
        share = (Dropout(p)(torch.ones(1000, 1000)) == 0).double().mean().item()
        assert abs(share - p) < 1 / 256 + 4 * (p * (1 - p) / 1e6) ** 0.5


def test_units_and_samples_are_independent():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(20000, 9)) != 0).double()
    correlations = torch.corrcoef(kept.T)[~torch.eye(9, dtype=torch.bool)]
    assert correlations.abs().max() < 5 / 20000**0.5
    along = torch.corrcoef(torch.stack([kept.flatten()[:-1], kept.flatten()[1:]]))[0, 1]
    assert abs(along) < 5 / kept.numel() ** 0.5


def test_masks_follow_torchs_seed():
    x = torch.ones(5, 7)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(Dropout(0.5)(x))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_nothing_is_dropped_in_evaluation():
    x = torch.randn(4, 3)
    assert torch.equal(Dropout(0.5).eval()(x), x)


def test_gradients_of_both_orders_pass_where_units_are_kept():
    torch.manual_seed(0)
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)

    def dropped(x):
        torch.manual_seed(3)  # the same mask at every evaluation
        return Dropout(0.4)(x).pow(3)

    assert torch.autograd.gradcheck(dropped, (x,))
    assert torch.autograd.gradgradcheck(dropped, (x,))


@pytest.mark.parametrize("shape", [(0, 3), (1,), (3, 1, 1), (2, 3, 4, 5)])
def test_any_shape_goes(shape):
    assert Dropout(0.5)(torch.ones(shape)).shape == shape


@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("p", [0.001, 0.3, 0.999])
def test_compiled_it_is_one_graph_and_draws_the_same(p):
    torch.compiler.reset()
    plain = Dropout(p)
    compiled = torch.compile(plain, dynamic=False, fullgraph=True, options={"fallback_random": True})
    for seed, shape in enumerate([(128, 32), (7, 3), (128, 32), (3, 5, 5)]):
        x, drawn = torch.randn(shape), []
        for dropout in (plain, compiled):
            torch.manual_seed(seed)
            drawn.append((dropout(x), torch.rand(())))
        assert torch.allclose(drawn[0][0], drawn[1][0])
        assert drawn[0][1] == drawn[1][1]
