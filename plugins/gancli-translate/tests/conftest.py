"""Pairs of small images, and configurations of small trainings on them."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from PIL import Image

from gancli.config.resolve import resolve

TESTS = Path(__file__).parents[3] / "tests"
OF_GANCLI = {
    TESTS / "conftest.py": ("_a_cache_of_our_own", "clean_place", "cli", "without_training"),
    TESTS / "unit" / "conftest.py": ("colouring_file", "grey_and_colour", "untrained", "translators"),
    TESTS / "unit" / "data" / "conftest.py": ("zipped",),
}
for _file, _names in OF_GANCLI.items():
    _spec = spec_from_file_location(f"{_file.parent.name}_of_gancli", _file)
    _module = module_from_spec(_spec)
    _spec.loader.exec_module(_module)
    globals().update({name: getattr(_module, name) for name in _names})


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Folders ``A`` and ``B`` of 12 pairs of 16x16: circles of one colour, and the same in another."""
    folder = tmp_path_factory.mktemp("pairs")
    for i in range(12):
        for name, colour in (("A", (20 * i, 60, 90)), ("B", (90, 20 * i, 60))):
            image = Image.new("RGB", (16, 16), "white")
            image.paste(colour, (i % 6, 3, i % 6 + 8, 11))
            (folder / name).mkdir(exist_ok=True)
            image.save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def configure(pairs, tmp_path, monkeypatch):
    """``(name, *assignments)`` -> the configuration of a run of six steps, in three batches per epoch."""
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("gancli.training.session.plot_losses", lambda _, path: path.touch())  # half of the time
    torch.set_num_threads(1)

    def make(name, *assignments):
        own = {"cut": ["arch.patches=8", "arch.nce_dim=8"], "cyclegan": ["arch.pool_size=6"], "pix2pix": ["data.paired=true"]}
        blocks = 2 if name == "pix2pix" else 1
        small = [f"arch.name={name}", "arch.channels=4", f"arch.blocks={blocks}", "arch.discriminator_layers=1", *own[name]]
        sets = [f"data.dataset={pairs / 'A'}", f"data.to={pairs / 'B'}", "log.extractor=random"]
        small += ["runtime.device=cpu", "runtime.precision=fp32"]
        steps = ["train.images=24", "train.batch_size=4", "checkpoint.every_steps=2", "log.every_steps=1", "log.previews=4"]
        return resolve(assignments=[*sets, *small, *steps, *assignments], environment={}).config

    return make
