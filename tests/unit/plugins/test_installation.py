import sys

import pytest

from gancli.errors import PluginError
from gancli.plugins import installation
from gancli.plugins.installation import OFFICIAL, install_command, install_plugin, require


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


@pytest.mark.usefixtures("prefix")
def test_the_projects_own_plugins_lie_in_a_clone():
    assert install_plugin("gancli-page") == "pip install ./plugins/gancli-page"
    assert install_plugin("gancli-wobbly") == "pip install gancli-wobbly"


def test_what_is_there_is_not_imported_yet():
    sys.modules.pop("this", None)
    require("zen", "this")
    assert "this" not in sys.modules


def test_what_is_missing_is_named_with_the_command_that_installs_it():
    with pytest.raises(PluginError) as raised:
        require("video", "json", "no_such_module")
    assert str(raised.value) == ("no_such_module is not installed. The extra 'video' brings it: pip install \"gancli[video]\"")
    assert raised.value.exit_code == 8
    with pytest.raises(PluginError, match=r"^a_missing_one, another are not installed"):
        require("video", "a_missing_one", "another")
