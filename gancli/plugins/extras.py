"""Packages that only some commands need, and that come with an extra: ``pip install "gancli[onnx]"``."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from gancli.errors import PluginError
from gancli.plugins.installation import install_command

__all__ = ["require"]


def require(extra: str, *modules: str) -> None:
    """Say how to install what is missing, before it is imported. Nothing is imported here.

    Args:
        extra: name of the extra of gancli that installs them.
        modules: top-level modules.

    Raises:
        PluginError: one of them is not installed.
    """
    missing = [module for module in modules if not _is_there(module)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        command = install_command(f"gancli[{extra}]")
        raise PluginError(f"{', '.join(missing)} {verb} not installed.", f"The extra '{extra}' brings it: {command}")


def _is_there(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None
