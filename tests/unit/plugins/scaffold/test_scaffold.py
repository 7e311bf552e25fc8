import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gancli.errors import StorageError, UsageError
from gancli.plugins.scaffold import Plugin, create
from gancli.storage.disk import Storage

ROOT = Path(__file__).parents[3]


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


@pytest.mark.slow
def test_its_own_tests_pass_and_it_is_well_typed_and_formatted(written):
    """With the folder on the path, and an entry point as an installation would write it."""
    info = written / "gancli_wobbly-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gancli-wobbly\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[gancli.architectures]\nwobbly = gancli_wobbly:Wobbly\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(written), str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"}

    def run(*command):
        done = subprocess.run(command, cwd=written, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "failed" not in run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    ruff = shutil.which("ruff", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if ruff:
        run(ruff, "check", "--no-cache", "--isolated", "--line-length", "128", "--target-version", "py311", ".")
        run(ruff, "format", "--no-cache", "--isolated", "--line-length", "128", "--check", ".")


@pytest.mark.slow
def test_pip_builds_it(written, tmp_path):
    """A real build. It needs the backend, which is not everywhere."""
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--target", str(tmp_path / "site"), str(written)], capture_output=True, text=True, check=False
    )
    if "No module named pip" in done.stderr:
        pytest.skip("there is no pip in this environment")
    assert done.returncode == 0, done.stderr
    names = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*") if path.is_file()}
    assert {"gancli_wobbly/__init__.py", "gancli_wobbly/networks.py", "gancli_wobbly/py.typed"} <= names
    (points,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "wobbly = gancli_wobbly:Wobbly" in (tmp_path / "site" / points).read_text()


class Failing(Storage):
    """A disk that is full after some files."""

    def __init__(self, writes):
        self.writes = writes

    def write(self, descriptor, data):
        self.writes -= 1
        if self.writes < 0:
            raise OSError(28, "No space left on device")
        super().write(descriptor, data)


@pytest.mark.parametrize("writes", range(8))
def test_F6_it_is_written_whole_or_not_at_all(tmp_path, writes):
    with pytest.raises(StorageError, match="disk is full"):
        create(Plugin.named("wobbly"), tmp_path / "place", Failing(writes))
    assert list((tmp_path / "place").iterdir()) == []


def test_what_is_there_stays(tmp_path):
    (tmp_path / "gancli-wobbly").write_text("mine")
    with pytest.raises(StorageError, match="already there"):
        create(Plugin.named("wobbly"), tmp_path)
    assert (tmp_path / "gancli-wobbly").read_text() == "mine"
