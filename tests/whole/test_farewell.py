"""The commands at the end of a training work."""

import shlex
from pathlib import Path


def test_the_commands_at_the_end_work_when_pasted(cli, pictures, small):
    result = cli("train", "--dataset", pictures, "--epochs", "1", *small)
    assert result.code == 0
    commands = [line.removeprefix("next    gancli ") for line in result.err.splitlines() if line.startswith("next")]
    assert [cli(*shlex.split(command)).code for command in commands] == [0, 0]
    assert Path("grid.png").is_file()
