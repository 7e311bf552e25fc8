"""The conformance kit: does a plugin keep the contract of :mod:`gancli.plugin`?

For plugin authors. Three lines make a test of every rule, for pytest::

    from gancli.testing import ArchitectureContract

    class TestWobbly(ArchitectureContract):
        architecture = "wobbly"

The same checks, with why they matter and how to fix what fails, are printed by ``gancli plugin check wobbly``.
"""

from __future__ import annotations

from gancli.testing.checks import Check, Checklist, ContractWarning, Result
from gancli.testing.contract import (
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
