"""`gancli plugin check` and `gancli plugin new`, in this process."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]


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
        (["hinge", "-s", "train.epochs=3"], 2, "Unknown key 'objective.epochs'."),
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


def test_a_data_set_in_a_file_is_checked(cli):
    checked = cli("plugin", "check", f"{ROOT / 'examples' / 'my_data.py'}:Rings", "--kind", "dataset", "--json").json
    assert (checked["kind"], checked["ok"]) == ("data set", True)


def test_a_command_is_checked(cli):
    checked = cli("plugin", "check", "selfcheck", "--json").json
    assert (checked["kind"], [each["id"] for each in checked["checks"]]) == ("command", ["resolves"])


def test_help_names_the_commands(cli):
    assert "selfcheck" in cli("--help").out
    assert {"check", "new"} <= set(cli("plugin", "--help").out.split())
