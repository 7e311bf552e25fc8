"""The fixtures of gancli's own tests: runs that took no training, the command line."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

TESTS = Path(__file__).parents[3] / "tests"
OF_GANCLI = {
    TESTS / "conftest.py": ("_a_cache_of_our_own", "clean_place", "cli", "without_training", "pictures", "trained"),
    TESTS / "unit" / "data" / "conftest.py": ("picture_bytes",),
}
for _file, _names in OF_GANCLI.items():
    _spec = spec_from_file_location(f"{_file.parent.name}_of_gancli", _file)
    _module = module_from_spec(_spec)
    _spec.loader.exec_module(_module)
    globals().update({name: getattr(_module, name) for name in _names})
