import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from gancli.errors import DownloadError, PluginError
from gancli.metrics.extractors import pretrained, read
from gancli_evaluate.fidelity import DINOv2, Inception

IMAGES = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)


class Network(torch.nn.Module):
    """Stands for torch-fidelity's: it wants uint8 in colour and returns a tuple."""

    def __init__(self, name, layers):
        super().__init__()
        assert (name, layers) in [("inception-v3-compat", ["2048"]), ("dinov2-vit-l-14", ["dinov2"])]
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.name = name

    def forward(self, pixels):
        assert pixels.dtype == torch.uint8
        assert pixels.shape[1] == 3
        return (pixels.float().mean((2, 3)).repeat(1, 4),)


@pytest.fixture
def fidelity(monkeypatch, tmp_path):
    """torch-fidelity is installed; its weights are not here."""
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace())
    modules = []
    for plugin in (Inception, DINOv2):
        module = ModuleType(f"torch_fidelity.{plugin.module[0]}")
        setattr(module, plugin.module[1], Network)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        modules.append(module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("GANCLI_OFFLINE", raising=False)
    return modules


@pytest.fixture
def weights(tmp_path):
    """They are here."""
    (tmp_path / "checkpoints").mkdir()
    for plugin in (Inception, DINOv2):
        (tmp_path / "checkpoints" / plugin.weights.rpartition("/")[2]).write_bytes(b"")
        (tmp_path / plugin.code[1]).mkdir(exist_ok=True)


@pytest.fixture
def told():
    return []


@pytest.mark.usefixtures("fidelity", "weights")
@pytest.mark.parametrize(("name", "distances"), [("inception", ("FID", "KID")), ("dinov2", ("FD-DINOv2", "KD-DINOv2"))])
def test_features_have_the_usual_names_and_scale(told, name, distances):
    extractor = pretrained(name, IMAGES, tell=told.append)
    assert extractor.distances == distances
    assert extractor.gamma == 1 / 12
    assert told == []
    for channels in (1, 2, 3, 4):
        found = read(extractor, [torch.zeros(2, channels, 8, 8)])
        assert found.features[0, 0] == 128
        assert found.classes is None


@pytest.mark.usefixtures("fidelity")
@pytest.mark.parametrize(("plugin", "size"), [(Inception, "91 MB"), (DINOv2, "1.2 GB")])
def test_a_download_is_told_before_it_is_done(told, plugin, size):
    plugin().build(told.append)
    assert len(told) == 1
    for part in (plugin.weights, size, plugin.code[0]):
        assert part in told[0]


@pytest.mark.usefixtures("fidelity")
@pytest.mark.parametrize("plugin", [Inception, DINOv2])
def test_offline_nothing_is_downloaded(told, monkeypatch, plugin):
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"GANCLI_OFFLINE is set.*by other means, and put it at"):
        plugin().build(told.append)
    assert told == []


@pytest.mark.usefixtures("fidelity", "weights")
def test_offline_weights_that_are_here_are_used(told, monkeypatch):
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    Inception().build(told.append)
    DINOv2().build(told.append)


def test_the_code_of_dinov2_is_a_download_too(fidelity, weights, told, monkeypatch, tmp_path):  # noqa: ARG001  (the signature is given)
    (tmp_path / DINOv2.code[1]).rmdir()
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    with pytest.raises(DownloadError):
        DINOv2().build(told.append)


def test_without_torch_fidelity_one_line_says_how_to_install_it(monkeypatch, told):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(PluginError, match=r'torch_fidelity is not installed.*pip install "\./plugins/gancli-evaluate\[fid\]"'):
        Inception().build(told.append)


def test_a_failed_download_names_the_manual_way(fidelity, told, monkeypatch):
    def refused(*_):
        raise OSError("no route")

    monkeypatch.setattr(fidelity[0], "FeatureExtractorInceptionV3", refused)
    with pytest.raises(DownloadError, match=r"no route\. Download https"):
        Inception().build(told.append)
