"""Every block of code in the guide for plugin authors is run, and does what the guide says."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from gancli.plugin import ArchConfig, Architecture, ImageSpec, Networks
from gancli_kit.contract import ARCHITECTURE_CHECKS

GUIDE = (Path(__file__).parents[4] / "plugins" / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
IMAGE = ImageSpec(3, 8, 8, source=(3, 8, 8))


def block_with(text):
    (found,) = [block for block in BLOCKS if text in block]
    return found


@pytest.fixture
def file_with(tmp_path):
    """``(text, class)`` -> the block that contains the text, as ``FILE.py:CLASS``."""

    def file_with(text, name):
        path = tmp_path / "block.py"
        path.write_text(block_with(text))
        return f"{path}:{name}"

    return file_with


def test_there_is_a_test_of_every_block():
    tested = (
        "class Wobbly(",
        "purpose = Purpose(",
        "def cyclegan(",
        "def assets(",
        "class Margin(",
        "class Adagrad(",
        "class TestContract(",
    )
    assert [block_with(text) for text in tested] == BLOCKS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("class Wobbly(", "architectures"),
        ("class Margin(", "objectives"),
        ("class Adagrad(", "optimizers"),
    ],
)
def test_plugins_of_the_guide_keep_the_contract(judge, file_with, text, group):
    name = re.search(r"class (\w+)", text)[1]
    found = judge(file_with(text, name), f"gancli.{group}")
    assert {check: each for check, each in found.items() if each.outcome != "skipped"} == {}


class Anything(Architecture[ArchConfig]):
    """A translator of two stages, with the networks of CycleGAN and CUT."""

    api = 2
    summary = "networks for every method"
    Config = ArchConfig

    def build(self, config, image, latent_dim):  # noqa: ARG002  (the signature is given)
        import torch
        from torch import nn

        class Generator(nn.Module):
            def __init__(self):
                super().__init__()
                self.w, self.styled = nn.Linear(latent_dim, 4), nn.Linear(4, 3 * 64)
                self.register_buffer("mean_w", torch.zeros(4))
                self.translated = nn.Conv2d(3, 3, 3, padding=1)

            def mapping(self, z, *_):
                return self.w(z)

            def synthesis(self, w):
                return self.styled(w).square().reshape(-1, 3, 8, 8).tanh()

            def forward(self, z, source):
                return (self.synthesis(self.mapping(z)) + self.translated(source)).tanh()

        class Discriminator(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.Sequential(nn.Conv2d(3, 1, 4, 2, 1), nn.Flatten())

            def forward(self, images, *_):
                return self.layers(images)

        back, heads = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 5, 3, 2)
        others = {"back": back, "discriminator_back": Discriminator(), "heads": heads}
        return Networks(Generator(), Discriminator(), others, ema=("back",))


@pytest.mark.parametrize(
    ("method", "columns", "trained"),
    [
        ("wgan_gp", [], []),
        ("pix2pix", ["l1"], []),
        ("stylegan2", ["path_length"], []),
        ("cyclegan", ["cycle", "d_loss_back", "g_loss_back"], ["back", "discriminator_back"]),
        ("cut", ["nce"], ["heads"]),
    ],
)
def test_updates_of_the_guide_train(monkeypatch, method, columns, trained):
    from gancli.config.resolve import resolve
    from gancli_kit.subject import Case, states

    scope = {}
    exec(block_with("def cyclegan("), scope)  # noqa: S102  (that is what is tested)
    monkeypatch.setattr(Anything, "updates", scope[method])
    config = resolve(
        flags={"model.latent_dim": 13, "train.batch_size": 8, "objective.name": "hinge", "objective.r1_gamma": 0},
        environment={},
    ).config
    chosen = SimpleNamespace(plugin=Anything(), options=ArchConfig())
    monkeypatch.setattr("gancli.gan.build.choose_arch", lambda _: chosen)
    trainer = Case(Anything(), ArchConfig(), IMAGE).trainer(config)
    before = states(trainer.state.networks)
    report = trainer.step(0.0)
    moved = {name.partition("/")[0] for name, value in states(trainer.state.networks).items() if not value.equal(before[name])}
    assert sorted(report) == sorted(["d_loss", "g_loss", "real_score", "fake_score", *columns])
    assert all(value.isfinite() for value in report.values())
    assert moved == {"generator", "discriminator", *trained}
    assert trainer.updates[0].repeats == (5 if method == "wgan_gp" else 1)


def test_assets_of_the_guide():
    scope = {}
    exec(block_with("def assets("), scope)  # noqa: S102  (the guide's own code)
    (asset,) = scope["assets"](None, None)
    assert asset.path.is_absolute()


def test_the_test_of_the_guide(install):
    install("wobbly", "wobbly_plugin", block_with("class Wobbly("), name="wobbly", attribute="Wobbly")
    scope = {}
    exec(block_with("class TestContract("), scope)  # noqa: S102  (the guide's own code)
    scope["TestContract"]().test_options_described()
    assert scope["TestContract"].images == ("1x28x28",)


def test_the_guide_has_a_rule_for_every_check():
    table = GUIDE.split("## The contract\n")[1].split("\n## ")[0]
    cells = [line.split("|")[-2] for line in table.splitlines() if line.startswith("|")]
    named = {name for cell in cells for name in re.findall(r"`(\S+)`", cell)}
    expected = {"options-*" if check.id.startswith("options-") else check.id for check in ARCHITECTURE_CHECKS}
    assert named == expected


def test_the_purpose_of_the_guide_is_one():
    from gancli.plugin import Purpose

    scope = {}
    exec(block_with("purpose = Purpose("), scope)  # noqa: S102  (that is what is tested)
    assert isinstance(scope["purpose"], Purpose)


def test_the_guide_is_short():
    assert len(GUIDE.splitlines()) <= 320  # seven kinds of plugins, and what each is for
