"""Every rule of gancli's contract."""

from gancli.testing import ExporterContract


class TestContract(ExporterContract):
    exporter = "html"
