"""What is chosen for images of which the user leaves architecture, size or length open."""

import json

import numpy as np
import pytest
from PIL import Image

from gancli.config.resolve import resolve
from gancli.config.schema import DataConfig
from gancli.data import choice
from gancli.data.choice import choose
from gancli.data.source import open_source
from gancli.errors import ConfigError
from gancli.plugin import ArchConfig, Architecture, Asset, Purpose
from gancli.plugins.registry import ARCHITECTURES, Entry


class Wavelets(Architecture[ArchConfig]):
    api = 2
    summary = "Nothing that could be built"
    Config = ArchConfig
    purpose = Purpose("wavelets keep edges sharp", rank=99, sides=(50, 500), channels=(3,), resized_to=(64, 256), images=70_000)

    def supports(self, config, image):  # noqa: ARG002  (the signature is given)
        return "It knows no classes." if image.classes else None

    def build(self, config, image, latent_dim):
        raise NotImplementedError


class Broken(Wavelets):
    api = 99


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """``{name: class}`` of the architectures that are installed; on a machine without a GPU."""
    real = {name: ARCHITECTURES.load(name) for name in ("dense", "dcgan", "resnet")}
    monkeypatch.setattr(ARCHITECTURES, "entries", lambda: [Entry(n, "gancli.architectures", "", "gancli", "1") for n in real])
    monkeypatch.setattr(ARCHITECTURES, "import_entry", lambda entry: real[entry.name])
    monkeypatch.setattr(choice, "_has_gpu", lambda _: False)
    return real


@pytest.fixture
def photos_of(tmp_path):
    """``(*sizes, mode)`` -> the path of a folder with one image of each size."""

    def make(*sizes, mode="RGB"):
        folder = tmp_path / "photos"
        folder.mkdir()
        for i, size in enumerate(sizes):
            Image.new(mode, size, 40 + i if mode == "L" else (250, i, 3)).save(folder / f"{i}.png")
        return str(folder)

    return make


def chosen(dataset, *assignments, **flags):
    named = {key.replace("__", "."): value for key, value in flags.items()}
    resolved = resolve(assignments=assignments, flags={"data.dataset": dataset, **named}, environment={}, choose=choose)
    return resolved, resolved.config


def test_many_small_grey_images_train_dense_as_ever(tmp_path):
    np.save(tmp_path / "digits.npy", np.zeros((10_000, 28, 28), np.uint8))
    resolved, config = chosen(str(tmp_path / "digits.npy"))
    assert (config.arch.name, config.data.image_size, config.train.images) == ("dense", None, 1_000_000)
    assert resolved.origins["arch.name"] == "the images"
    assert "dense" in resolved.reason


def test_few_of_them_do_not(tmp_path):
    np.save(tmp_path / "digits.npy", np.zeros((300, 28, 28), np.uint8))
    assert chosen(str(tmp_path / "digits.npy"))[1].arch.name == "dcgan"


def test_a_folder_of_colour_gets_the_highest_rank_and_the_reason(photos_of):
    resolved, config = chosen(photos_of((64, 64), (64, 64)))
    assert (config.arch.name, config.data.image_size, config.train.images) == ("dcgan", None, 300_000)
    assert resolved.reason.startswith("Chosen for 2 colour images of 64x64: architecture dcgan (")
    assert "300,000 images seen" in resolved.reason


def test_one_image_is_one_image(photos_of):
    assert chosen(photos_of((64, 64)))[0].reason.startswith("Chosen for 1 colour image of 64x64: ")


def test_large_images_are_not_resized_to_64(photos_of, monkeypatch):
    folder = photos_of((700, 500), (400, 300))
    resolved, config = chosen(folder)
    assert (config.data.image_size, config.train.images) == ("128", 75_000)
    assert resolved.origins["data.image_size"] == "the images"
    monkeypatch.setattr(choice, "_has_gpu", lambda _: True)
    config = chosen(folder)[1]
    assert (config.data.image_size, config.train.images) == ("256", 75_000)


@pytest.mark.parametrize(("size", "side"), [((72, 72), 64), ((12, 12), 16), ((50, 37), 32), ((80, 80), 80)])
def test_the_size_is_one_that_the_architecture_generates(photos_of, size, side):
    resolved, config = chosen(photos_of(size))
    assert f"{side}x{side}: architecture dcgan" in resolved.reason
    assert open_source(config.data.dataset).spec(config.data).shape == (3, side, side)


def test_a_size_that_the_user_asks_for_chooses_among_those_that_generate_it(photos_of):
    assert chosen(photos_of((64, 64)), data__image_size="72")[1].arch.name == "resnet"


