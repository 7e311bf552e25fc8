import ast
import tomllib
from pathlib import Path

import pytest

from gancli.errors import StorageError, UsageError
from gancli_kit.scaffold import Plugin, create


@pytest.mark.parametrize(
    ("name", "package", "title"),
    [
        ("wobbly", "gancli_wobbly", "Wobbly"),
        ("wobbly-net-2", "gancli_wobbly_net_2", "WobblyNet2"),
        ("class", "gancli_class", "Class"),
    ],
)
def test_names_follow_from_one(name, package, title):
    plugin = Plugin.named(name)
    assert (plugin.distribution, plugin.package, plugin.title) == (f"gancli-{name}", package, title)
    assert plugin == Plugin.named(f"gancli-{name}")


@pytest.mark.parametrize(
    "name",
    [
        *("", "gancli-", "Wobbly", "2d", "a b", "a_b", "a--b", "-a", "a-", "../a", "a/b", "ä", "a" * 41, "a\n"),
        *("none", "true", "generator", "networks", "arch-config", "dense"),
    ],
)
def test_a_name_that_would_not_work_is_refused(name):
    with pytest.raises(UsageError):
        Plugin.named(name)


@pytest.fixture
def written(tmp_path):
    return create(Plugin.named("wobbly"), tmp_path)


def test_every_file_is_what_its_name_says(written):
    project = tomllib.loads((written / "pyproject.toml").read_text())
    assert project["project"]["name"] == "gancli-wobbly"
    assert project["project"]["entry-points"]["gancli.architectures"] == {"wobbly": "gancli_wobbly:Wobbly"}
    for file in written.rglob("*.py"):
        ast.parse(file.read_text())
    assert "wobbly" in (written / "README.md").read_text()
    licence = (written / "LICENSE").read_text()
    assert "gancli-wobbly authors" in licence
    assert "MNIST" not in licence, "that is of gancli's own files"
    assert "${{ matrix.python }}" in (written / ".github/workflows/test.yml").read_text()
    assert not [path for path in written.rglob("*") if path.is_file() and "$title" in path.read_text()]


def test_the_contract_test_takes_three_lines(written):
    tree = ast.parse((written / "tests/test_contract.py").read_text())
    assert len([node for node in ast.walk(tree) if isinstance(node, ast.stmt)]) == 4  # with its docstring


@pytest.mark.parametrize("writes", range(8))
def test_F6_it_is_written_whole_or_not_at_all(tmp_path, monkeypatch, writes):
    real, count = Path.write_text, iter(range(100))

    def full(path, *arguments, **options):
        if next(count) >= writes:
            raise OSError(28, "No space left on device")
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="disk is full"):
        create(Plugin.named("wobbly"), tmp_path / "place")
    assert list((tmp_path / "place").iterdir()) == []


def test_what_is_there_stays(tmp_path):
    (tmp_path / "gancli-wobbly").write_text("mine")
    with pytest.raises(StorageError, match="already there"):
        create(Plugin.named("wobbly"), tmp_path)
    assert (tmp_path / "gancli-wobbly").read_text() == "mine"
