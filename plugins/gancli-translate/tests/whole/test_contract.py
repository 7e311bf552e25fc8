from __future__ import annotations

from gancli_kit import ArchitectureContract


class TestCUT(ArchitectureContract):
    architecture = "cut"
    options = {"channels": 8, "blocks": 1}  # noqa: RUF012  (the size by default is CycleGAN's below, whose generator it has)


class TestCycleGAN(ArchitectureContract):
    architecture = "cyclegan"


class TestPix2Pix(ArchitectureContract):
    architecture = "pix2pix"
    options = {"channels": 8, "blocks": 3}  # noqa: RUF012  (as a plugin writes it)
