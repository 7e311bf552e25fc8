"""Translations are measured beside what they were made of, and pairs against their counterparts."""

import math

import pytest
import torch
from torch import nn

from gancli.data import load_images
from gancli.errors import DatasetError
from gancli.evaluation.measure import evaluate
from gancli.evaluation.reference import load_reference
from gancli.evaluation.subject import data_of_translator, of_translator
from gancli.models.loading import load
from gancli.models.model import Model


@pytest.fixture
def colouring(translators, colouring_file):
    return load("colouring", runs_dir=translators, arch=colouring_file)


class Right(nn.Module):
    """Knows the counterpart of every source image; adds an error."""

    def __init__(self, images, error):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(float(error)))
        self.sources, self.targets = (each.float() / 127.5 - 1 for each in (images.sources, images.images))

    def forward(self, z, source):  # noqa: ARG002
        nearest = torch.cdist(source.flatten(1), self.sources.flatten(1)).argmin(1)
        return (self.targets[nearest] + self.weight).clamp(-1, 1)


def reference_of(model):
    data = data_of_translator(model)
    return load_reference(data, against="train", extractor="random", device=torch.device("cpu"), tell=print)


def test_the_truth_is_no_distance_from_the_truth(colouring):
    images = load_images(data_of_translator(colouring)).images
    model = Model(Right(images, 0), 1, colouring.image, (), colouring.origin)
    reference = reference_of(model)
    report, _ = evaluate(of_translator(model, reference), reference)
    value = {name: estimate.value for name, estimate in report.figures.items()}
    assert value["L1"] == pytest.approx(0, abs=1e-6)
    assert value["SSIM"] == pytest.approx(1, abs=1e-4)
    difference = (images.sources.float() - images.images.float()) / 127.5
    assert value["L1 of the input"] == pytest.approx(float(difference.abs().mean()), rel=1e-4)
    psnr = (10 * torch.log10(4 / difference.square().flatten(1).mean(1))).mean()
    assert value["PSNR of the input"] == pytest.approx(float(psnr), rel=1e-4)
    assert value["FD-random"] < value["FD-random of the input"] / 100
    assert list(value)[:2] == ["FD-random", "FD-random of the input"]


def test_so_many_images(colouring):
    images = load_images(data_of_translator(colouring)).images
    model = Model(Right(images, 0.1), 1, colouring.image, (), colouring.origin)
    reference = reference_of(model)
    report, _ = evaluate(of_translator(model, reference, 12), reference)
    assert (report.images, report.figures["L1"].count) == (12, 12)
    assert 0 < report.figures["L1"].value < 0.11
    assert math.isfinite(report.figures["PSNR"].value)


def test_without_torchmetrics_ssim_is_left_out_with_the_command(colouring, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchmetrics", None)
    reference = reference_of(colouring)
    report, _ = evaluate(of_translator(colouring, reference), reference)
    assert "SSIM" not in report.figures
    assert any('pip install "gancli[ssim]"' in note or "gancli[ssim]" in note for note in report.notes)


def test_other_data_are_refused(colouring, translators):
    latent = load("latent", runs_dir=translators)
    data = data_of_translator(latent)
    reference = load_reference(data, against=None, extractor="random", device=torch.device("cpu"), tell=print)
    with pytest.raises(DatasetError, match="has no source images that the model"):
        of_translator(colouring, reference)
