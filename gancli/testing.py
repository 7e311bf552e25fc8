"""The conformance kit of gancli-kit, as plugins' tests import it: ``from gancli.testing import ArchitectureContract``."""

from __future__ import annotations

from importlib import import_module

from gancli.plugins.installation import install_plugin


def __getattr__(name: str) -> object:
    try:
        return getattr(import_module("gancli_kit"), name)
    except ModuleNotFoundError as error:
        if error.name != "gancli_kit":
            raise
        command = install_plugin("gancli-kit")
        raise ModuleNotFoundError(f"gancli.testing needs gancli-kit. In a clone of gancli: {command}") from None
