from __future__ import annotations

from gancli.testing import ArchitectureContract


class TestContract(ArchitectureContract):
    architecture = "dcgan"
