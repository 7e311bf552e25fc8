"""Every paper's plugin is trained, killed, resumed to the same bits, sampled and exported."""

import ast
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import gancli
from gancli.checkpoint.provenance import Provenance
from gancli.checkpoint.store import CheckpointStore
from gancli.config.resolve import resolve
from gancli.errors import ConfigError
from gancli.exporting.formats import choose, export
from gancli.gan.context import example_inputs
from gancli.plugin import TwoStageGenerator
from gancli.plugins.registry import ARCHITECTURES, EXPORTERS
from gancli.runs import find_run
from gancli.training.run import resume, train

HERE = Path(__file__).parent
STEPS = 4
RUN = (
    "train.batch_size=4",
    "augment.mode=off",
    "log.every_steps=2",
    "log.previews=4",
    "log.quality_every_images=0",
    "runtime.device=cpu",
    "runtime.precision=fp32",
    "runtime.threads=1",
)


@dataclass(frozen=True)
class Paper:
    """A plugin of one file.

    Attributes:
        target: ``FILE.py:CLASS``.
        columns: what a training reports, besides the two scores.
        networks: what a checkpoint holds.
        settings: what makes it smaller, or lazy terms frequent enough to be seen.
        sources: whether it translates images; and whether these are ``paired``.
        frozen: networks that a checkpoint holds as a hash.
    """

    file: str
    name: str
    columns: tuple[str, ...]
    networks: tuple[str, ...] = ("discriminator", "ema", "generator")
    settings: tuple[str, ...] = ()
    channels: int = 1
    sources: str = ""
    frozen: tuple[str, ...] = ()

    @property
    def traced(self):
        """Whether it is exported as a program as well: one of each kind of generator, since that takes seconds."""
        return self.name in ("StyleGAN2", "StyleGAN", "FastGAN", "InfoGAN", "ACGAN")

    @property
    def target(self):
        return f"{HERE / self.file}.py:{self.name}"

    def __str__(self):
        return self.name


GAN = ("d_loss", "g_loss", "real_score", "fake_score")
LATENT = "model.latent_dim=16"
NARROW = "arch.channels=8"
CYCLE = ("discriminator", "discriminator_source", "back", "ema_back", "ema", "generator")

PAPERS = (
    Paper("stylegan2", "StyleGAN2", (*GAN, "r1", "path_length"), settings=(LATENT, NARROW)),
    Paper("stylegan", "StyleGAN", (*GAN, "r1"), settings=(LATENT, NARROW), channels=3),
    Paper("fastgan", "FastGAN", (*GAN, "whole", "part"), settings=(LATENT, NARROW), channels=3),
    Paper("wgan", "WGAN", GAN, settings=(LATENT,)),
    Paper("wgan", "WGANGP", (*GAN, "gp"), settings=(LATENT,)),
    Paper("projected_gan", "ProjectedGAN", GAN, settings=(LATENT, NARROW), channels=3, frozen=("features",)),
    Paper("infogan", "InfoGAN", (*GAN, "category", "angles"), ("discriminator", "ema", "generator", "q")),
    Paper("acgan", "ACGAN", (*GAN, "class_real", "class_fake", "g_class"), settings=(LATENT,)),
    Paper(
        "vae_gan",
        "VAEGAN",
        (*GAN, "prior", "feature", "d_reconstructed"),
        ("discriminator", "ema", "encoder", "generator"),
        (LATENT,),
    ),
    Paper("lsgan", "LSGAN", GAN, settings=(LATENT, NARROW)),
    Paper("pix2pix", "Pix2Pix", (*GAN, "l1"), settings=(NARROW,), channels=3, sources="paired"),
    Paper(
        "cyclegan",
        "CycleGAN",
        ("d_loss", "d_source", "g_loss", "g_source", "cycle", "identity"),
        CYCLE,
        (NARROW, "arch.pool=6"),
        channels=3,
        sources="unpaired",
    ),
)
TRANSLATORS = tuple(paper for paper in PAPERS if paper.sources)
GENERATORS = tuple(paper for paper in PAPERS if not paper.sources)


def named(papers):
    return pytest.mark.parametrize("paper", papers, ids=str)


def copies(tensors):
    return {group: {name: value.clone() for name, value in members.items()} for group, members in tensors.items()}


