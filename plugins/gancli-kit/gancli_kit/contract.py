"""The checks of every kind of plugin, and the pytest classes that run them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from gancli.plugins.listing import KINDS
from gancli_kit.checks import Check, Checklist, ContractWarning
from gancli_kit.description import ANSWERS, IDENTITY, LOADING, OPTIONS, PREFERENCES
from gancli_kit.kinds import CHECKS
from gancli_kit.networks import EXPORTS, NETWORKS
from gancli_kit.subject import IMAGES, ArchitectureSubject, Subject
from gancli_kit.training import TRAINING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# every check of an architecture; each comes after those that it needs
ARCHITECTURE_CHECKS = (*LOADING, *IDENTITY, *OPTIONS, *PREFERENCES, *ANSWERS, *NETWORKS, *TRAINING, *EXPORTS)
_KINDS: dict[str, tuple[type[Subject[Any]], Sequence[Check]]] = {
    "gancli.architectures": (ArchitectureSubject, ARCHITECTURE_CHECKS),
    **CHECKS,
}


def checklist(group: str, name: str, options: dict[str, Any] | None = None, images: Sequence[str] | None = None) -> Checklist:
    """The checks of the plugin that users call ``name``, of the kind that its entry-point ``group`` says.

    ``options`` are its own; the others have their defaults. An architecture is tried with ``images``, each
    ``CHANNELSxHEIGHTxWIDTH``.
    """
    subject, checks = _KINDS[group]
    registry = next(registry for registry in KINDS if registry.group == group)
    return Checklist(checks, subject(registry, name, dict(options or {}), images or IMAGES))


class _Contract:
    """A pytest class with one test per check; a flag is a :class:`gancli_kit.ContractWarning`."""

    options: ClassVar[dict[str, Any]] = {}
    images: ClassVar[Sequence[str]] = IMAGES
    _checklist: ClassVar[Checklist]

    def __init_subclass__(cls, **arguments: Any) -> None:  # noqa: ANN401  (passed on)
        super().__init_subclass__(**arguments)
        for kind in ("architecture", "objective", "optimizer", "dataset", "exporter", "extractor"):
            if name := getattr(cls, kind, ""):
                cls._checklist = checklist(f"gancli.{kind}s", name, cls.options, cls.images)
                for check in cls._checklist.checks:
                    setattr(cls, f"test_{check.id.replace('-', '_')}", _test_of(check))


def _test_of(check: Check) -> Callable[[_Contract], None]:
    def test(self: _Contract) -> None:
        result = self._checklist.result(check.id)
        if result.outcome == "skipped":
            import pytest

            pytest.skip(result.detail)
        if result.outcome == "flagged":
            warnings.warn(f"{result.detail} {check.why} {check.fix}", ContractWarning, stacklevel=2)
        if result.outcome == "failed":
            raise AssertionError(f"{result.detail}\n\nWhy it matters: {check.why}\nHow to fix it: {check.fix}")

    test.__doc__ = check.title
    return test


class ArchitectureContract(_Contract):
    """A pytest class with one test per rule of the contract. Derive from it and name the architecture::

        class TestWobbly(ArchitectureContract):
            architecture = "wobbly"

    The name of the derived class has to begin with ``Test``, as pytest wants it. What is allowed and suspicious is a
    :class:`gancli_kit.ContractWarning`.

    Attributes:
        architecture: what users type: the name of the entry point, ``dist/name`` or ``FILE.py:CLASS``.
        options: options to test with, for instance a smaller width where the default takes long.
        images: the images to try, ``CHANNELSxHEIGHTxWIDTH`` each, without and with classes and source images.
    """

    architecture: ClassVar[str] = ""


class ObjectiveContract(_Contract):
    """The same for an objective, which is named by ``objective``; ``options`` as above."""

    objective: ClassVar[str] = ""


class OptimizerContract(_Contract):
    """The same for an optimiser, which is named by ``optimizer``; ``options`` as above."""

    optimizer: ClassVar[str] = ""


class DatasetContract(_Contract):
    """The same for a data set, which is named by ``dataset``."""

    dataset: ClassVar[str] = ""


class ExporterContract(_Contract):
    """The same for an exporter, which is named by ``exporter``; ``options`` as above."""

    exporter: ClassVar[str] = ""


class ExtractorContract(_Contract):
    """The same for a feature extractor, which is named by ``extractor``."""

    extractor: ClassVar[str] = ""
