"""The fixtures of gancli's own tests of images, and tables of them."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pyarrow as pa
import pytest

TESTS = Path(__file__).parents[3] / "tests"
OF_GANCLI = {
    TESTS / "conftest.py": (
        *("_a_cache_of_our_own", "clean_place", "cli", "small_pictures", "without_training", "write_small", "small_run"),
        *("pictures", "trained", "at_trained", "models"),
    ),
    TESTS / "unit" / "conftest.py": ("colouring_file", "grey_and_colour", "untrained", "translators", "translator"),
    TESTS / "unit" / "data" / "conftest.py": ("idx_bytes", "_an_empty_cache", "picture_bytes", "photos"),
}
for _file, _names in OF_GANCLI.items():
    _spec = spec_from_file_location(f"{_file.parent.name}_of_gancli", _file)
    _module = module_from_spec(_spec)
    _spec.loader.exec_module(_module)
    globals().update({name: getattr(_module, name) for name in _names})


@pytest.fixture
def table(picture_bytes):
    """``(**columns)`` -> a table of five pictures, as Hugging Face's library stores them, with more columns."""

    def build(*, features=None, plain=False, **columns):
        data = [picture_bytes(colour=(i * 20, 0, 0)) for i in range(5)]
        image = pa.array(data) if plain else pa.array([{"bytes": one, "path": None} for one in data])
        made = pa.table({"image": image, **columns})
        about = {"huggingface": json.dumps({"info": {"features": features}})} if features else {}
        return made.replace_schema_metadata(about)

    return build
