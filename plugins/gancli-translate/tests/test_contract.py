from __future__ import annotations

from gancli.testing import ArchitectureContract


class TestCUT(ArchitectureContract):
    architecture = "cut"


class TestCycleGAN(ArchitectureContract):
    architecture = "cyclegan"


class TestPix2Pix(ArchitectureContract):
    architecture = "pix2pix"
