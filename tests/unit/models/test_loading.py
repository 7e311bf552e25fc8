import hashlib
import shutil
from copy import deepcopy

import pytest
import torch

import gancli
from gancli.checkpoint.manifest import Manifest
from gancli.errors import CheckpointError, ConfigError, PluginError, RunError, UsageError
from gancli.models.loading import load
from gancli.plugins.installation import install_command
from gancli.randomness.latents import MAX_SEED
from gancli.storage.tensors import decode, encode

FILE_ARCHITECTURE = """
from gancli.plugin import ArchConfig, Architecture, Networks

class Mine(Architecture[ArchConfig]):
    api = 1
    summary = "mine"
    Config = ArchConfig

    def build(self, config, image, latent_dim):
        from torch import nn
        size = image.channels * image.height * image.width
        return Networks(
            nn.Sequential(nn.Linear(latent_dim, size), nn.Tanh(), nn.Unflatten(1, image.shape)),
            nn.Sequential(nn.Flatten(), nn.Linear(size, 1), nn.Flatten(0)),
        )
"""


def newest(run):
    return max((run / "checkpoints").glob("step-*"))


def rewrite(run, target, change):
    """A copy of the run whose manifest says something else about the model, with everything else in order."""
    copied = shutil.copytree(run, target)
    path = newest(copied) / "manifest.json"
    said = Manifest.parse(path.read_bytes())
    files = {name: (newest(copied) / name).read_bytes() for name in said.files}
    facts = deepcopy(said.facts)
    change(facts)
    path.write_bytes(Manifest.describe(said.step, files, images_seen=said.images_seen, facts=facts).encode())
    return copied


@pytest.fixture(scope="module")
def model(small_run):
    return load(small_run)


@pytest.fixture(scope="module")
def conditional(small_conditional_run):
    return load(small_conditional_run)


def test_pictures_have_the_shape_and_range_of_the_data(model):
    images = model.sample(5)
    assert images.shape == (5, 1, 8, 8)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1


def test_by_default_there_are_64(model):
    assert len(model.sample()) == 64


@pytest.mark.parametrize(("n", "batch_size"), [(1, 1), (7, 3), (40, 256), (7, 7)])
def test_picture_i_does_not_depend_on_n_or_on_the_batch(model, n, batch_size):
    many = model.sample(64, seed=100)
    torch.testing.assert_close(model.sample(n, seed=100, batch_size=batch_size), many[:n])


def test_seeds_address_pictures(model):
    counted, named = model.sample(4, seed=2**40), model.sample(seeds=[2**40 + 3, 2**40])
    torch.testing.assert_close(named, counted[[3, 0]])
    assert not torch.equal(counted[0], model.sample(1, seed=0)[0]), "the upper half of a seed counts too"


def test_the_labels_of_a_class_give_the_same_picture_alone_and_among_others(conditional):
    together = conditional.sample(seeds=[4, 5, 6], labels=[2, 0, 1])
    torch.testing.assert_close(conditional.sample(seeds=[6], labels=[1]), together[2:])
    assert not torch.equal(conditional.sample(seeds=[6], labels=[0]), together[2:])


def test_without_labels_the_classes_take_turns(conditional):
    assert conditional.class_names == ("0", "1", "2")
    torch.testing.assert_close(conditional.sample(5), conditional.sample(5, labels=[0, 1, 2, 0, 1]))


@pytest.mark.parametrize(
    ("labels", "wrong"),
    [
        ([0], "1 class is given for 2 images"),
        ([0, 3], "Class 3.* 0 to 2"),
        ([0, -1], "Class -1.* 0 to 2"),
        ([0, 0.5], "Class 0.5"),
    ],
)
def test_labels_that_do_not_fit_are_refused(conditional, labels, wrong):
    with pytest.raises(UsageError, match=wrong):
        conditional.sample(2, labels=labels)


def test_an_unconditional_model_has_no_classes(model):
    with pytest.raises(UsageError, match="Train one with --conditional"):
        model.sample(2, labels=[0, 0])


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 0},
        {"n": -3},
        {"seeds": []},
        {"n": 2, "seeds": [1]},
        {"n": 2, "seed": -1},
        {"n": 2, "seed": MAX_SEED},
        {"n": 2, "batch_size": 0},
        {"n": 2, "truncation": 0.0},
    ],
)
def test_what_cannot_be_drawn_is_refused(model, asked):
    with pytest.raises(UsageError):
        model.sample(**asked)


def test_batches_refuse_at_once_not_when_the_first_is_asked_for(model):
    with pytest.raises(UsageError):
        model.batches([1, 2], labels=[0, 0])


