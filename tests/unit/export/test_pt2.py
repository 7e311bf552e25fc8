import io
import json
import subprocess
import sys
import zipfile

import torch

from gancli.export.formats import FORMATS, Options, verified

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
    assert (facts["run"], facts["latent_dim"], facts["parity"]) == ("mnist", 64, 0)


def test_an_operation_that_onnx_lacks_is_none_that_pytorch_lacks(made_up):
    assert verified(made_up(torch.special.bessel_j0), FORMATS[".pt2"], Options()).difference == 0
