"""Every rule of gancli's contract."""

from gancli_kit import ExporterContract


class TestContract(ExporterContract):
    exporter = "html"
