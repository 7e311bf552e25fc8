import sys

import gancli
from gancli.cli import env


def test_json(cli, monkeypatch):
    monkeypatch.setenv("GANCLI_OFFLINE", "1")
    found = cli("env", "--json").json
    assert list(found) == ["versions", "system", "torch", "plugins", "paths", "variables"]
    assert found["versions"]["gancli"] == gancli.__version__
    assert found["torch"]["threads"] >= 1
    assert found["torch"]["cpu has fast bf16"] in {True, False}
    assert found["variables"]["GANCLI_OFFLINE"] == "1"
    assert {"architecture", "objective", "optimiser", "data set", "exporter", "extractor", "logger"} <= {
        plugin["kind"] for plugin in found["plugins"]
    }


def test_text(cli):
    out = cli("env").out
    assert f"gancli       {gancli.__version__}" in out
    assert "architecture dense" in out


def test_what_several_processes_need_is_reported(cli, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = cli("env", "--json").json
    assert "gloo" in found["torch"]["several processes"]
    assert found["variables"]["WORLD_SIZE"] == "2"


def test_F36_a_broken_plugin_is_reported(cli, install):
    install("someone", "broken_module", "import no_such_module", name="broken", version="1.0")
    result = cli("env")
    assert result.code == 0
    (line,) = [line for line in result.out.splitlines() if "architecture broken" in line]
    assert "someone 1.0" in line
    assert not line.endswith(", ok")


def test_a_broken_torch_is_reported(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "ModuleNotFoundError" in cli("env", "--json").json["torch"]["error"]


def test_a_missing_package_is_reported(cli, monkeypatch):
    monkeypatch.setattr(env, "PACKAGES", ("no-such-package",))
    assert cli("env", "--json").json["versions"]["no-such-package"] == "missing"
