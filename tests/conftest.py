"""What the tests of several packages need: one thread, small data, and run directories that took no training."""

import importlib
import os
import re
import signal
import struct
import sys
import textwrap
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from json import loads
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
    "arch.patch_size=0",
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
def without_training():
    """A context in which runs are written by the real code, but a step leaves the networks as they are.

    The optimisers have moments afterwards, the EMA differs from the weights, and metrics are constants.
    """

    def step(trainer, *_, **__):
        import torch

        state, noise = trainer.state, torch.Generator().manual_seed(trainer.state.step)
        for trained in state.trained.values():
            for weight in trained.network.parameters():
                weight.grad = torch.zeros_like(weight)
            trained.optimizer.step()
        with torch.no_grad():
            for weight in state.ema.parameters():
                weight.add_(torch.randn(weight.shape, generator=noise), alpha=0.1)
        state.step += 1
        state.images_seen += trainer.rules.batch_size * trainer.batches_per_step
        return {name: torch.tensor(0.5) for name in ("d_loss", "g_loss", "real_score", "fake_score")}

    def evaluate(monitor, _part=1.0):
        monitor.distance = "fd_random"
        return {"fd_random": 40.0, "coverage_random": 0.5}

    @contextmanager
    def without_training():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gancli.gan.trainer.Trainer.step", step)
            patch.setattr("gancli.training.monitoring.Monitor.evaluate", evaluate)
            patch.setattr("gancli.training.monitoring.Monitor.distance_of_a_constant", lambda _: 400.0)
            patch.setattr("gancli.training.session.plot_losses", lambda rows, path: path.write_bytes(b""))  # noqa: ARG005  (the signature is given)
            yield

    return without_training


@pytest.fixture(scope="session")
def write_small(small_pictures, tmp_path_factory, without_training):
    """``(*assignments)`` -> the directory of a run of four steps that trained nothing, in a directory of its own."""

    def write_small(*assignments):
        from gancli.config.resolve import resolve
        from gancli.training.run import train

        asked = resolve(assignments=[*SMALL, f"data.dataset={small_pictures}", *assignments], environment={})
        with without_training():
            return train(asked.config, runs_dir=tmp_path_factory.mktemp("runs"), name="small").run

    return write_small


@pytest.fixture(scope="session")
def small_run(write_small):
    """The directory of a small run. Not to be changed: copy it."""
    return write_small()


