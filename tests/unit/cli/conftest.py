"""The command line in this process: quick, and with everything that it prints."""

import struct
from dataclasses import dataclass
from json import loads
from pathlib import Path

import pytest

from gancli.cli.app import run


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return loads(self.out)


@pytest.fixture(autouse=True)
def _a_clean_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GANCLI_RUN", "GANCLI_PLUGINS", "GANCLI_DEBUG", "NO_COLOR", "FORCE_COLOR", "_GANCLI_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def cli(capsys):
    def call(*argv):
        capsys.readouterr()
        code = run([str(word) for word in argv])
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Sixty-four grey pictures of 8 x 8 in an IDX file, with labels of three classes beside it."""
    folder = tmp_path_factory.mktemp("tiny")
    pixels = bytes(i * 7 % 256 for i in range(64 * 64))
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 64, 8, 8) + pixels)
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 64) + bytes(i % 3 for i in range(64)))
    return folder


@pytest.fixture(scope="session")
def small():
    """Options for networks of no size."""
    return SMALL


SMALL = ("-s", "arch.generator_widths=[8]", "-s", "arch.discriminator_widths=[8]", "--batch-size", "16", "--device", "cpu")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, pictures, without_training):
    """A directory with the run of a conditional model and then of an ordinary one, neither of them trained."""
    here = tmp_path_factory.mktemp("trained")
    for name, *options in (("classes", "--conditional"), ("plain",)):
        train = ["train", "--dataset", str(pictures), "--name", name, "--runs-dir", str(here / "runs"), "--epochs", "2", "-q"]
        with without_training():
            assert run([*train, *options, *SMALL]) == 0
    return here


@pytest.fixture
def at_trained(trained, monkeypatch):
    """The same as the working directory."""
    monkeypatch.chdir(trained)
    return Path("runs")
