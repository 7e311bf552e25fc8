import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def rows(cli, *options):
    return {(row["kind"], row["name"]): row for row in cli("plugin", "list", "--json", *options).json}


def test_list(cli):
    lines = cli("plugin", "list").out.splitlines()
    assert lines[0].split() == ["kind", "name", "provided", "by", "version", "api", "status"]
    assert ["architecture", "dense", "gancli", "0.1.0", "1", "ok"] in [line.split() for line in lines]


def test_F36_list_imports_nothing_of_others_and_verify_does(cli, install):
    install("broken", "broken_module", "raise ValueError('no')")
    assert rows(cli)["architecture", "good"]["status"] == "installed"
    row = rows(cli, "--verify")["architecture", "good"]
    assert (row["status"], row["api"], row["distribution"], row["version"]) == ("broken", None, "broken", "1.2")
    assert "ValueError: no" in row["problem"]


def test_F36_list_shows_what_is_ambiguous_off_and_damaged(cli, install, monkeypatch):
    install("one", "one_module")
    install("two", "two_module")
    (install("three", "three_module", name="other") / "METADATA").write_text("Name: three\n")
    found = cli("plugin", "list", "--json").json
    claims = [row for row in found if row["name"] == "good"]
    assert [row["status"] for row in claims] == ["ambiguous", "ambiguous"]
    assert claims[0]["problem"] == "Others have this name too: write one/good."
    (damaged,) = [row for row in found if row["status"] == "damaged"]
    assert damaged["distribution"].endswith("three-1.2.dist-info")
    assert damaged["problem"] == "Its metadata cannot be read: ValueError: METADATA has no Version."
    monkeypatch.setenv("GANCLI_PLUGINS", "one")
    states = {row["distribution"]: row["status"] for row in cli("plugin", "list", "--json").json if row["name"] == "good"}
    assert states == {"one": "installed", "two": "off"}


def test_list_with_plugins_that_work(cli, install):
    install("one", "one_module")
    assert rows(cli, "--verify")["architecture", "good"]["api"] == 1
    assert "damaged" not in cli("plugin", "list").out


def test_completion_offers_every_kind(monkeypatch, capsys):
    from gancli.cli.app import run

    monkeypatch.setenv("_GANCLI_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "gancli plugin check hi")
    monkeypatch.setenv("COMP_CWORD", "3")
    assert run([]) == 0
    assert capsys.readouterr().out.split() == ["hinge"]


def test_listing_is_json_of_plain_values(cli):
    assert json.dumps(cli("plugin", "list", "--json").json)


@pytest.mark.usefixtures("trained")
def test_F36_a_run_whose_plugin_is_gone_says_how_to_install_it(cli, at_trained, tmp_path, monkeypatch):
    import shutil

    from gancli.plugins.installation import install_command

    shutil.copytree(at_trained, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    info = tmp_path / "runs" / "plain" / "run.json"
    told = json.loads(info.read_text())
    told["arch"].update(name="wobbly", distribution="gancli-wobbly")
    info.write_text(json.dumps(told))
    result = cli("train", "--resume", "plain")
    assert result.code == 8
    assert result.err.endswith(f"Install it: {install_command('gancli-wobbly')}\n")


GOOD = (Path(__file__).parents[2] / "good_plugin.py").read_text()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'."),
        ("raise SystemExit(0)", "cannot be loaded: SystemExit: 0."),
        ("Good = 5", "is 5, not a subclass of gancli.plugin.Architecture."),
        (GOOD.replace("api = 1", "api = 0"), "has api = 0; this gancli speaks api 2. Update mine 1.2."),
        (GOOD.replace("api = 1", "api = 3"), "has api = 3; this gancli speaks api 2. Update gancli."),
    ],
)
@pytest.mark.parametrize(
    "command", ["train --arch good", "arch show good", "config show --arch good", "train --arch mine/good"]
)
def test_F36_a_plugin_that_does_not_work_is_one_line_and_exit_code_8(cli, install, source, reason, command):
    install("mine", "mine_module", source)
    result = cli(*command.split())
    assert (result.code, result.out) == (8, "")
    assert reason in result.err
    assert result.err.count("\n") == 1


def test_F36_an_unknown_a_switched_off_and_an_ambiguous_one_are_exit_code_8(cli, install, monkeypatch):
    install("one", "one_module")
    install("two", "two_module")
    assert "is claimed by one and two. Say which: one/good or two/good." in cli("train", "--arch", "good").err
    assert "Did you mean 'good'?" in cli("train", "--arch", "goood").err
    monkeypatch.setenv("GANCLI_PLUGINS", "")
    result = cli("train", "--arch", "one/good")
    assert result.code == 8
    assert "Plugins are restricted by GANCLI_PLUGINS." in result.err


def test_F36_print_at_import_stays_off_stdout(cli, install):
    install("loud", "loud_module", f"print('HELLO')\n{GOOD}")
    result = cli("arch", "show", "good", "--json")
    assert result.json["summary"] == "good"
    assert "HELLO" in result.err


def test_a_file_may_hold_a_data_set(cli):
    pytest.importorskip("gancli_reports")
    mine = f"{ROOT / 'examples' / 'my_data.py'}:Rings"
    shown = cli("dataset", "show", mine, "--json").json
    assert (shown["images"], shown["classes"]["small"], shown["licence"]) == (3000, 1000, "CC0-1.0")
    assert "( " not in shown["source"]
    refused = cli("dataset", "show", mine, "--split", "nope")
    assert (refused.code, "There is no split 'nope'" in refused.err) == (3, True)
