"""The fixtures of gancli's own tests: runs that took no training, the command line."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_spec = spec_from_file_location("fixtures_of_gancli", Path(__file__).parents[3] / "tests" / "conftest.py")
_module = module_from_spec(_spec)
_spec.loader.exec_module(_module)
for _name in ("_a_cache_of_our_own", "clean_place", "cli", "without_training", "pictures", "trained", "at_trained"):
    globals()[_name] = getattr(_module, _name)