def test_an_architecture_without_a_purpose_is_left_as_it_is(photos_of, installed):
    installed["dcgan"] = type("Other", (installed["dcgan"],), {"purpose": None})
    folder = photos_of((700, 500), (400, 300))
    config = chosen(folder, arch__name="dcgan")[1]
    assert (config.data.image_size, config.train.images) == (None, 300_000)
    assert chosen(folder)[1].arch.name == "resnet"


def test_size_and_length_follow_the_images_also_if_the_architecture_was_named(photos_of):
    resolved, config = chosen(photos_of((700, 500)), arch__name="resnet")
    assert (config.data.image_size, config.train.images, resolved.reason) == ("128", 75_000, "")
    assert resolved.origins["arch.name"] == "--arch"


def test_what_the_user_says_wins(photos_of):
    resolved, config = chosen(photos_of((700, 500)), data__image_size="32", train__epochs=3)
    assert (config.arch.name, config.data.image_size, config.train.images, config.train.epochs) == ("dcgan", "32", None, 3)
    assert "seen" not in resolved.reason


def test_an_option_of_an_architecture_chooses_among_those_that_have_it(photos_of):
    assert chosen(photos_of((64, 64)), "arch.growth=3")[1].arch.name == "resnet"


def test_an_option_that_none_has_changes_no_choice(photos_of):
    with pytest.raises(ConfigError, match=r"Did you mean 'arch\.group_size'"):
        chosen(photos_of((64, 64)), "arch.group_siz=3")


def test_nothing_is_chosen_for_a_named_set_a_parent_or_a_stored_run(photos_of):
    assert not chosen("mnist")[0].reason
    folder = photos_of((64, 64))
    stored = chosen(folder)[1].model_dump(mode="json")
    assert resolve(flags=flat(stored), environment={}, preferences=False).config.model_dump(mode="json") == stored


def test_a_configuration_repeats_the_choice(photos_of, tmp_path, installed):
    config = chosen(photos_of((700, 500)))[1]
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config.model_dump(mode="json")))
    installed["wavelets"] = Wavelets
    again = resolve(files=[file], environment={}, choose=choose)
    assert (again.config, again.reason) == (config, "")


def test_a_plugin_takes_part(photos_of, installed):
    installed.update(wavelets=Wavelets, broken=Broken)
    folder = photos_of((200, 200))
    resolved, config = chosen(folder)
    assert (config.arch.name, config.data.image_size, config.train.images) == ("wavelets", None, 70_000)
    assert "resized to 64x64: architecture wavelets (wavelets keep edges sharp)" in resolved.reason


@pytest.mark.parametrize(("size", "mode"), [((40, 40), "RGB"), ((600, 600), "RGB"), ((200, 200), "L")])
def test_a_plugin_does_not_get_what_it_is_not_for(photos_of, installed, size, mode):
    installed["wavelets"] = type("Small", (Wavelets,), {"purpose": Purpose("so", rank=99, sides=(50, 60), channels=(3,))})
    assert chosen(photos_of(size, mode=mode))[1].arch.name == "dcgan"


def test_the_hub_is_not_asked_for_a_look_at_the_settings(monkeypatch):
    monkeypatch.setattr(choice, "open_source", lambda _: pytest.fail("fetched"))
    assert choose(DataConfig(dataset="hf:someone/cats"), None, {}, fetch=False) is None


def test_images_that_cannot_be_read_are_left_to_the_training(tmp_path):
    assert not chosen(str(tmp_path / "nothing"))[0].reason


def flat(nested):
    return {f"{section}.{key}": value for section, keys in nested.items() for key, value in keys.items()}


def test_a_better_one_without_its_weights_is_named_with_what_to_do(photos_of, installed, tmp_path):
    weights = Asset("Wavelet-Net", tmp_path / "weights", "", "Install it: pip install wavelet-net.")
    installed["wavelets"] = type("Pretrained", (Wavelets,), {"assets": lambda *_: (weights,)})
    resolved, config = chosen(photos_of((64, 64)))
    assert config.arch.name == "dcgan"
    assert resolved.reason.endswith(
        " 'wavelets' would suit them better, but lacks Wavelet-Net. Install it: pip install wavelet-net."
    )
    weights.path.touch()
    resolved, config = chosen(str(tmp_path / "photos"))
    assert config.arch.name == "wavelets"
    assert "lacks" not in resolved.reason


def test_where_only_dense_networks_are_left_this_is_said(photos_of):
    resolved, config = chosen(photos_of((64, 64)), data__image_size="512")
    assert config.arch.name == "dense"
    assert resolved.reason.startswith(
        "The architecture is dense: of the installed architectures no other generates images of 512x512"
    )
