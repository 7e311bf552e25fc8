"""Networks that the kit's authors did not have in mind: correct ones pass, and each spoiled twin fails one check."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
FOREIGN = Path(__file__).parents[4] / "tests" / "foreign.py"
SOURCE = FOREIGN.read_text()
NAMES = ("StyleGAN2", "BigGAN", "Pix2Pix", "WeightNorm", "Buffers", "Projected", "SelfConditioned")
TWINS = {
    "stages": ("StyleGAN2", "self.mean_w.lerp_(w.detach().mean(0), 0.01)", "pass"),
    "one-by-one": ("StyleGAN2", '{"train.real_fake_batch": "separate", "objective.name": "non-saturating"}', "{}"),
    "terms": ("StyleGAN2", "- 0.1).square()  # PATH", "- 0.1).square().detach()"),
    "labels": ("BigGAN", "# LABELS", "labels = labels * 0"),
    "gradients": ("BigGAN", "# ATTENTION", "query = query.detach()"),
    "source": ("Pix2Pix", "# SOURCE", "source = source * 0 + 1"),
    "logits": ("Pix2Pix", "nn.Flatten(),\n                )", ")"),
    "micro-batches": ("Pix2Pix", "(s.fake - s.real).abs()  # L1", "(s.fake - s.real).abs().sum()"),
    "copies": ("WeightNorm", "torch.nn.utils.parametrizations import weight_norm", "torch.nn.utils import weight_norm"),
    "builds": ("Buffers", "self.first = nn.Linear(latent_dim, pixels)", "self.first = nn.LazyLinear(pixels)"),
    "state-dict": ("Buffers", 'self.register_buffer("grid", None, persistent=False)', 'self.register_buffer("grid", None)'),
    "state-dict (statistics)": ("Buffers", "torch.full((1,), 0.5))", "torch.full((1,), 0.5), persistent=False)"),
    "frozen": ("Projected", "features = nn.Sequential(", "features = nn.Sequential(Counting(), "),
    "gradients (of a third network)": ("Projected", "# ENCODER", "self.forgotten = nn.Linear(2, 2)"),
    "updates": ("Projected", '("generator", "encoder"), (', '("generator", "encode"), ('),
    "own-labels": ("SelfConditioned", "self.label(images)  # LABEL", "1 - self.label(images)"),
    "updates (column)": ("Projected", 'LossTerm("code",', 'LossTerm("d_loss",'),
}  # fmt: skip
COUNTING = """
        import torch
        class Counting(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("calls", torch.zeros(()))

            def forward(self, x):
                self.calls += 1
                return x
"""


def results(judge, path, name, images=("1x8x8", "3x8x8"), without=()):
    found = judge(f"{path}:{name}", images=images, without=without)
    return {check: each for check, each in found.items() if each.outcome != "skipped"}


@pytest.mark.parametrize("name", NAMES)
def test_a_correct_one_passes(judge, name):
    assert results(judge, FOREIGN, name) == {}


@pytest.mark.parametrize("what", TWINS)
def test_its_spoiled_twin_fails_that_check_alone(judge, tmp_path, what):
    name, old, new = TWINS[what]
    assert SOURCE.count(old) == 1
    twin = SOURCE.replace(old, new)
    if "Counting" in new:
        twin = twin.replace("        features = nn.", f"{COUNTING}\n        features = nn.")
    path = tmp_path / "twin.py"
    path.write_text(twin)
    found = results(judge, path, name, images=["1x8x8"], without={"export-onnx"})  # which takes long
    check = what.partition(" ")[0]
    assert list(found) == [check], found
    assert found[check].outcome == ("flagged" if check == "one-by-one" else "failed")