@pytest.fixture(scope="session")
def small_conditional_run(write_small):
    """Likewise, of a model of three classes."""
    return write_small("model.conditional=true")


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder with 300 IDX pictures of 8x8 and their labels."""
    folder = tmp_path_factory.mktemp("digits")
    pictures = np.random.default_rng(3).integers(0, 256, (300, 8, 8), np.uint8)
    labels = (np.arange(300) % 3).astype(np.uint8)
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">4BIII", 0, 0, 8, 3, 300, 8, 8) + pictures.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 300) + labels.tobytes())
    return folder


@pytest.fixture(scope="session")
def state_of():
    """``(run directory)`` -> every tensor and counter of the newest checkpoint: all but the configuration."""
    from gancli.checkpoint.store import CheckpointStore
    from gancli.storage.tensors import decode

    def state_of(run_directory):
        files = CheckpointStore(run_directory.checkpoints).load().files
        tensors = {name: decode(content, name) for name, content in files.items() if name.endswith(".safetensors")}
        flat = {f"{file}/{name}": tensor for file, group in tensors.items() for name, tensor in group.items()}
        return flat, loads(files["state.json"])

    return state_of


@pytest.fixture(scope="session")
def same_bits(state_of):
    """``(run directory, run directory)``: they end in the same bits, and with the same rows of metrics."""
    import torch

    def compare(one, other):
        (tensors, counters), (others, other_counters) = state_of(one), state_of(other)
        assert tensors.keys() == others.keys()
        assert [name for name, tensor in tensors.items() if not torch.equal(tensor, others[name])] == []
        assert counters == other_counters
        assert one.metrics_path.read_bytes() == other.metrics_path.read_bytes()

    return compare


@pytest.fixture(scope="session")
def configure(digits):
    """``(*assignments)`` -> the configuration of a run that takes a second: 3 epochs of 9 steps, with dropout."""
    import torch

    from gancli.config.resolve import resolve

    torch.set_num_threads(1)
    small = [
        f"data.dataset={digits}",
        "arch.patch_size=0",
        "arch.generator_widths=[16]",
        "arch.discriminator_widths=[16]",
        "arch.dropout=0.3",
        "train.batch_size=32",
        "log.every_steps=4",
        "log.preview_every_epochs=1",
        "checkpoint.every_steps=9",
        "log.previews=16",
        "runtime.device=cpu",
        "runtime.precision=fp32",
    ]

    def make(*assignments):
        lengths = ("train.images", "train.epochs", "train.minutes")
        length = [] if any(a.startswith(lengths) for a in assignments) else ["train.epochs=3"]
        return resolve(assignments=[*small, *length, *assignments], environment={}).config

    return make


@pytest.fixture
def stop_after():
    """``(n)`` -> a stop function that asks for SIGTERM after n steps."""

    def make(steps):
        calls = iter(range(1, 10**9))
        return lambda: 15 if next(calls) == steps else 0

    return make


@pytest.fixture(scope="session")
def made_up():
    """``(then, image) -> Model``: a generator with that operation in it, which says about itself what a run would."""
    import torch
    from torch import nn

    from gancli.checkpoint.provenance import Origin, Provenance
    from gancli.models.model import Model
    from gancli.plugin import ImageSpec

    class Drawn(nn.Module):
        """One linear layer, then whatever a test wants."""

        def __init__(self, then, image):
            super().__init__()
            torch.manual_seed(0)
            self.linear = nn.Linear(4, image.channels * image.height * image.width)
            self.then, self.shape = then, image.shape

        def forward(self, z):
            return self.then(self.linear(z).unflatten(1, self.shape)).tanh()

    def made_up(then=nn.Identity(), image=ImageSpec(1, 6, 4)):  # noqa: B008  (never changed)
        facts = {
            "arch": {"name": "made-up", "distribution": "none", "version": "1", "options": {}},
            "image": {"channels": image.channels, "height": image.height, "width": image.width},
            "classes": [],
            "latent_dim": 4,
            "dataset": {"name": "nothing", "licence": "CC0"},
        }
        origin = Origin("run", Path("runs/run/checkpoints/step-1"), 1, "0" * 64, "ema", Provenance.parse(facts, Path()))
        return Model(Drawn(then, image), 4, image, (), origin)

    return made_up


def built(run, arch, image, latent_dim, **options):
    """A model with fresh weights that says about itself what a run of two steps would."""
    import torch

    from gancli.checkpoint.provenance import Origin, Provenance
    from gancli.models.model import Model
    from gancli.plugins.registry import ARCHITECTURES

    entry = ARCHITECTURES.find(arch)
    plugin = ARCHITECTURES.load_entry(entry)()
    config = plugin.Config(**options)
    torch.manual_seed(0)
    generator = plugin.build(config, image, latent_dim).generator
    made_by = {"name": entry.name, "distribution": entry.distribution, "version": entry.version}
    facts = {
        "arch": {**made_by, "options": config.model_dump(mode="json")},
        "image": {"channels": image.channels, "height": image.height, "width": image.width},
        "classes": [str(i) for i in range(image.classes)],
        "latent_dim": latent_dim,
        "dataset": {"name": "mnist", "licence": "CC BY-SA 3.0"},
        "config": {"train.images": 256, "data.dataset": "/home/me/mnist", "runtime.device": "cpu"},
        "environment": {"elapsed_seconds": 3},
    }
    origin = Origin(
        run, Path(f"runs/{run}/checkpoints/step-000000002"), 2, "0123456789abcdef" * 4, "ema", Provenance.parse(facts, Path())
    )
    return Model(generator, latent_dim, image, tuple(facts["classes"]), origin)


@pytest.fixture(scope="session")
def models():
    """Each kind of model by its name."""
    from gancli.plugin import ImageSpec

    pytest.importorskip("gancli_dcgan")
    return {
        "small": built("small", "dense", ImageSpec(1, 8, 8), 8, generator_widths=[32]),
        "classes": built("classes", "dense", ImageSpec(1, 8, 8, 3), 8, generator_widths=[32]),
        "plain": built("plain", "dense", ImageSpec(1, 28, 28), 64),
        "mnist": built("mnist", "dense", ImageSpec(1, 28, 28, 10), 64),
        "dcgan": built("dcgan", "dcgan", ImageSpec(1, 28, 28, 10), 8, channels=8),
    }


@pytest.fixture(scope="session")
def write(tmp_path_factory):
    """``(model, suffix, **options) -> (bytes, difference)``: an export, compared with its generator."""

    from gancli.exporting.formats import choose, trained_generator

    def write(model, suffix, **options):
        path = tmp_path_factory.mktemp("exports") / "generator"
        difference = choose(Path(suffix), suffix, options).write(trained_generator(model), path)
        return path.read_bytes(), difference

    return write


@pytest.fixture(scope="session")
def exported(models, write):
    """``(name, suffix, **options) -> bytes``: an export of that model, made once."""
    made = {}

    def exported(name, suffix, **options):
        key = (name, suffix, *sorted(options.items()))
        if key not in made:
            made[key] = write(models[name], suffix, **options)
        return made[key][0]

    return exported


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return loads(self.out)


@pytest.fixture
def clean_place(tmp_path, monkeypatch):
    """An empty working directory, and none of the variables that steer the command line."""
    monkeypatch.chdir(tmp_path)
    for name in ("GANCLI_RUN", "GANCLI_PLUGINS", "GANCLI_DEBUG", "NO_COLOR", "FORCE_COLOR", "_GANCLI_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def cli(capsys, clean_place):  # noqa: ARG001  (it is for its effect)
    """``(*argv)`` -> exit code, stdout and stderr of a command, in this process."""
    from gancli.cli.app import run

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
    return SMALL_OPTIONS


SMALL_OPTIONS = (
    "-s",
    "arch.patch_size=0",
    "-s",
    "arch.generator_widths=[8]",
    "-s",
    "arch.discriminator_widths=[8]",
    "--batch-size",
    "16",
    "--device",
    "cpu",
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, pictures, without_training):
    """A directory with the run of a conditional model and then of an ordinary one, neither of them trained."""
    from gancli.cli.app import run

    here = tmp_path_factory.mktemp("trained")
    for name, *options in (("classes", "--conditional"), ("plain",)):
        train = ["train", "--dataset", str(pictures), "--name", name, "--runs-dir", str(here / "runs"), "--epochs", "2", "-q"]
        with without_training():
            assert run([*train, *options, *SMALL_OPTIONS]) == 0
    return here


@pytest.fixture
def at_trained(trained, clean_place, monkeypatch):  # noqa: ARG001  (the signature is given)
    """The same as the working directory."""
    monkeypatch.chdir(trained)
    return Path("runs")


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


@pytest.fixture
def stand_in(monkeypatch):
    """Recordings of CPU operations in place of CUDA graphs."""
    from gancli.runtime.graphs import GRAPHS

    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setitem(GRAPHS, "cpu", importlib.import_module("stand_in").Recordings)
