import pytest

from gancli.plugins import installation


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An environment of Python's own, to be made into another tool's."""
    monkeypatch.setattr(installation.sys, "prefix", str(tmp_path))
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    return tmp_path


def commands():
    return (
        installation.command_for_plugin("gancli-x"),
        installation.command_for_extra("onnx"),
        installation.command_for_folder("./my plugin"),
    )


@pytest.mark.usefixtures("prefix")
def test_pip():
    assert commands() == ("pip install gancli-x", "pip install 'gancli[onnx]'", "pip install -e './my plugin'")


def test_no_virtual_environment_at_all(prefix):
    (prefix / "pyvenv.cfg").unlink()
    assert commands()[0] == "pip install gancli-x"


def test_pipx(prefix):
    (prefix / "pipx_metadata.json").write_text("{}")
    assert commands() == (
        "pipx inject gancli gancli-x",
        "pipx runpip gancli install 'gancli[onnx]'",
        "pipx inject gancli --editable './my plugin'",
    )


def test_uv_tool_is_told_again_what_it_has(prefix):
    (prefix / "uv-receipt.toml").write_text('[tool]\nrequirements = [{ name = "gancli" }, { name = "gancli-dcgan" }]\n')
    assert commands() == (
        "uv tool install gancli --with gancli-dcgan --with gancli-x",
        "uv tool install 'gancli[onnx]' --with gancli-dcgan",
        "uv tool install gancli --with gancli-dcgan --with-editable './my plugin'",
    )


@pytest.mark.parametrize("receipt", ["", "[tool", "[tool]\nrequirements = 3", "[tool]\nrequirements = [{}]"])
def test_a_receipt_that_cannot_be_read_costs_only_what_it_says(prefix, receipt):
    (prefix / "uv-receipt.toml").write_text(receipt)
    assert commands()[0] == "uv tool install gancli --with gancli-x"


def test_an_environment_that_uv_made_has_no_pip(prefix):
    (prefix / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.9.1\n")
    assert commands()[0] == "uv pip install gancli-x"


def test_the_projects_own_plugins_are_known_before_they_are_installed():
    assert installation.official_plugin("gancli.architectures", "resnet") == "gancli-resnet"
    assert installation.official_plugin("gancli.exporters", "html") == "gancli-page"
    assert installation.official_plugin("gancli.exporters", "resnet") is None
