import lzma
import shutil
from importlib.resources import as_file, files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from gancli.data import mnist
from gancli.data.arrays import read_idx
from gancli.errors import DatasetError, UsageError

PACK = Path(__file__).parents[2] / "benchmarks" / "pack_mnist.py"
_spec = spec_from_file_location("pack_mnist", PACK)
pack = module_from_spec(_spec)
_spec.loader.exec_module(pack)

LABELS = "t10k-labels-idx1-ubyte"


def test_packing_changes_nothing_but_the_compression(idx_bytes):
    array = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    assert lzma.decompress(pack.pack(array)) == idx_bytes(array)


def test_a_packed_file_is_made_from_any_compression(tmp_path, write_idx):
    with as_file(files("gancli.data") / "files" / f"{LABELS}.xz") as embedded:
        labels = read_idx(embedded)
    write_idx(tmp_path / f"{LABELS}.gz", labels)
    np.testing.assert_array_equal(read_idx(pack.pack_file(LABELS, tmp_path, tmp_path)), labels)


def test_anything_but_mnist_is_refused(tmp_path, write_idx):
    write_idx(tmp_path / LABELS, np.zeros(10_000, np.uint8))
    with pytest.raises(DatasetError, match=f"is not MNIST's {LABELS}"):
        pack.pack_file(LABELS, tmp_path, tmp_path)
    assert not (tmp_path / f"{LABELS}.xz").exists()


def test_the_program_packs_every_file_and_prints_its_size(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pack, "SHA256", {LABELS: mnist.SHA256[LABELS]})
    with as_file(files("gancli.data") / "files" / f"{LABELS}.xz") as embedded:
        shutil.copy(embedded, tmp_path)
    (tmp_path / "out").mkdir()
    pack.main([str(tmp_path), str(tmp_path / "out")])
    assert capsys.readouterr().out.split()[1] == str(tmp_path / "out" / f"{LABELS}.xz")


def test_the_program_wants_two_folders():
    with pytest.raises(UsageError, match="Two folders are needed, not 1"):
        pack.main(["here"])