def test_raw_and_averaged_weights_differ_and_are_those_of_their_files(small_run):
    drawn = {}
    for weights, member in (("ema", "ema"), ("raw", "generator")):
        loaded = load(small_run, weights=weights)
        file = newest(small_run) / f"{member}.safetensors"
        stored = decode(file.read_bytes(), "it")
        assert loaded.generator.state_dict().keys() == stored.keys()
        assert all(torch.equal(value, stored[name]) for name, value in loaded.generator.state_dict().items())
        assert loaded.origin.digest == hashlib.sha256(file.read_bytes()).hexdigest()
        assert loaded.origin.weights == weights
        drawn[weights] = loaded.sample(4)
    assert not torch.allclose(drawn["ema"], drawn["raw"])


def test_a_run_is_found_by_path_name_and_as_the_last(small_run, monkeypatch):
    monkeypatch.delenv("GANCLI_RUN", raising=False)
    digests = {
        load(source, runs_dir=runs_dir).origin.digest
        for source, runs_dir in ((small_run, "nowhere"), ("small", small_run.parent), (None, small_run.parent))
    }
    assert len(digests) == 1


def test_a_run_a_checkpoint_and_the_shareable_file_are_the_same_model(small_run, tmp_path, model):
    alone = shutil.copy(newest(small_run) / "ema.safetensors", tmp_path / "shared.safetensors")
    expected = model.sample(3)
    for given in (newest(small_run), str(alone)):
        loaded = load(checkpoint=given)
        assert (loaded.origin.step, loaded.origin.digest) == (model.origin.step, model.origin.digest)
        assert torch.equal(loaded.sample(3), expected)


def test_a_step_of_the_run_can_be_chosen(small_run):
    steps = sorted(int(path.name.removeprefix("step-")) for path in (small_run / "checkpoints").glob("step-*"))
    assert len(steps) == 2
    assert load(small_run, step=steps[0]).origin.step == steps[0]
    with pytest.raises(RunError, match=f"no checkpoint of step 3 .*nearest is step {steps[0]}"):
        load(small_run, step=3)


def test_loading_and_sampling_leave_the_callers_random_numbers_alone(small_run):
    before = torch.random.get_rng_state()
    load(small_run).sample(3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_pictures_can_be_trained_on_and_changed_in_place(model):
    images = model.sample(4)
    images.add_(1).mul_(0.5)
    torch.nn.Linear(64, 2)(images.flatten(1)).sum().backward()


def test_the_generator_itself_is_frozen_and_evaluates(model):
    assert not model.generator.training
    assert not any(parameter.requires_grad for parameter in model.generator.parameters())


def test_the_package_offers_it(small_run, model):
    assert torch.equal(gancli.load(small_run).sample(2, seed=7), model.sample(2, seed=7))


def test_without_runs_the_way_to_one_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("GANCLI_RUN", raising=False)
    with pytest.raises(RunError, match=r"There are no runs in .*gancli train --dataset mnist"):
        load(runs_dir=tmp_path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(RunError, match="There is no checkpoint"):
        load(checkpoint=tmp_path / "step-000000001")
    with pytest.raises(RunError, match="There is no file"):
        load(checkpoint=tmp_path / "some.safetensors")


def test_a_device_that_is_not_here_is_refused(small_run):
    with pytest.raises(ConfigError, match="device 'cuda:99' is not available"):
        load(small_run, device="cuda:99")


def test_F12_a_truncated_member_is_refused(small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    file = newest(run) / "ema.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"ema\.safetensors' has [\d,]+ bytes, but [\d,]+ were saved"):
        load(run)


def test_F13_a_flipped_bit_is_found(small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    file = newest(run) / "ema.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not what was saved"):
        load(run)


def test_F15_the_weights_of_another_model_are_refused_with_at_most_five_differences(small_run, tmp_path):
    def wider(facts):
        facts["arch"]["options"]["generator_widths"] = [16]

    run = rewrite(small_run, tmp_path / "run", wider)
    with pytest.raises(CheckpointError, match=r"does not fit: hidden\.0\.bias is .*belongs to another model") as caught:
        load(run)
    assert caught.value.problem.count(";") <= 4


def test_F16_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x80\x04\x95cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load(checkpoint=path)


@pytest.mark.parametrize(
    "about",
    [
        None,
        "",
        "nothing",
        "[]",
        "5",
        "[" * 5000,
        "{}",
        '{"step": "x"}',
        '{"step": 1e999}',
        '{"step": 1, "step": 2}',
        '{"step": 1, "arch": []}',
    ],
)
def test_a_file_that_does_not_say_what_it_holds_is_refused(tmp_path, about):
    path = tmp_path / "model.safetensors"
    path.write_bytes(encode({"w": torch.zeros(1)}, None if about is None else {"gancli": about}))
    with pytest.raises(CheckpointError, match=r"model\.safetensors'"):
        load(checkpoint=path)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda facts: facts.pop("arch"), "arch"),
        (lambda facts: facts.update(arch="dense"), "arch"),
        (lambda facts: facts["arch"].update(options=[]), "arch.options"),
        (lambda facts: facts.update(latent_dim="100"), "latent_dim"),
        (lambda facts: facts.update(latent_dim=-1), "latent_dim"),
        (lambda facts: facts.update(latent_dim=10**9), "latent_dim"),
        (lambda facts: facts.update(classes=3), "classes"),
        (lambda facts: facts["image"].update(height=0), "image.height"),
        (lambda facts: facts["image"].update(channels=2.5), "image.channels"),
        (lambda facts: facts.pop("dataset"), "dataset"),
    ],
)
def test_F19_facts_that_make_no_sense_are_refused_by_name(small_run, tmp_path, change, where):
    run = rewrite(small_run, tmp_path / "run", change)
    with pytest.raises(CheckpointError, match=rf"does not say what is needed: {where}: "):
        load(run)


