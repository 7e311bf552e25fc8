import pytest

from gancli.errors import PluginError
from gancli.plugins.registry import LOGGERS


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb", "mlflow"])
def test_a_missing_package_is_named_before_anything_starts(name, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(PluginError, match=rf"gancli-loggers\[{name}\]"):
        LOGGERS.load(name)()
