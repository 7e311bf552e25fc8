from __future__ import annotations

from gancli_kit import ArchitectureContract


class TestContract(ArchitectureContract):
    architecture = "dcgan"


class TestAidedContract(ArchitectureContract):
    architecture = "aided"
