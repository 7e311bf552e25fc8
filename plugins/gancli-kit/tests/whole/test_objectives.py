"""Every check of an objective, of an optimiser and of a data set can fail."""

import pytest

OBJECTIVE = """
from gancli.plugin import Objective, Penalty
from torch.nn.functional import softplus  # TOP

class Good(Objective):
    api = 1
    summary = "non-saturating"

    def discriminator_loss(self, real_logits, fake_logits):
        return softplus(-real_logits) + softplus(fake_logits)

    def generator_loss(self, fake_logits, real_logits):
        return softplus(-fake_logits)

    def penalties(self):
        return [Penalty("own", self.own, 1.0)]

    def own(self, critic, real, real_logits, fake, fake_logits):
        return real_logits.square()
"""
SPOILED = {
    "per-sample": [(") + softplus(fake_logits)", ") + softplus(fake_logits).mean()")],
    "finite": [("return softplus(-fake_logits)", "return (1 + (-fake_logits).exp()).log()")],
    "signs": [("return softplus(-fake_logits)", "return softplus(fake_logits)")],
    "sees-real": [("return softplus(-fake_logits)", "return softplus(real_logits - fake_logits)")],
    "penalties": [("real_logits.square()", "real_logits.square().mean()")],
    "deterministic": [("return softplus(-fake_logits)", "import torch; return softplus(-fake_logits) * (1 + torch.rand(()))")],
}


@pytest.mark.parametrize("check", SPOILED)
def test_each_fails_exactly_its_check(install, judge, check):
    source = OBJECTIVE.replace("from torch.nn.functional import softplus  # TOP", "")
    source = source.replace("Penalty\n", "Penalty\nfrom gancli.gan.losses import softplus\n", 1)
    for old, new in SPOILED[check]:
        assert old in source
        source = source.replace(old, new)
    install("odd", "odd_objective", source, group="gancli.objectives")
    told = [name for name, result in judge("good", "gancli.objectives").items() if result.outcome != "skipped"]
    assert told == [check]


def test_torch_at_import_is_found(install, judge):
    install("odd", "odd_objective", OBJECTIVE, group="gancli.objectives")
    found = judge("good", "gancli.objectives")
    assert list(found) == ["light"]
    assert found["light"].detail.startswith("torch is imported by ")
    assert found["light"].detail.endswith("odd_objective.py, line 3.")


OPTIMIZER = """
from gancli.plugin import Optimizer
from pydantic import Field

class Good(Optimizer):
    api = 2
    summary = "sign of the momentum (Chen et al., 2023)"
    decay: float = Field(0.1, ge=0, le=1, description="decay of the weights, times the learning rate")

    def build(self, parameters, learning_rate, betas):
        import torch

        class Lion(torch.optim.Optimizer):
            @torch.no_grad()
            def step(self):
                for group in self.param_groups:
                    for p in group["params"]:
                        state = self.state[p]
                        m = state.setdefault("moment", torch.zeros_like(p))
                        state["steps"] = state.get("steps", 0) + 1
                        p.mul_(1 - group["lr"] * group["decay"])
                        p.sub_(group["lr"] * m.lerp(p.grad, 0.1).sign())
                        m.lerp_(p.grad, 0.01)

        return Lion(parameters, {"lr": learning_rate, "decay": self.decay})
"""
SPOILED_OPTIMIZER = {
    "builds-optimiser": ("return Lion(parameters,", "return Lion([p for p in parameters if not isinstance(p, dict)][:1],"),
    "learning-rate": ('1 - group["lr"] * group["decay"]', '1 - 0.01 * group["decay"]'),
    "exact-state": (
        'm = state.setdefault("moment", torch.zeros_like(p))',
        "m = p.__dict__.setdefault('m', torch.zeros_like(p))",
    ),
}


@pytest.mark.parametrize("check", [None, *SPOILED_OPTIMIZER])
def test_each_optimiser_fails_exactly_its_check(install, judge, check):
    old, new = SPOILED_OPTIMIZER.get(check, ("", ""))
    assert OPTIMIZER.count(old) == 1 or not old
    install("odd", "odd_optimizer", OPTIMIZER.replace(old, new), group="gancli.optimizers")
    told = [name for name, result in judge("good", "gancli.optimizers").items() if result.outcome != "skipped"]
    assert told == [check] * bool(check)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_the_built_in_optimisers_keep_the_contract(judge, name):
    assert judge(name, "gancli.optimizers") == {}


DATASET = """
from gancli.errors import DatasetError
from gancli.plugin import Dataset, ImageSet

class Good(Dataset):
    api = 1
    summary = "eight pictures"

    def load(self, split="train"):
        import torch
        if split != "train":
            raise DatasetError("There is no such part.")
        images = torch.arange(8 * 16).reshape(8, 1, 4, 4).to(torch.uint8)
        labels = torch.arange(8) % 2
        return ImageSet(images, labels, ("even", "odd"))
"""
SPOILED_DATA = {
    "loads": [("return ImageSet(images, labels, (", "return (images, labels, (")],
    "loads (bytes)": [(".to(torch.uint8)", ".float()")],
    "loads (classes)": [('("even", "odd")', '("even",)')],
    "loads (names)": [('("even", "odd")', '("even", "even")')],
    "loads (no labels)": [("ImageSet(images, labels,", "ImageSet(images, None,")],
    "loads (sources)": [('("even", "odd"))', '("even", "odd"), sources=images[:3], paired=True)')],
    "same-again": [("torch.arange(8 * 16)", "torch.randint(0, 256, (8 * 16,))")],
    "splits": [
        (
            'if split != "train":',
            'if split == "test":\n            return ImageSet(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))\n        if 0:',
        )
    ],
}


@pytest.mark.parametrize("check", [None, *SPOILED_DATA])
def test_each_data_set_fails_exactly_its_check(install, judge, check):
    source = DATASET
    for old, new in SPOILED_DATA.get(check, ()):
        assert old in source
        source = source.replace(old, new)
    install("odd", "odd_dataset", source, group="gancli.datasets")
    told = [name for name, result in judge("good", "gancli.datasets").items() if result.outcome != "skipped"]
    assert told == ([check.partition(" ")[0]] if check else [])


@pytest.mark.parametrize("part", ["images", "labels"])
def test_an_array_of_numpy_is_told_from_a_tensor(install, judge, part):
    source = DATASET.replace("        return ImageSet(", f"        {part} = {part}.numpy()\n        return ImageSet(")
    install("odd", "odd_dataset", source, group="gancli.datasets")
    found = judge("good", "gancli.datasets")["loads"]
    assert (found.outcome, "torch.Tensor" in found.detail) == ("failed", True), found


@pytest.mark.parametrize("name", ["hinge", "least-squares", "non-saturating", "relativistic", "wasserstein"])
def test_the_built_in_objectives_keep_the_contract(judge, name):
    assert judge(name, "gancli.objectives") == {}


@pytest.mark.slow
def test_the_built_in_data_set_keeps_the_contract(judge):
    assert judge("mnist", "gancli.datasets") == {}
