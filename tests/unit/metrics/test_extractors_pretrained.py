"""Extractors of plugins: named, scaled, found where they are installed, and never the judge of their own pupil."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gancli.errors import PluginError, UsageError
from gancli.metrics.distances import TOTAL_VARIANCE
from gancli.metrics.extractors import batches, extractor_for, read
from gancli.plugin import Asset, FeatureExtractor
from gancli.plugins.registry import EXTRACTORS, Entry, for_colour
from gancli.storage.tensors import digest_of


def images_of(seed, n=300, shape=(3, 8, 8)):
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 5))


class Eyes(FeatureExtractor):
    api = 2
    summary = "One layer"
    for_colour = True

    def build(self, tell):  # noqa: ARG002  (the signature is given)
        return nn.Sequential(network(), nn.Identity())


class Blind(Eyes):
    def assets(self):
        return (Asset("pupils", Path("/nowhere/pupils.pth"), "0" * 64, "Install them: pip install pupils."),)


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    found = {"eyes": Eyes}
    entries = lambda: [Entry(name, "gancli.extractors", "", "third", "1") for name in found]  # noqa: E731  (one line where it is used)
    monkeypatch.setattr(EXTRACTORS, "entries", entries)
    monkeypatch.setattr(EXTRACTORS, "import_entry", lambda entry: found[entry.name])
    return found


def test_it_is_named_and_scaled_by_the_training_images():
    images = images_of(0)
    extractor = extractor_for("mine", images, "eyes")
    assert extractor.distances == ("FD-eyes", "KD-eyes")
    features = read(extractor, batches(images)).features
    assert float(features.var(0).sum()) == pytest.approx(TOTAL_VARIANCE, rel=1e-4)


def test_images_that_are_all_the_same_have_features_all_the_same():
    assert (
        float(
            read(extractor_for("mine", torch.zeros(9, 3, 8, 8, dtype=torch.uint8), "eyes"), [torch.zeros(2, 3, 8, 8)])
            .features.var(0)
            .sum()
        )
        == 0
    )


def test_colour_is_judged_by_what_is_installed(installed):
    assert for_colour() == "eyes"
    assert extractor_for("mine", images_of(0), otherwise=for_colour()).name == "eyes"
    installed["eyes"] = Blind
    assert for_colour() is None
    assert extractor_for("mine", images_of(0)).name == "random"


def test_missing_weights_are_said_with_the_command(installed):
    installed["eyes"] = Blind
    with pytest.raises(PluginError, match=r"needs pupils, which is not installed.*pip install pupils"):
        extractor_for("mine", images_of(0), "eyes")


def test_a_model_is_never_judged_by_the_network_it_was_trained_against():
    frozen = [digest_of(network().state_dict())]
    with pytest.raises(UsageError, match="trained against the network of the extractor 'eyes'"):
        extractor_for("mine", images_of(0), "eyes", frozen=frozen)
    assert extractor_for("mine", images_of(0), otherwise="eyes", frozen=frozen).name == "random"
    assert extractor_for("mine", images_of(0), otherwise="eyes", frozen=["0" * 64]).name == "eyes"


def test_an_unknown_extractor_is_an_error():
    with pytest.raises(PluginError, match=r"There is no extractor 'eyse'\. Did you mean 'eyes'"):
        extractor_for("mine", images_of(0), "eyse")
