"""The fixtures of gancli's own tests: runs that took no training, translators, the command line."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[3] / "tests"
OF_ALL = (
    *("_a_cache_of_our_own", "clean_place", "cli", "without_training", "pictures", "trained", "at_trained"),
    *("small_pictures", "write_small", "small_run", "small_conditional_run"),
)
OF_UNITS = ("colouring_file", "grey_and_colour", "smooth_model", "tanh_model", "untrained", "translators")

for _file, _names in ((TESTS / "conftest.py", OF_ALL), (TESTS / "unit" / "conftest.py", OF_UNITS)):
    _spec = spec_from_file_location(f"{_file.parent.name}_of_gancli", _file)
    _module = module_from_spec(_spec)
    _spec.loader.exec_module(_module)
    globals().update({name: getattr(_module, name) for name in _names})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own, empty."""
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "readings"
