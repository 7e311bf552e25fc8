"""Every check of the kit can fail: each of these architectures breaks one rule, and exactly that check says so."""

import pytest

from gancli_kit.contract import ARCHITECTURE_CHECKS

pytestmark = pytest.mark.slow

ASSETS = """def assets(self, config):
    from pathlib import Path
    return [Asset("w", Path(__file__), "0" * 64, "Get it.")]"""
SPOILED = {
    "resolves": [("# TOP", "raise RuntimeError('no')")],
    "api": [("api = 1", "api = 7")],
    "complete": [('summary = "One hidden layer each"', 'summary = "two\\nlines"')],
    "light": [("# TOP", "import torch")],
    "options-described": [("# OPTIONS", "depth: int = 3")],
    "options-round-trip": [("# OPTIONS", "scale: object = Field(1j, description='no JSON has complex numbers')")],
    "options-strict": [("# OPTIONS", "model_config = {'extra': 'ignore'}")],
    "defaults": [('"train.learning_rate": 1e-3', '"train.lerning_rate": 1e-3')],
    "migrate": [("# CLASS", "def migrate(self, config, from_version):\n    return {**config, 'width': 7}")],
    "reasons": [('"Only 28x28 pictures and no larger ones."', '"no"')],
    "purpose": [("# CLASS", "purpose = 'digits'")],
    "assets": [("# CLASS", ASSETS), ("import ArchConfig,", "import Asset, ArchConfig,")],
    "builds": [("# NETWORKS", "networks = (networks.generator, networks.discriminator)")],
    "images": [("# IMAGES", "images = images.flatten(1)")],
    "range": [("# IMAGES", "images = (images + 1) / 2")],
    "logits": [("# LOGITS", "logits = logits[None, :, None]")],
    "free-logits": [("# LOGITS", "logits = logits.sigmoid()")],
    "labels": [("+ self.classes(labels) +", "+ self.classes(labels * 0) +")],
    "copies": [("# HIDDEN", "self.kept = hidden")],
    "state-dict": [
        ("torch.zeros(config.width))", "torch.randn(config.width), persistent=False)"),
    ],
    "eval-deterministic": [("# HIDDEN", "hidden = hidden + torch.rand_like(hidden)")],
    "batch-independent": [("# HIDDEN", "hidden = hidden - hidden.mean(0)")],
    "seed": [("# GENERATOR", "own = torch.Generator()\nown.seed()\nself.first.weight.data.normal_(0, 0.01, generator=own)")],
    "no-other-chance": [("# GENERATOR", "import time\nnn.init.constant_(self.first.weight, hash(time.time()) % 97 / 97)")],
    "no-side-effects": [("# NETWORKS", "import random\nrandom.seed(0)")],
    "gradients": [("# DISCRIMINATOR", "self.forgotten = nn.Linear(2, 2)")],
    "one-by-one": [("# FEATURES", "features = features + features.mean(0)")],
    "exact-resume": [
        ("# GENERATOR", "self.steps = 0"),
        ("# HIDDEN", "if self.training:\n    self.steps += 1\n    hidden = hidden * (1 + self.steps)"),
    ],
    "export": [("# HIDDEN", "if hidden.sum() > 1e30:\n    hidden = hidden * 2")],
    "export-onnx": [("# HIDDEN", "hidden = hidden + torch.special.i0e(hidden)")],
}


def test_the_sound_one_passes_every_check(spoil, judge):
    assert judge(spoil()) == {}


HARMLESS = {
    "a layer norm before the last layer bounds the features, not the logits": [
        ("# FEATURES", "features = 0.05 * nn.functional.layer_norm(features, features.shape[1:])"),
    ],
    "large activations magnify rounding": [("# HIDDEN", "hidden = hidden * 1e4 + 1e4 - 1e4")],
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_looks_like_a_fault_and_is_none(spoil, judge, what):
    checks = {each.id for each in ARCHITECTURE_CHECKS} - {"free-logits", "batch-independent"}
    assert judge(spoil(*HARMLESS[what]), without=checks) == {}


def test_what_onnx_lacks_is_found(spoil, judge):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    found = judge(spoil(*SPOILED["export-onnx"]))
    assert list(found) == ["export-onnx"], found


def test_there_is_a_spoiled_one_for_every_check():
    of_other_networks = {"source", "stages", "own-labels", "updates", "terms", "micro-batches", "frozen"}  # in test_foreign
    assert {check.id for check in ARCHITECTURE_CHECKS} == {*SPOILED, *of_other_networks}


@pytest.mark.parametrize("check", [name for name in SPOILED if name != "export-onnx"])
def test_each_fails_exactly_its_check(spoil, judge, check):
    found = judge(spoil(*SPOILED[check]), without={"export-onnx"})  # which takes long
    assert found[check].detail
    told = {name: result for name, result in found.items() if result.outcome != "skipped"}
    assert list(told) == [check], told
    assert told[check].outcome == ("flagged" if check in {"one-by-one", "range"} else "failed")
