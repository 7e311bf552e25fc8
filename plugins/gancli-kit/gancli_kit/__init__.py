"""The kit for authors of plugins and for maintainers of gancli: does a plugin keep the contract of :mod:`gancli.plugin`?

Two lines make a test of every rule, for pytest::

    from gancli_kit import ArchitectureContract

    class TestWobbly(ArchitectureContract):
        architecture = "wobbly"

The same checks, with why they matter and how to fix what fails, are printed by ``gancli plugin check wobbly``. Importing this
package costs nothing; what is used is imported then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gancli_kit.checks import Check, Checklist, ContractWarning, Result
    from gancli_kit.contract import (
        ArchitectureContract,
        DatasetContract,
        ExporterContract,
        ExtractorContract,
        ObjectiveContract,
        OptimizerContract,
        checklist,
    )

__all__ = [
    "ArchitectureContract",
    "Check",
    "Checklist",
    "ContractWarning",
    "DatasetContract",
    "ExporterContract",
    "ExtractorContract",
    "ObjectiveContract",
    "OptimizerContract",
    "Result",
    "checklist",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gancli_kit' has no attribute {name!r}")
    from gancli_kit import checks, contract

    return getattr(contract, name, None) or getattr(checks, name)
