"""The directions of a model, as a sheet."""

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
