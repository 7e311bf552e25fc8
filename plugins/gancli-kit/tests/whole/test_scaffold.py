"""A new plugin passes its own tests, is well formatted, and can be built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gancli_kit.scaffold import Plugin, create

ROOT = Path(__file__).parents[4]


@pytest.fixture
def written(tmp_path):
    return create(Plugin.named("wobbly"), tmp_path)


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
