"""Helpers of the fault tests. They live in modules of their own, and tests get them as fixtures: tests are no package."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest


def _load(name):
    spec = spec_from_file_location(f"gancli_fault_tests_{name}", Path(__file__).with_name(f"{name}.py"))
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def failing():
    """The module ``failing_storage``."""
    return _load("failing_storage")


@pytest.fixture(scope="session")
def simulated():
    """The module ``simulated_disk``."""
    return _load("simulated_disk")


@pytest.fixture(scope="session")
def files_of():
    """``step -> files``: what a checkpoint of that step holds in these tests."""

    def files_of(step):
        return {
            "weights.safetensors": b"".join((step * 1000 + i).to_bytes(4, "little") for i in range(64)),
            "state.json": b'{"step": %d}' % step,
        }

    return files_of


@pytest.fixture(scope="session")
def save(files_of):
    """``(store, step)``: saves that checkpoint."""

    def save(store, step):
        return store.save(step, files_of(step), images_seen=step * 128, facts={"architecture": "dense"})

    return save
