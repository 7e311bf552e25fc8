import pytest

from gancli.plugins import installation
from gancli.plugins.installation import OFFICIAL, install_command


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """An environment of Python's own, to be made into another tool's."""
    monkeypatch.setattr(installation.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(installation.sys, "executable", "/env/bin/python")
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    return tmp_path


def commands():
    return install_command("gancli-x"), install_command("gancli[onnx]"), install_command("-e", "./my plugin")


@pytest.mark.usefixtures("prefix")
def test_pip():
    assert commands() == ("pip install gancli-x", 'pip install "gancli[onnx]"', 'pip install -e "./my plugin"')


def test_no_virtual_environment_at_all(prefix):
    (prefix / "pyvenv.cfg").unlink()
    assert commands()[0] == "pip install gancli-x"


@pytest.mark.parametrize(
    ("file", "content", "begin"),
    [
        ("pipx_metadata.json", "{}", "pipx runpip gancli install"),
        ("uv-receipt.toml", "[tool]", "uv pip install --python /env/bin/python"),
        ("pyvenv.cfg", "home = /usr/bin\nuv = 0.9.1\n", "uv pip install"),
    ],
)
def test_other_tools_install_into_the_same_environment(prefix, file, content, begin):
    (prefix / file).write_text(content)
    assert commands() == (f"{begin} gancli-x", f'{begin} "gancli[onnx]"', f'{begin} -e "./my plugin"')


def test_the_projects_own_plugins_are_known_before_they_are_installed():
    assert OFFICIAL["gancli.architectures", "resnet"] == "gancli-resnet"
    assert OFFICIAL["gancli.exporters", "html"] == "gancli-page"
    assert ("gancli.exporters", "resnet") not in OFFICIAL
