"""Plugins that break one rule of the contract each."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from gancli_kit import checklist

ROOT = Path(__file__).parents[3]
SOUND = (Path(__file__).parent / "whole" / "sound.py").read_text()

_SPEC = spec_from_file_location("fixtures_of_gancli", ROOT / "tests" / "conftest.py")
_OF_GANCLI = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_OF_GANCLI)
_a_cache_of_our_own, clean_place, cli, install = (
    getattr(_OF_GANCLI, name) for name in ("_a_cache_of_our_own", "clean_place", "cli", "install")
)


@pytest.fixture
def spoil(tmp_path):
    """``(*changes)`` -> the sound architecture as ``FILE.py:CLASS``, with each ``(old, new)`` replaced."""

    def spoil(*changes):
        source = SOUND
        for old, new in changes:
            found = re.search(rf"^( *){re.escape(old)}", source, re.MULTILINE) if old.startswith("# ") else None
            new = new.replace("\n", f"\n{found[1]}") if found else new  # noqa: PLW2901  (the next replacement starts from it)
            assert source.count(old) == 1, old
            source = source.replace(old, new)
        path = tmp_path / "spoiled.py"
        path.write_text(source)
        return f"{path}:Sound"

    return spoil


@pytest.fixture
def judge():
    """``(name, group)`` -> what each check of the kit says, by its id, that has not passed or had nothing to look at."""

    def judge(name, group="gancli.architectures", without=(), **arguments):
        checks = checklist(group, name, **arguments)
        results = [checks.result(check.id) for check in checks.checks if check.id not in without]
        idle = ("It supports no", "It has no source", "Its generator", "All of its networks", "onnx")
        return {
            result.id: result
            for result in results
            if result.outcome != "passed" and not (result.outcome == "skipped" and result.detail.startswith(idle))
        }

    return judge
