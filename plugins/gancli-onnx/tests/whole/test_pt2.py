import io
import json
import subprocess
import sys
import zipfile

import pytest
import torch

from gancli.errors import ExportError
from gancli.exporting.formats import trained_generator
from gancli_onnx.tracing import trace

WITHOUT_GANCLI = """
import sys, torch
sys.modules["gancli"] = None
generator = torch.export.load(sys.argv[1]).module()
images = generator(torch.zeros(5, 64), torch.arange(5))
torch.save(images, sys.argv[2])
"""


def test_there_is_no_pickle_in_it(exported):
    with zipfile.ZipFile(io.BytesIO(exported("dcgan", ".pt2"))) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    pickled = [name for name, data in contents.items() if data.startswith((b"\x80", b"PK")) or name.endswith(".pkl")]
    assert pickled == []
    assert contents["archive/data/sample_inputs/model.pt"] == b""


def test_plain_pytorch_loads_it_without_gancli(exported, models, tmp_path):
    (tmp_path / "generator.pt2").write_bytes(exported("mnist", ".pt2"))
    script = [sys.executable, "-W", "ignore", "-c", WITHOUT_GANCLI, "generator.pt2", "images.pt"]
    subprocess.run(script, cwd=tmp_path, check=True)
    images = torch.load(tmp_path / "images.pt", weights_only=True)
    torch.testing.assert_close(images, models["mnist"].draw(torch.zeros(5, 64), torch.arange(5)))


def test_its_facts_lie_beside_the_graph(exported):
    extra = {"gancli.json": ""}
    torch.export.load(io.BytesIO(exported("mnist", ".pt2")), extra_files=extra)
    facts = json.loads(extra["gancli.json"])
    assert (facts["run"], facts["latent_dim"]) == ("mnist", 64)


def test_an_operation_that_onnx_lacks_is_none_that_pytorch_lacks(made_up, write):
    assert write(made_up(torch.special.bessel_j0), ".pt2")[1] == 0


def test_a_generator_that_looks_at_its_numbers_is_refused_in_one_line(made_up, capfd):
    with pytest.raises(ExportError, match=r"cannot be traced: .* have to be the same for all latents") as raised:
        trace(trained_generator(made_up(lambda x: x if x.sum() > 0 else -x)))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_generator_that_counts_its_batch_is_refused(made_up):
    with pytest.raises(ExportError, match="any number of images"):
        trace(trained_generator(made_up(lambda x: x * sum(1 for _ in x))))


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_common_operations_are_exported(made_up, write, suffix):
    def busy(x):
        x = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = torch.nn.functional.gelu(x) * torch.rsqrt(x.square().mean((1, 2, 3), keepdim=True) + 1e-8)
        return torch.nn.functional.avg_pool2d(torch.nn.functional.pixel_unshuffle(x, 2), 1).softmax(1).sum(1, keepdim=True)

    assert write(made_up(busy), suffix)[1] < 1e-5
