"""Two sets of images as one: sizes, channels, domains and pairs."""

import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.config.resolve import resolve
from gancli.config.schema import DataConfig
from gancli.data import load_images, open_data
from gancli.data.source import has_domains
from gancli.errors import ConfigError, DatasetError, PluginError


@pytest.fixture
def draw(tmp_path):
    """``(folder, names, size, mode)`` -> the folder, with an image of its own shade under each name."""

    def build(folder, names, size=(16, 16), mode="RGB"):
        path = tmp_path / folder
        for i, name in enumerate(names):
            target = path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, size, i * 10 if mode == "L" else (i * 10, 50, 90)).save(target)
        return path

    return build


@pytest.fixture
def horses(draw):
    """The layout of CycleGAN's archives: unpaired, of two domains."""
    names = [f"{split}{domain}/{i}.png" for split, n in (("train", 6), ("test", 3)) for domain in "AB" for i in range(n)]
    return draw("horse2zebra", [*names, "trainB/more.png"])


def at(dataset, to=None, **settings):
    return DataConfig(dataset=str(dataset), to=None if to is None else str(to), **settings)


def shade(image):
    return int(image[0, 0, 0])


def test_two_folders(draw):
    loaded = load_images(at(draw("sketches", ["a.png", "b.png"], (20, 16), "L"), draw("photos", ["1.png", "2.png", "3.png"])))
    images = loaded.images
    assert (loaded.name, images.paired) == ("sketches-to-photos", False)
    assert images.sources.shape == (2, 3, 16, 16)  # grey images become colour ones beside colour ones
    assert images.images.shape == (3, 3, 16, 16)
    assert images.spec().source == (3, 16, 16)
    assert images.notes[0].startswith("sketches: Images are 16x20, and are resized to 16x16")


def test_the_smaller_set_gives_the_size(draw):
    config = at(draw("large", ["a.png"], (40, 40)), draw("small", ["a.png"], (24, 24)))
    assert open_data(config).spec(config).shape == (3, 24, 24)
    assert load_images(config).images.sources.shape == (1, 3, 24, 24)


def test_without_targets_nothing_changes(draw):
    folder = draw("photos", ["1.png", "2.png"])
    alone, pair = load_images(at(folder)), load_images(at(folder, draw("others", ["1.png"])))
    assert alone.images.sources is None
    assert alone.fingerprint != pair.fingerprint


def test_the_fingerprint_covers_both_sets_and_the_pairing(draw):
    one, other, third = (draw(name, [f"{i}.png" for i in range(n)]) for name, n in (("one", 2), ("other", 2), ("third", 3)))
    configs = [at(one, other), at(other, one), at(one, third), at(third, other), at(one, other, paired=True)]
    images = [load_images(config).fingerprint for config in configs]
    assert images[0] == images[1]  # the same pixels in both
    assert len(set(images)) == 4


def test_the_layout_of_the_published_archives(horses, zipped, tmp_path):
    archive = zipped(horses.parent, tmp_path.parent / f"{tmp_path.name}.zip")
    tar = tmp_path.parent / f"{tmp_path.name}.tar.gz"
    with tarfile.open(tar, "w:gz") as file:
        file.add(horses, "horse2zebra")
    for address in (horses, archive, tar):
        assert has_domains(str(address))
        for split, sizes in (("train", (6, 7)), ("test", (3, 3))):
            images = load_images(at(address, address), split).images
            assert (len(images.sources), len(images.images)) == sizes
    assert load_images(at(horses, horses)).name == "horse2zebra"


def test_ordinary_data_have_no_domains(draw, tmp_path):
    folder = draw("photos", ["train/a.png", "test/a.png"])
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 nothing")
    assert not any(map(has_domains, (str(folder), str(tmp_path / "no.zip"), str(tmp_path / "missing"), "hf:a/b")))


@pytest.mark.parametrize(("full", "empty"), ["AB", "BA"])
def test_one_domain_without_images_is_no_ordinary_set(draw, full, empty):
    folder = draw("photos", [f"train{full}/a.png", "testA/a.png", "testB/a.png"])
    (folder / f"train{empty}").mkdir()
    with pytest.raises(DatasetError, match=rf"photos' has images in train{full}, and none in train{empty}\."):
        has_domains(str(folder))


