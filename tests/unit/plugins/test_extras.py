import sys

import pytest

from gancli.errors import PluginError
from gancli.plugins.extras import require


def test_what_is_there_is_not_imported_yet():
    sys.modules.pop("this", None)
    require("zen", "this")
    assert "this" not in sys.modules


def test_what_is_missing_is_named_with_the_command_that_installs_it():
    with pytest.raises(PluginError) as raised:
        require("video", "json", "no_such_module")
    assert str(raised.value) == ("no_such_module is not installed. The extra 'video' brings it: pip install \"gancli[video]\"")
    assert raised.value.exit_code == 8
    with pytest.raises(PluginError, match=r"^a_missing_one, another are not installed"):
        require("video", "a_missing_one", "another")
