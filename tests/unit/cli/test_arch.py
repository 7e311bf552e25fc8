from pathlib import Path

import pytest

FOREIGN = Path(__file__).parents[2] / "foreign.py"


def test_list(cli):
    lines = cli("arch", "list").out.splitlines()
    assert lines[0].split() == ["name", "provided", "by", "version", "summary"]
    assert any(line.split()[:2] == ["dense", "gancli"] and "Multi-layer perceptrons" in line for line in lines)


def test_list_json(cli):
    found = {entry["name"]: entry for entry in cli("arch", "list", "--json").json}
    assert found["dense"]["distribution"] == "gancli"
    assert set(found["dense"]) == {"name", "distribution", "version", "summary"}


def test_show(cli):
    lines = cli("arch", "show", "dense").out.splitlines()
    (dropout,) = [line for line in lines if line.startswith("arch.dropout")]
    assert [part.strip() for part in dropout.split("  ") if part][:4] == ["arch.dropout", "number", "0.0", ">= 0, < 1"]
    assert "provided by  gancli" in "\n".join(lines)


def test_show_json_is_a_schema(cli):
    shown = cli("arch", "show", "dense", "--json").json
    assert shown["schema"]["properties"]["dropout"]["exclusiveMaximum"] == 1
    assert "layers" not in shown


def test_build(cli):
    out = cli("arch", "show", "dense", "--build").out
    assert "generator: 754,704 parameters" in out
    assert "discriminator: 697,473 parameters" in out


def test_build_for_another_shape(cli):
    shown = cli("arch", "show", "dense", "--build", "--image", "3x8x8", "--json").json
    assert shown["parameters"]["generator"] > 3 * 8 * 8
    assert shown["layers"]["discriminator"].startswith("DenseDiscriminator(")


def test_build_with_options(cli):
    narrow = cli("arch", "show", "dense", "-s", "arch.generator_widths=[8]", "-s", "arch.patch_size=0").out
    assert "generator: 7,576 parameters" in narrow  # 64-8-784
    result = cli("arch", "show", "dense", "--build", "-s", "arch.widths=[8]")
    assert result.code == 2
    assert "generator_widths" in result.err


@pytest.mark.parametrize("name", ["StyleGAN2", "Pix2Pix", "WeightNorm", "Projected"])
def test_every_network_is_built(cli, name):
    found = cli("arch", "show", f"{FOREIGN}:{name}", "--build", "--image", "3x8x8", "--json").json
    expected = {"Projected": ["features", "encoder"]}.get(name, [])
    assert list(found["parameters"]) == list(found["layers"]) == ["generator", "discriminator", *expected]
    assert min(found["parameters"].values()) > 0


def test_images_that_cannot_be_made(cli, monkeypatch):
    monkeypatch.setattr("gancli.gan.architectures.dense.Dense.supports", lambda *_: "Too small.")
    assert "cannot generate images of 1x1x1. Too small." in cli("arch", "show", "dense", "--build", "--image", "1x1x1").err


@pytest.mark.parametrize("image", ["28x28", "9x28x28", "1x0x3", "axbxc"])
def test_a_wrong_shape(cli, image):
    result = cli("arch", "show", "dense", "--build", "--image", image)
    assert result.code == 2
    assert "1x28x28" in result.err


def test_an_unknown_one(cli):
    result = cli("arch", "show", "dens")
    assert result.code == 8
    assert "Did you mean 'dense'?" in result.err


def test_a_file(cli, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from gancli.plugin import ArchConfig, Architecture\n"
        "class Mine(Architecture[ArchConfig]):\n"
        "    api = 1\n    summary = 'my own'\n    Config = ArchConfig\n    defaults = {'train.seed': 3}\n"
        "    def build(self, config, image, latent_dim): ...\n"
    )
    out = cli("arch", "show", "mine.py:Mine").out
    assert "my own" in out
    assert "sets train.seed  3" in out
    assert str(tmp_path / "mine.py") in out