def test_F20_a_small_file_that_describes_a_huge_network_costs_no_memory(small_run, tmp_path):
    def huge(facts):
        facts["arch"]["options"]["generator_widths"] = [65536] * 32

    with pytest.raises(CheckpointError, match=r"describes networks of more than [\d,]+ numbers, and holds"):
        load(rewrite(small_run, tmp_path / "run", huge))


def test_options_that_this_version_does_not_know_are_explained(small_run, tmp_path):
    def later(facts):
        facts["arch"]["options"]["attention"] = True
        facts["arch"]["version"] = "7.0"

    with pytest.raises(CheckpointError, match=r"Unknown key 'arch\.attention'.*made by version 7\.0; install that one"):
        load(rewrite(small_run, tmp_path / "run", later))


def test_F37_another_version_of_the_plugin_is_told_and_loads(small_run, tmp_path, model):
    drifted = load(rewrite(small_run, tmp_path / "run", lambda facts: facts["arch"].update(version="0.0.1")))
    assert drifted.origin.notes == (f"Made by gancli 0.0.1; {gancli.__version__} is installed.",)
    assert torch.equal(drifted.sample(2), model.sample(2))
    assert model.origin.notes == ()


def test_F36_a_missing_plugin_is_named_with_the_command_that_installs_it(small_run, tmp_path):
    def other(facts):
        facts["arch"].update(name="marvel", distribution="Gancli_Marvel", version="2.1")

    with pytest.raises(PluginError) as caught:
        load(rewrite(small_run, tmp_path / "run", other))
    assert str(caught.value) == (
        "The architecture 'gancli-marvel/marvel' 2.1, which made this model, is not installed. "
        f"Install it: {install_command('gancli-marvel')}"
    )


@pytest.mark.parametrize(
    "hostile", ["x; rm -rf ~", "-r evil.txt", "--index-url=http://evil", "git+http://evil", "a b", "x" * 200]
)
def test_F36_a_hostile_distribution_gets_no_command(small_run, tmp_path, hostile):
    def other(facts):
        facts["arch"].update(name="marvel", distribution=hostile)

    with pytest.raises(PluginError) as caught:
        load(rewrite(small_run, tmp_path / "run", other))
    assert caught.value.remedy == "Install it."


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "mine.py"
    path.write_text(FILE_ARCHITECTURE)
    return path


@pytest.fixture(scope="module")
def file_run(small_pictures, file, tmp_path_factory, without_training):
    from gancli.config.resolve import resolve
    from gancli.training.run import train

    keys = ("train.images=64", "train.batch_size=64", "model.latent_dim=8", "runtime.device=cpu", "log.previews=4")
    asked = [f"arch.name={file}:Mine", f"data.dataset={small_pictures}", *keys]
    config = resolve(assignments=asked, environment={}).config
    with without_training():
        return train(config, runs_dir=tmp_path_factory.mktemp("runs"), name="mine").run


def test_a_file_as_architecture_has_to_be_given_again(file_run, file):
    with pytest.raises(PluginError, match=r"made by the file '.*mine\.py:Mine'\. Give it again with --arch"):
        load(file_run)
    assert load(file_run, arch=f"{file}:Mine").sample(2).shape == (2, 1, 8, 8)


def test_F17_a_file_as_architecture_has_to_be_the_same_file(file_run, file, tmp_path):
    other = tmp_path / "mine.py"
    other.write_text(file.read_text() + "\nraise SystemExit('imported')\n")
    with pytest.raises(PluginError, match="its content differs"):
        load(file_run, arch=f"{other}:Mine")


def test_an_installed_one_is_not_it_either(file_run):
    with pytest.raises(PluginError, match="'dense' is not the file"):
        load(file_run, arch="dense")
