import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from gancli.errors import DownloadError, PluginError
from gancli.evaluation.inception import WEIGHTS, InceptionExtractor
from gancli.metrics.extractors import read


class Network(torch.nn.Module):
    """Stands for torch-fidelity's: it wants uint8 in colour and returns a tuple."""

    def __init__(self, name, layers):
        super().__init__()
        assert layers == ["2048"]
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.name = name

    def forward(self, pixels):
        assert pixels.dtype == torch.uint8
        assert pixels.shape[1] == 3
        return (pixels.float().mean((2, 3)).repeat(1, 4),)


@pytest.fixture
def fidelity(monkeypatch, tmp_path):
    """torch-fidelity is installed; its weights are not here."""
    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Network
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("GANCLI_OFFLINE", raising=False)
    return module


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / WEIGHTS.rpartition("/")[2]
    path.write_bytes(b"")
    return path


@pytest.fixture
def told():
    return []


def test_its_features_have_the_usual_names(fidelity, weights, told):  # noqa: ARG001
    extractor = InceptionExtractor(told.append)
    assert extractor.distances == ("FID", "KID")
    assert extractor.gamma == 1 / 2048
    assert told == []
    for channels in (1, 3, 4):
        found = read(extractor, [torch.zeros(2, channels, 8, 8)])
        assert found.features[0, 0] == 128
        assert found.classes is None


def test_a_download_is_told_before_it_is_done(fidelity, told):  # noqa: ARG001
    InceptionExtractor(told.append)
    assert len(told) == 1
    assert WEIGHTS in told[0]
    assert "91 MB" in told[0]


def test_offline_nothing_is_downloaded(fidelity, told, monkeypatch):  # noqa: ARG001
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"GANCLI_OFFLINE is set.*by other means, and put it at"):
        InceptionExtractor(told.append)
    assert told == []


def test_offline_weights_that_are_here_are_used(fidelity, weights, told, monkeypatch):  # noqa: ARG001
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    InceptionExtractor(told.append)


def test_without_torch_fidelity_one_line_says_how_to_install_it(monkeypatch, told):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(PluginError, match=r'torch_fidelity is not installed.*pip install "gancli\[fid\]"'):
        InceptionExtractor(told.append)


def test_a_failed_download_names_the_manual_way(fidelity, told, monkeypatch):
    def refused(*_):
        raise OSError("no route")

    monkeypatch.setattr(fidelity, "FeatureExtractorInceptionV3", refused)
    with pytest.raises(DownloadError, match=r"no route\. Download https"):
        InceptionExtractor(told.append)
