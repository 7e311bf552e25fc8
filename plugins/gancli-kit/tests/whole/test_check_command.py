"""`gancli plugin check` of a file."""

from pathlib import Path

import pytest

SOUND = Path(__file__).with_name("sound.py")


def check(cli, *argv):
    return cli("plugin", "check", *argv)


def test_check_prints_every_check(cli):
    result = check(cli, "hinge")
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()[:-1]] == ["ok"] * (len(result.out.splitlines()) - 1)
    assert result.out.splitlines()[-1].startswith("keeps the contract: ")
    assert "why:" not in result.out
    assert "why:" in check(cli, "hinge", "--explain").out


@pytest.mark.slow
def test_a_file_is_checked_with_the_options_and_pictures_that_are_given(cli, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOUND.read_text())
    found = check(cli, f"{path}:Sound", "-s", "arch.width=12", "--image", "2x28x9", "--json")
    outcomes = {each["id"]: each["outcome"] for each in found.json["checks"]}
    assert (found.code, found.json["ok"]) == (0, True), found.out
    assert outcomes["builds"] == "passed"
    unsupported = check(cli, f"{path}:Sound", "--image", "1x7x7", "--json")
    assert unsupported.code == 8, "what was never built keeps no contract"
    failed = {each["id"]: each["detail"] for each in unsupported.json["checks"] if each["outcome"] == "failed"}
    assert list(failed) == ["builds"]
    assert failed["builds"].startswith("It supports none of 1x7x7 (")