def test_both_sides_the_same(draw):
    folder = draw("photos", ["1.png"])
    for address in (folder, folder / ".." / "photos"):
        with pytest.raises(ConfigError, match="translate into are the same"):
            open_data(at(folder, address))
    with pytest.raises(ConfigError, match="are the same: 'mnist'"):
        open_data(at("mnist", "mnist"))


def test_an_empty_side(draw, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty' holds no image"):
        load_images(at(draw("photos", ["1.png"]), tmp_path / "empty"))


def test_pairs_have_the_same_name_whatever_the_suffix(draw):
    names = ["z.png", "a.png", "a-1.png", "sub/b.png"]
    one = draw("one", names)
    other = draw("other", [name.replace(".png", ".bmp") for name in names])
    images = load_images(at(one, other, paired=True)).images
    assert images.paired
    assert [shade(image) for image in images.sources] == [shade(image) for image in images.images]


def test_pairs_of_domains(horses):
    (horses / "trainB" / "more.png").unlink()
    assert load_images(at(horses, horses, paired=True)).images.images.shape[0] == 6


def test_images_without_counterpart_are_named(draw):
    one, other = draw("one", [f"{i}.png" for i in range(9)]), draw("other", ["8.png"])
    with pytest.raises(DatasetError, match=r"8 images without a counterpart in '.*other': 0, 1, 2, 3, 4, \.\.\.\. With"):
        load_images(at(one, other, paired=True))
    with pytest.raises(DatasetError, match=r"8 images without a counterpart in '.*other'"):
        load_images(at(other, one, paired=True))


def test_two_images_of_one_name_cannot_be_paired(draw):
    with pytest.raises(DatasetError, match="two images called 'a'"):
        load_images(at(draw("one", ["a.png", "a.bmp"]), draw("other", ["a.png"]), paired=True))


def test_a_broken_image_takes_its_counterpart_with_it(draw):
    one, other = draw("one", ["a.png", "b.png", "c.png"]), draw("other", ["a.png", "b.png", "c.png"])
    (one / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (other / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    loaded = load_images(at(one, other, paired=True, allow_broken=0.5))
    assert loaded.images.notes[-1] == "2 pairs left out, one image of which is broken."
    assert [shade(image) for image in loaded.images.sources] == [shade(image) for image in loaded.images.images] == [10]


def test_arrays_are_paired_by_their_places(tmp_path):
    for name, n in (("one", 4), ("other", 4), ("short", 3)):
        np.save(tmp_path / f"{name}.npy", np.arange(n * 64, dtype=np.uint8).reshape(n, 8, 8))
    images = load_images(at(tmp_path / "one.npy", tmp_path / "other.npy", paired=True)).images
    assert torch.equal(images.sources, images.images)
    with pytest.raises(DatasetError, match="as many source images as target images; there are 4 and 3"):
        load_images(at(tmp_path / "one.npy", tmp_path / "short.npy", paired=True))


def resolved(*assignments, **options):
    return resolve(assignments=assignments, environment={}, **options).config


def test_the_architecture_that_translates_is_chosen():
    assert resolved("data.to=mnist-bold").arch.name == "cut"
    assert resolved("data.to=mnist-bold", "data.paired=true").arch.name == "pix2pix"
    assert resolved().arch.name == "dense"


def test_domains_are_recognised_unless_the_architecture_does_not_translate(horses):
    dataset = f"data.dataset={horses}"
    assert resolved(dataset, has_domains=has_domains).data.to == str(horses)
    assert resolved(dataset, "arch.name=cyclegan", has_domains=has_domains).data.to == str(horses)
    assert resolved(dataset, "arch.name=dense", has_domains=has_domains).data.to is None


def test_a_missing_translator_is_named_with_the_command(monkeypatch):
    monkeypatch.setenv("GANCLI_PLUGINS", "")
    with pytest.raises(PluginError, match=r"gancli-translate provides it.*pip install .*gancli-translate"):
        resolved("data.to=mnist-bold")


def test_without_gancli_translate_a_translation_names_it(draw, monkeypatch):
    monkeypatch.setenv("GANCLI_PLUGINS", "")
    one, other = draw("one", ["a.png"]), draw("other", ["a.png"])
    with pytest.raises(PluginError, match=r"A translation \(--to\) needs gancli-translate, .*/plugins/gancli-translate"):
        load_images(at(one, other))
