import shutil

import pytest
import torch

from gancli.config.resolve import resolve
from gancli.errors import ConfigError, RunError
from gancli.models.parent import inherit, start_from
from gancli.models.stored import absolute
from gancli.storage.tensors import decode
from gancli.training.run import train
from gancli.training.setup import set_up


@pytest.fixture(autouse=True)
def _offline_and_single_threaded():
    torch.set_num_threads(1)


def resolved(parent, runs_dir, *assignments):
    fixed = ["train.images=64", "train.batch_size=32", "runtime.device=cpu", "log.previews=4"]
    return resolve(assignments=[*fixed, f"model.parent={parent}", *assignments], environment={}, inherit=inherit(runs_dir))


@pytest.fixture
def child(small_run, small_pictures):
    """``(*assignments, parent)`` -> the state of a training that starts from the small run, its parent and the notes."""

    def start(*assignments, parent=small_run):
        config = resolved(parent, small_run.parent, f"data.dataset={small_pictures}", *assignments).config
        game = set_up(config)
        return game.state, *start_from(config.model.parent, game.state, game.arch.name, game.image)

    return start


def stored(run, name):
    path = max((run / "checkpoints").glob("step-*")) / f"{name}.safetensors"
    return decode(path.read_bytes(), name)


def test_architecture_and_options_come_from_the_parent(small_run):
    asked = resolved("small", small_run.parent, "train.learning_rate=0.5")
    config = asked.config
    assert config.arch.options["generator_widths"] == [32]
    assert (config.model.latent_dim, config.data.image_size, config.data.channels) == (8, "8x8", 1)
    assert config.model.parent == absolute(str(small_run), small_run.parent)
    assert config.train.learning_rate == 0.5
    assert asked.origins["model.latent_dim"] == "parent small"


def test_an_option_that_a_model_is_older_than_has_its_plain_default_and_not_what_new_runs_prefer(tmp_path):
    assert resolve(environment={}).config.arch.options["patch_size"] > 0
    taken_over = inherit(tmp_path)("mnist")
    assert (taken_over["arch.patch_size"], taken_over["arch.generator_widths"]) == (0, [128, 256, 384])


def test_what_the_user_sets_wins(small_run):
    assert resolved("small", small_run.parent, "data.image_size=16").config.data.image_size == "16"


def test_all_networks_and_the_ema_are_copied_and_all_else_is_new(child, small_run):
    state, parent, notes = child()
    for name in ("generator", "discriminator", "ema"):
        own = state.stored_networks()[name].state_dict()
        assert all(torch.equal(own[key], value) for key, value in stored(small_run, name).items())
    assert (state.step, state.images_seen, state.best) == (0, 0, None)
    assert not any(trained.optimizer.state for trained in state.trained.values())
    assert (parent.run, parent.networks) == ("small", ("generator", "discriminator", "ema"))
    (note,) = notes
    assert note.startswith("Starts from the weights of small, step 4, trained on ")


def test_a_file_has_only_the_generator_and_that_is_said(child, small_run, tmp_path):
    shutil.copy(max((small_run / "checkpoints").glob("step-*")) / "ema.safetensors", tmp_path / "x.safetensors")
    state, parent, notes = child(parent=tmp_path / "x.safetensors")
    ema = stored(small_run, "ema")
    for name in ("generator", "ema"):
        assert torch.equal(state.stored_networks()[name].state_dict()["output.weight"], ema["output.weight"])
    assert parent.networks == ("generator", "ema")
    assert "discriminator" in notes[1]


def test_another_number_of_classes_redraws_the_class_embeddings(child, small_conditional_run, tmp_path):
    import numpy as np

    np.savez(tmp_path / "five.npz", images=np.zeros((64, 8, 8), np.uint8), labels=np.arange(64) % 5)
    state, _, notes = child(f"data.dataset={tmp_path / 'five.npz'}", parent=small_conditional_run)
    assert "5 classes instead of 3" in notes[-1]
    generator = state.networks["generator"]
    assert generator.embedding.weight.shape[0] == 5
    assert torch.equal(generator.embedding.weight, state.ema.embedding.weight)
    assert torch.equal(generator.output.weight, stored(small_conditional_run, "generator")["output.weight"])


def test_images_without_labels_are_one_class_to_a_conditional_parent(child, small_conditional_run, tmp_path):
    import numpy as np

    np.savez(tmp_path / "plain.npz", images=np.zeros((64, 8, 8), np.uint8))
    state, _, notes = child(f"data.dataset={tmp_path / 'plain.npz'}", parent=small_conditional_run)
    assert notes[-1] == "There is 1 class instead of 3: the class embeddings start anew."
    assert state.networks["generator"].embedding.num_embeddings == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("data.image_size=16", "'small' make 1x8x8; 'dense' has others for 1x16x16. Leave out --image-size, or --from"),
        ("arch.generator_widths=[16]", r"does not fit: .*Leave out --latent-dim and the options of -s arch\., or --from"),
        ("model.conditional=true", "'small' knows 0 classes, and this training 3. Leave out --conditional, or --from"),
    ],
)
def test_what_does_not_fit_is_one_error_that_says_why(child, other, words):
    with pytest.raises(ConfigError, match=words):
        child(other)


def test_another_architecture_is_refused(child):
    with pytest.raises(ConfigError, match="has the architecture 'dense', not 'dcgan'"):
        child("arch.name=dcgan", "data.image_size=16")


def test_there_is_no_such_parent(tmp_path):
    with pytest.raises(RunError, match="no run, checkpoint or file 'nobody'"):
        absolute("nobody", tmp_path)


def test_the_first_layers_of_the_discriminator_are_frozen(small_run, small_pictures):
    game = set_up(resolved("small", small_run.parent, f"data.dataset={small_pictures}", "train.freeze_discriminator=1").config)
    before = {name: weight.clone() for name, weight in game.state.networks["discriminator"].state_dict().items()}
    game.step()
    after = game.state.networks["discriminator"].state_dict()
    assert torch.equal(before["hidden.0.weight"], after["hidden.0.weight"])
    assert not torch.equal(before["output.weight"], after["output.weight"])


@pytest.mark.parametrize(
    ("assignments", "words"),
    [(["model.parent=mnist"], "'mnist' holds no discriminator"), ([], "without a parent")],
)
def test_what_cannot_be_frozen_is_refused(assignments, words, tmp_path):
    fixed = ["train.images=64", "runtime.device=cpu", "train.freeze_discriminator=1", "data.dataset=mnist"]
    config = resolve(assignments=[*fixed, *assignments], environment={}, inherit=inherit(tmp_path)).config
    with pytest.raises(ConfigError, match=words):
        train(config, runs_dir=tmp_path)


def test_the_discriminator_keeps_a_layer_to_train(child):
    with pytest.raises(ConfigError, match="Give at most 1: one has to be trained"):
        child("train.freeze_discriminator=2")
