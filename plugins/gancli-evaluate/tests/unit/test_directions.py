import numpy as np
import pytest

from gancli.images import read_metadata
from gancli.models import directions

pytestmark = pytest.mark.usefixtures("at_trained")


@pytest.fixture(autouse=True)
def _few_seeds(monkeypatch):
    monkeypatch.setattr(directions, "SEEDS", 8)


def test_a_sheet_of_directions(cli, tmp_path):
    result = cli("directions", "-n", "3", "-o", tmp_path / "d.png", "--json")
    assert result.json["strengths"] == sorted(result.json["strengths"], reverse=True)
    assert result.json["space"] == "z"
    assert read_metadata(tmp_path / "d.png")["directions"] == 3
    again = cli("directions", "-n", "3", "-o", tmp_path / "d.png")
    assert (again.code, again.out) == (0, f"{tmp_path}/d.png\n"), "what gancli made is replaced"


def test_directions_as_arrays(cli, tmp_path):
    assert cli("directions", "-n", "2", "--run", "classes", "-o", tmp_path / "d.npz").code == 0
    with np.load(tmp_path / "d.npz") as arrays:
        assert arrays["vectors"].shape[0] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("directions", "-o", "d.txt"), "neither .png nor .npz"),
        (("directions", "-n", "0"), "out of range"),
        (("directions", "-n", "10000"), "dimensions"),
        (("directions", "--class", "1"), "not conditional"),
    ],
)
def test_what_is_not_possible_is_one_line(cli, words, message):
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1
