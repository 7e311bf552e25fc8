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


def check(cli, *argv):
    return cli("plugin", "check", *argv)


def test_F36_check_says_what_to_mend_and_exits_with_8(cli, install):
    install("broken", "broken_module", "raise SystemExit(0)")
    result = check(cli, "good")
    assert result.code == 8
    assert "FAILED   resolves" in result.out
    assert "found: The architecture 'good' cannot be loaded: SystemExit: 0." in result.out
    assert "why: " in result.out
    assert "fix: " in result.out
    assert result.err.startswith("error: The architecture 'good' fails 1 of ")


def test_F36_check_of_the_wrong_thing_is_json_too(cli, install):
    install("broken", "broken_module", "Good = 5")
    result = check(cli, "good", "--json")
    assert result.code == 8
    assert (result.json["name"], result.json["ok"]) == ("good", False)
    first, second, *_ = result.json["checks"]
    assert (first["id"], first["outcome"]) == ("resolves", "failed")
    assert second["outcome"] == "skipped"
    assert {"id", "title", "why", "fix", "outcome", "detail", "seconds"} == set(first)


def test_F36_a_name_that_two_claim(cli, install):
    install("one", "one_module")
    install("two", "two_module")
    result = check(cli, "good")
    assert result.code == 8
    assert "is claimed by one and two" in result.out


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["hingee"], 8, "There is no plugin 'hingee'. Did you mean 'hinge'? See `gancli plugin list`"),
        (["hinge", "--kind", "dataset"], 8, "There is no data set 'hinge'."),
        (["hinge", "--kind", "objectiv"], 2, "There is no kind of plugin 'objectiv'. Did you mean 'objective'?"),
        (["./none.py:X"], 8, "There is no file 'none.py'"),
        (["hinge", "-s", "train.epochs=3"], 2, "'train.epochs' is not an option of a plugin."),
        (["hinge", "-s", "objective.gama=3"], 2, "Unknown key 'objective.gama'."),
        (["dense", "-s", "arch.dropout=two"], 2, 'arch.dropout = "two" is not allowed'),
        (["dense", "--image", "big"], 2, "'big' is not the shape of an image."),
        ([""], 8, "There is no plugin ''."),
    ],
)
def test_check_of_nonsense(cli, argv, code, message):
    result = check(cli, *argv)
    assert result.code == code
    assert message in result.err


def test_a_name_of_two_kinds_needs_the_kind(cli, install):
    install("one", "one_module", name="hinge")
    result = check(cli, "hinge")
    assert result.code == 2
    assert "Add --kind architecture or --kind objective." in result.err
    assert check(cli, "hinge", "--kind", "objective").code == 0


def test_new_writes_the_path_and_what_to_do_next(cli):
    result = cli("plugin", "new", "wobbly")
    assert (result.code, result.out) == (0, "gancli-wobbly\n")
    assert "  gancli plugin check wobbly\n" in result.err
    assert ' -e "./gancli-wobbly[test]"\n' in result.err


def test_new_json(cli, tmp_path):
    found = cli("plugin", "new", "gancli-wobbly-net", "--to", tmp_path / "deep" / "down", "--json").json
    assert found["path"] == str(tmp_path / "deep" / "down" / "gancli-wobbly-net")
    assert (found["package"], found["class"]) == ("gancli_wobbly_net", "WobblyNet")
    assert all((Path(found["path"]) / file).is_file() for file in found["files"])


def test_new_refuses_a_folder_that_is_there(cli):
    Path("gancli-wobbly").mkdir()
    result = cli("plugin", "new", "wobbly")
    assert result.code == 6
    assert "'gancli-wobbly' is already there." in result.err
    assert list(Path("gancli-wobbly").iterdir()) == []


def test_new_in_a_place_that_is_a_file(cli):
    Path("place").write_text("")
    assert cli("plugin", "new", "wobbly", "--to", "place").code == 6


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
    mine = f"{ROOT / 'examples' / 'my_data.py'}:Rings"
    checked = cli("plugin", "check", mine, "--kind", "dataset", "--json").json
    assert (checked["kind"], checked["ok"]) == ("data set", True)
    shown = cli("dataset", "show", mine, "--json").json
    assert (shown["images"], shown["classes"]["small"], shown["licence"]) == (3000, 1000, "CC0-1.0")
    assert "( " not in shown["source"]
    refused = cli("dataset", "show", mine, "--split", "nope")
    assert (refused.code, "There is no split 'nope'" in refused.err) == (3, True)
