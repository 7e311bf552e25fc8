"""What the tests of several packages need: one thread, and small runs that were really trained."""

import os
import re
import signal
import struct
import sys
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported, which is not here
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", lambda *_: None)):
    # `nohup pytest &` starts with both ignored, which every child would inherit; a handler is no child's
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) == signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _handler)
settings.register_profile("gancli", deadline=None, database=None, max_examples=50)
settings.load_profile("gancli")

collect_ignore_glob = ["benchmarks/*"]  # programs of their own


@pytest.fixture(autouse=True, scope="session")
def _a_cache_of_our_own(tmp_path_factory):
    """Decoded pictures and downloads go to a temporary place, not to the user's."""
    os.environ["GANCLI_CACHE"] = str(tmp_path_factory.mktemp("cache"))


SMALL = (
    "arch.generator_widths=[32]",
    "arch.discriminator_widths=[32]",
    "arch.class_dim=4",
    "model.latent_dim=8",
    "train.batch_size=32",
    "train.images=128",
    "train.learning_rate=0.01",
    "log.every_steps=2",
    "log.previews=4",
    "log.preview_every_epochs=1",
    "checkpoint.every_steps=2",
    "runtime.device=cpu",
)


@pytest.fixture(scope="session")
def small_pictures(tmp_path_factory):
    """A folder with 64 labelled pictures of 8x8 in three classes, as IDX files."""
    folder = tmp_path_factory.mktemp("pictures")
    numbers = np.random.default_rng(0)
    files = {
        "train-images-idx3-ubyte": numbers.integers(0, 256, (64, 8, 8), np.uint8),
        "train-labels-idx1-ubyte": (np.arange(64) % 3).astype(np.uint8),
    }
    for name, array in files.items():
        header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / name).write_bytes(header + array.tobytes())
    return folder


@pytest.fixture(scope="session")
def train_small(small_pictures, tmp_path_factory):
    """``(*assignments)`` -> the directory of a run of four steps, in a directory of runs of its own."""

    def train_small(*assignments):
        from gancli.config.resolve import resolve
        from gancli.training.run import train

        asked = resolve(assignments=[*SMALL, f"data.dataset={small_pictures}", *assignments], environment={})
        return train(asked.config, runs_dir=tmp_path_factory.mktemp("runs"), name="small").run

    return train_small


@pytest.fixture(scope="session")
def small_run(train_small):
    """The directory of a small trained run. Not to be changed: copy it."""
    return train_small()


@pytest.fixture(scope="session")
def small_conditional_run(train_small):
    """Likewise, of a model of three classes."""
    return train_small("model.conditional=true")


GOOD = (Path(__file__).parent / "good_plugin.py").read_text()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that makes a throw-away distribution with one plugin and one module.

    ``(distribution, module, source, name, group, version, attribute)`` -> its dist-info directory.
    """
    from gancli.plugins.distributions import read

    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delenv("GANCLI_PLUGINS", raising=False)
    read.cache_clear()  # what is installed is read once per process

    def install(dist, module, source=GOOD, name="good", *, group="gancli.architectures", version="1.2", attribute="Good"):
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        info = site / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\nSummary: About {dist}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{attribute}\n")
        read.cache_clear()
        return info

    yield install
    read.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(site)):
            del sys.modules[name]


def pytest_terminal_summary(terminalreporter):
    """After the tests, which fault of the list was covered by which tests, and how they ended."""
    outcomes = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            name = report.nodeid.rpartition("::")[2].partition("[")[0]
            for fault in re.findall(r"_(F\d\d)(?=_)", name):
                outcomes.setdefault(fault, {}).setdefault(name, Counter())[outcome] += 1
    if len(outcomes) < 2:
        return
    terminalreporter.section("faults")
    for fault, tests in sorted(outcomes.items()):
        total = sum(tests.values(), Counter())
        counts = ", ".join(f"{count} {outcome}" for outcome, count in total.items())
        terminalreporter.write_line(f"{fault}  {counts:24}  {', '.join(sorted(tests))}")
