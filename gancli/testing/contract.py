"""The checks of every kind of plugin, and the pytest classes that run them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from gancli.testing.chance import CHANCE
from gancli.testing.checks import Check, Checklist, ContractWarning
from gancli.testing.datasets import DATASET_CHECKS, DatasetSubject
from gancli.testing.description import ANSWERS, IDENTITY, OPTIONS, PREFERENCES
from gancli.testing.exporters import EXPORTER_CHECKS, ExporterSubject
from gancli.testing.networks import NETWORKS
from gancli.testing.objectives import OBJECTIVE_CHECKS, ObjectiveSubject
from gancli.testing.play import PLAY
from gancli.testing.subject import IMAGES, ArchitectureSubject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "ARCHITECTURE_CHECKS",
    "ArchitectureContract",
    "DatasetContract",
    "ExporterContract",
    "ObjectiveContract",
    "checklist",
]

ARCHITECTURE_CHECKS: tuple[Check[ArchitectureSubject], ...] = (
    *IDENTITY,
    *OPTIONS,
    *PREFERENCES,
    *ANSWERS,
    *NETWORKS,
    *CHANCE,
    *PLAY,
)
"""Every check of an architecture; each comes after those that it needs."""


def checklist(
    group: str, name: str, options: dict[str, Any] | None = None, images: Sequence[str] | None = None
) -> Checklist[Any]:
    """The checks of a plugin.

    Args:
        group: its entry-point group, which says of which kind it is.
        name: what users type.
        options: its options; the others have their defaults.
        images: the pictures that an architecture is tried with, ``CHANNELSxHEIGHTxWIDTH`` each.
    """
    if group == DatasetSubject.registry.group:
        return Checklist(DATASET_CHECKS, DatasetSubject(name))
    if group == ObjectiveSubject.registry.group:
        return Checklist(OBJECTIVE_CHECKS, ObjectiveSubject(name, dict(options or {})))
    if group == ExporterSubject.registry.group:
        return Checklist(EXPORTER_CHECKS, ExporterSubject(name, dict(options or {})))
    return Checklist(ARCHITECTURE_CHECKS, ArchitectureSubject(name, dict(options or {}), images or IMAGES))


class _Contract:
    """A pytest class with one test per check; a flag is a :class:`gancli.testing.ContractWarning`."""

    _checklist: ClassVar[Checklist[Any]]

    @classmethod
    def _take(cls, found: Checklist[Any]) -> None:
        cls._checklist = found
        for check in found.checks:
            setattr(cls, f"test_{check.id.replace('-', '_')}", _test_of(check))


class ArchitectureContract(_Contract):
    """A pytest class with one test per rule of the contract. Derive from it and name the architecture::

        class TestWobbly(ArchitectureContract):
            architecture = "wobbly"

    The name of the derived class has to begin with ``Test``, as pytest wants it. What is allowed and suspicious is a
    :class:`gancli.testing.ContractWarning`.

    Attributes:
        architecture: what users type: the name of the entry point, ``dist/name`` or ``FILE.py:CLASS``.
        options: options to test with, for instance a smaller width where the default takes long.
        images: the pictures to try, ``CHANNELSxHEIGHTxWIDTH`` each; each is tried without and with classes.
    """

    architecture: ClassVar[str] = ""
    options: ClassVar[dict[str, Any]] = {}
    images: ClassVar[Sequence[str]] = IMAGES

    def __init_subclass__(cls, **arguments: Any) -> None:  # noqa: ANN401  (passed on)
        super().__init_subclass__(**arguments)
        cls._take(checklist(ArchitectureSubject.registry.group, cls.architecture, cls.options, cls.images))


class ObjectiveContract(_Contract):
    """Likewise for an objective.

    Attributes:
        objective: what users type: the name of the entry point, or ``dist/name``.
        options: options to test with.
    """

    objective: ClassVar[str] = ""
    options: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:  # noqa: ANN401  (passed on)
        super().__init_subclass__(**arguments)
        cls._take(checklist(ObjectiveSubject.registry.group, cls.objective, cls.options))


class DatasetContract(_Contract):
    """Likewise for a data set.

    Attributes:
        dataset: what users type: the name of the entry point, or ``dist/name``.
    """

    dataset: ClassVar[str] = ""

    def __init_subclass__(cls, **arguments: Any) -> None:  # noqa: ANN401  (passed on)
        super().__init_subclass__(**arguments)
        cls._take(checklist(DatasetSubject.registry.group, cls.dataset))


class ExporterContract(_Contract):
    """Likewise for an exporter.

    Attributes:
        exporter: what users type: the name of the entry point, or ``dist/name``.
        options: options to test with.
    """

    exporter: ClassVar[str] = ""
    options: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:  # noqa: ANN401  (passed on)
        super().__init_subclass__(**arguments)
        cls._take(checklist(ExporterSubject.registry.group, cls.exporter, cls.options))


def _test_of(check: Check[Any]) -> Callable[[_Contract], None]:
    def test(self: _Contract) -> None:
        result = self._checklist.result(check.id)
        if result.outcome == "skipped":
            import pytest

            pytest.skip(result.detail)
        if result.outcome == "flagged":
            warnings.warn(f"{result.detail} {check.why} {check.fix}", ContractWarning, stacklevel=2)
        if result.outcome == "failed":
            raise AssertionError(f"{result.detail}\n\nWhy it matters: {check.why}\nHow to mend it: {check.fix}")

    test.__doc__ = check.title
    return test