def assert_same_state(one, two):
    first, second = one.tensors(), two.tensors()
    assert first.keys() == second.keys()
    for group, members in first.items():
        assert members.keys() == second[group].keys()
        for name, value in members.items():
            assert torch.equal(value, second[group][name]), f"{group}/{name}"
    assert one.counters() == two.counters()


@pytest.mark.parametrize("file", sorted(HERE.glob("*.py")), ids=lambda file: file.stem)
def test_a_plugin_needs_the_public_contract_alone(file):
    if file.name in ("conftest.py", Path(__file__).name) or file.name.startswith("test_"):
        return
    tree = ast.parse(file.read_text())
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {name for name in modules if name.startswith("gancli")} == {"gancli.plugin"}


@named(PAPERS)
def test_it_trains_and_reports_every_term(start, paper):
    training = start(paper)
    before = copies(training.state.tensors())
    report = training.train(STEPS)
    assert report.keys() == set(paper.columns)
    assert all(math.isfinite(value) for values in report.values() for value in values)
    assert training.state.non_finite() is None
    assert sorted(training.state.stored_networks()) == sorted(paper.networks)
    assert sorted(training.state.frozen) == sorted(paper.frozen)
    for name, trained in training.state.trained.items():
        unmoved = [key for key, value in trained.network.named_parameters() if torch.equal(value, before[name][key])]
        assert unmoved == [], name


@named(PAPERS)
def test_a_restored_state_goes_on_to_the_same_bits(start, paper):
    whole, broken = start(paper), start(paper)
    whole.train(STEPS - 1)
    saved = copies(whole.state.tensors()), whole.state.counters()
    whole.train(2)
    broken.state.restore(*saved)
    broken.train(2)
    assert_same_state(whole.state, broken.state)


@named([paper for paper in GENERATORS if paper.name != "ACGAN"])
def test_classes_that_it_cannot_learn_are_refused(start, paper):
    with pytest.raises(ConfigError, match="is unconditional"):
        start(paper, "model.conditional=true")


@named(TRANSLATORS)
def test_a_translation_is_a_function_of_the_source(start, paper):
    training = start(paper)
    training.train(2)
    z, *conditions = example_inputs(training.image, 1, 3)
    source = torch.rand_like(conditions[-1])
    with torch.no_grad():
        images, again, other = (training.state.ema(z, each) for each in (source, source, -source))
    assert images.shape == (3, *training.image.shape)
    assert torch.equal(images, again)
    assert not torch.equal(images, other)


@named(TRANSLATORS)
def test_a_translator_is_loaded_from_the_file_of_its_weights(start, tmp_path, paper):
    training = start(paper)
    training.train(2)
    entry = ARCHITECTURES.find(paper.target)
    options = training.config.arch.options
    made_by = {"name": entry.name, "distribution": "", "version": entry.version, "options": options}
    channels, height, width = training.image.shape
    facts = {
        "arch": made_by,
        "image": {"channels": channels, "height": height, "width": width},
        "source": list(training.image.source),
        "paired": training.image.paired,
        "classes": [],
        "latent_dim": 1,
        "dataset": {"name": "synthetic"},
        "step": 2,
    }
    path = tmp_path / "ema.safetensors"
    path.write_bytes(training.state.files(Provenance.parse(facts, path).document())["ema.safetensors"])
    model = gancli.load(checkpoint=path, arch=paper.target)
    assert model.image == training.image
    inputs = example_inputs(model.image, 1, 2)
    assert torch.equal(model.generator(*inputs), training.state.ema(*inputs))


@named([paper for paper in PAPERS if paper.name in ("StyleGAN2", "InfoGAN", "VAEGAN", "Pix2Pix")])
def test_micro_batches_add_up_to_the_batch(start, paper):
    """Of networks that mix no images, the first losses are the same, as far as no term draws noise per micro-batch."""
    whole, divided = start(paper), start(paper, "train.accumulate=2")
    one, two = whole.train(1), divided.train(1)
    assert one.keys() == two.keys()
    assert all(math.isfinite(value[0]) for value in two.values())
    if paper.name in ("InfoGAN", "VAEGAN"):
        assert two["d_loss"] == pytest.approx(one["d_loss"], rel=1e-5)
    if paper.name == "InfoGAN":
        for column in ("g_loss", "category", "angles"):
            assert two[column] == pytest.approx(one[column], rel=1e-4)


