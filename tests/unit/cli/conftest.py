"""The command line in this process: quick, and with everything that it prints."""

import pytest


@pytest.fixture(autouse=True)
def _clean(clean_place):
    """Also for tests that call no command."""
