import pytest
import torch

from gancli.errors import ExportError
from gancli.export.formats import FORMATS, Options, verified
from gancli.export.tracing import trace


def test_a_generator_that_looks_at_its_numbers_is_refused_in_one_line(made_up, capfd):
    with pytest.raises(ExportError, match=r"cannot be traced: .* have to be the same for all latents") as raised:
        trace(made_up(lambda x: x if x.sum() > 0 else -x))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_generator_that_counts_its_batch_is_refused(made_up):
    with pytest.raises(ExportError, match="any number of pictures"):
        trace(made_up(lambda x: x * sum(1 for _ in x)))


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_common_operations_are_exported(made_up, suffix):
    def busy(x):
        x = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = torch.nn.functional.gelu(x) * torch.rsqrt(x.square().mean((1, 2, 3), keepdim=True) + 1e-8)
        return torch.nn.functional.avg_pool2d(torch.nn.functional.pixel_unshuffle(x, 2), 1).softmax(1).sum(1, keepdim=True)

    assert verified(made_up(busy), FORMATS[suffix], Options()).difference < 1e-5