def configured(paper, archive):
    images = STEPS * 4 * (5 if paper.file == "wgan" else 1)
    settings = (f"arch.name={paper.target}", f"data.dataset={archive(paper)}", f"train.images={images}")
    return resolve(assignments=[*settings, *RUN, *paper.settings], environment={}).config


@named(GENERATORS)
def test_a_run_is_sampled_and_exported(archive, tmp_path, paper):
    end = train(configured(paper, archive), runs_dir=tmp_path, name="whole")
    assert end.status == "done"
    model = gancli.load("whole", runs_dir=tmp_path, arch=paper.target)
    images = model.sample(3, seed=7)
    assert images.shape == (3, paper.channels, 16, 16)
    labels = [1] if model.image.classes else None
    torch.testing.assert_close(model.sample(1, seed=8, labels=labels), images[1:2])
    files = sorted(path.name for path in CheckpointStore(find_run("whole", tmp_path).checkpoints).path(STEPS).iterdir())
    networks = [f"{name}.safetensors" for name in paper.networks]
    assert files == sorted([*networks, "manifest.json", "meters.safetensors", "optim.safetensors", "state.json"])
    traced = paper.traced and "pt2" in EXPORTERS.names()
    for name in ("model.safetensors", "model.pt2") if traced else ("model.safetensors",):
        export(model, tmp_path / name, choose(tmp_path / name), paper.target)  # refuses a file that differs
    loaded = gancli.load(checkpoint=tmp_path / "model.safetensors", arch=paper.target)
    assert torch.equal(loaded.sample(3, seed=7), images)


@named([paper for paper in GENERATORS if paper.name in ("StyleGAN2", "WGAN", "ProjectedGAN", "VAEGAN")])
def test_a_run_that_was_stopped_ends_in_the_same_bits(archive, tmp_path, paper):
    calls = iter((0, 15))
    config = configured(paper, archive)
    train(config, runs_dir=tmp_path, name="whole")
    stopped = train(config, runs_dir=tmp_path, name="stopped", stop=lambda: next(calls))
    assert stopped.status == "stopped"
    run = find_run("stopped", tmp_path)
    assert resume(run).status == "done"
    ends = [CheckpointStore(find_run(name, tmp_path).checkpoints).load() for name in ("whole", "stopped")]
    assert ends[0].step == ends[1].step == STEPS
    assert ends[0].state_digest == ends[1].state_digest
    assert set(ends[0].manifest.facts.get("frozen", {})) == set(paper.frozen)


def test_other_frozen_weights_are_refused(archive, tmp_path, monkeypatch):
    (paper,) = (each for each in GENERATORS if each.name == "ProjectedGAN")
    calls = iter((15,))
    train(configured(paper, archive), runs_dir=tmp_path, name="run", stop=lambda: next(calls))
    monkeypatch.setattr("gancli.training.setup.digest_of", lambda tensors: "0" * 64)
    with pytest.raises(gancli.GancliError, match="frozen network 'features' has other weights"):
        resume(find_run("run", tmp_path))


def test_sampling_builds_the_generator_alone(archive, tmp_path, monkeypatch):
    (paper,) = (each for each in GENERATORS if each.name == "ProjectedGAN")
    train(configured(paper, archive), runs_dir=tmp_path, name="run")
    monkeypatch.setattr(ARCHITECTURES.load(paper.target), "build", None)
    assert gancli.load("run", runs_dir=tmp_path, arch=paper.target).sample(1).shape == (1, 3, 16, 16)


@named([paper for paper in PAPERS if paper.name in ("StyleGAN", "StyleGAN2")])
def test_a_two_stage_generator_is_synthesis_of_mapping(start, paper):
    training = start(paper)
    training.train(2)
    generator = training.state.ema
    assert isinstance(generator, TwoStageGenerator)
    (z,) = example_inputs(training.image, 16, 3)
    with torch.no_grad():
        w = generator.mapping(z)
        torch.testing.assert_close(generator.synthesis(w), generator(z))
        assert generator.synthesis(generator.mean_w[None]).shape == (1, *training.image.shape)
    assert generator.mean_w.abs().sum() > 0
    assert torch.equal(generator.mean_w, training.state.networks["generator"].mean_w)
