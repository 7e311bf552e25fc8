"""``gancli translate``, with networks that were never trained."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancli.images import read_metadata
from gancli.models.loading import load

pytestmark = pytest.mark.usefixtures("clean_place")


@pytest.fixture
def translate(cli, translators):
    """``(*words)`` -> the result of translating with the run ``cyclegan``, unless another is named."""

    def call(*words, run="cyclegan"):
        return cli("translate", *words, "--runs-dir", translators, "--run", run, "--device", "cpu")

    return call


@pytest.fixture
def photo(tmp_path):
    """A photo of 23 x 17 pixels in colour."""
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (17, 23, 3), np.uint8)).save(path)
    return path


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).copy()


def test_an_image_of_any_size(translate, photo, tmp_path, translators):
    result = translate(photo, "-o", tmp_path / "out.png")
    assert (result.code, result.out) == (0, f"{tmp_path / 'out.png'}\n")
    assert result.err == "1 of 1 translated by cyclegan, step 7, ema weights\n"
    model = load("cyclegan", runs_dir=translators)
    given = np.asarray(pixels(photo), np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
    expected = (model.translate(given) * 127.5 + 127.5).round().clamp(0, 255)[0].permute(1, 2, 0).numpy()
    assert np.abs(pixels(tmp_path / "out.png").astype(int) - expected).max() <= 1
    stored = read_metadata(tmp_path / "out.png")
    assert (stored["translated"], stored["arch"], stored["dataset"]) == ("photo.jpg", "cyclegan", "grey-to-colour")


def test_without_metadata_and_without_a_name(translate, photo):
    assert translate(photo, "--no-metadata").out == "translated.png\n"
    with Image.open("translated.png") as image:
        assert "gancli" not in image.info


def test_the_way_back(translate, photo, tmp_path):
    assert translate(photo, "-o", tmp_path / "there.png").code == 0
    assert translate(photo, "-o", tmp_path / "back.png", "--back").code == 0
    assert (pixels(tmp_path / "there.png") != pixels(tmp_path / "back.png")).any()


def test_folders_keep_their_names_and_broken_images_are_named(translate, photo, tmp_path):
    folder = tmp_path / "photos"
    for name, size in (("a.png", (16, 16)), ("b.bmp", (20, 12)), ("sub/a.png", (16, 16)), ("sub/a.tif", (8, 8))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L" if "b" in name else "RGB", size).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    (folder / "notes.txt").write_text("no image")
    result = translate(folder, photo, "-o", f"{tmp_path / 'out'}/", "--json")
    assert result.code == 0
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
    assert found == ["a.png", "b.png", "photo.png", "sub/a.png.png", "sub/a.tif.png"]
    assert pixels(tmp_path / "out" / "b.png").shape == (12, 20, 3)
    assert (result.json["images"], [one["name"] for one in result.json["skipped"]]) == (5, ["broken.jpg"])
    assert "skipped broken.jpg: not an image in a format that is read" in result.err
    again = translate(folder, photo, "-o", f"{tmp_path / 'out'}/")
    assert again.code == 0  # what gancli made is replaced


def test_photos_are_turned_and_transparency_is_composited(translate, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 12), (200, 10, 10)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGBA", (16, 16), (1, 2, 3, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (16, 16), "white").save(tmp_path / "white.png")
    names = ["turned.jpg", "clear.png", "white.png"]
    assert translate(*(tmp_path / name for name in names), "-o", f"{tmp_path / 'out'}/").code == 0
    assert pixels(tmp_path / "out" / "turned.png").shape == (20, 12, 3)
    assert (pixels(tmp_path / "out" / "clear.png") == pixels(tmp_path / "out" / "white.png")).all()


def test_an_architecture_in_a_file(cli, translators, photo, tmp_path, colouring_file):
    where = ["--run", "colouring", "--runs-dir", translators, "--arch", colouring_file]
    assert cli("translate", photo, "-o", tmp_path / "o.png", *where).code == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing.jpg", "-o", "x.png"], 3, "'missing.jpg' does not exist."),
        (["empty", "-o", "out/"], 3, "'empty' holds no image."),
        (["two", "-o", "x.png"], 2, "'x.png' is one file, and there are 2 images. Give a folder: -o x.png/"),
        (["two/a.png", "-o", "x.jpg"], 2, "'x.jpg' is not a PNG."),
        (["two/a.png", "two/a.png", "-o", "out/"], 2, "Two of the images would become 'a.png"),
        (["broken.png", "-o", "x.png"], 3, "'broken.png' cannot be read as an image: "),
        (["nothing.png", "-o", "x.png"], 3, "'nothing.png' cannot be read as an image: empty. Replace"),
        (["two/a.png", "-o", "mine.png"], 6, "'mine.png' is already there, and not made by gancli."),
        (["two/a.png", "-o", "no/x.png"], 6, "no"),
        ([], 2, "Missing argument"),
    ],
)
def test_bad_input(translate, words, code, message):
    for folder in ("empty", "two"):
        Path(folder).mkdir()
    for name in ("two/a.png", "two/b.png", "mine.png"):
        Image.new("RGB", (8, 8)).save(name)
    Path("broken.png").write_bytes(b"no image")
    Path("nothing.png").touch()
    result = translate(*words)
    assert (result.code, result.err.count("\n")) == (code, 1)
    assert message in result.err


def test_a_generator_of_latents_does_not_translate(translate, photo):
    result = translate(photo, "-o", "x.png", run="latent")
    assert result.code == 2
    assert result.err == (
        "error: The model of 'latent' generates images from seeds: it does not translate any. "
        "Use `gancli sample`, or train a translator: `gancli train --dataset IMAGES --to IMAGES`.\n"
    )


def test_one_way_is_no_way_back(cli, translators, photo, colouring_file):
    words = ["--run", "colouring", "--runs-dir", translators, "--arch", colouring_file]
    result = cli("translate", photo, "-o", "x.png", "--back", *words)
    assert (result.code, result.err.startswith("error: This model does not translate back.")) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "-n", "1", "-o", "x.png"],
        ["sample", "--seed", "3"],
        ["interpolate", "-o", "x.gif", "--frames", "4"],
        ["directions"],
        ["project", "photo.jpg"],
    ],
)
@pytest.mark.usefixtures("photo")
def test_a_translator_refuses_seeds_and_names_translate(cli, translators, words):
    result = cli(*words, "--run", "cyclegan", "--runs-dir", translators)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: The model of 'cyclegan' translates images: it makes none from a seed or latent. "
        "Use `gancli translate IMAGE -o FILE.png`.\n"
    )


def test_a_translation_is_not_generated_again_from_a_seed(cli, translate, photo):
    assert translate(photo, "-o", "x.png").code == 0
    assert "translation of 'photo.jpg'" in cli("sample", "--like", "x.png").err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--dataset", "grey", "--to", "grey"], 2, "The images to translate and those to translate into are the same: "),
        (["--dataset", "grey", "--to", "none"], 3, "There is no data set 'none'"),
        (["--dataset", "grey", "--to", "./none"], 3, "'none' does not exist."),
        (["--dataset", "grey", "--to", "empty"], 3, "holds no image"),
        (["--dataset", "empty", "--to", "grey"], 3, "holds no image"),
        (["--dataset", "grey", "--to", "colour", "--arch", "dense"], 2, "'dense' does not translate images"),
        (["--dataset", "grey", "--arch", "cut"], 2, "'cut' translates images, and there are none to translate into. Name the"),
        (["--dataset", "grey", "--to", "colour", "--arch", "pix2pix"], 2, "say --paired"),
        (["--dataset", "grey", "--paired"], 2, "--paired says which images belong together"),
        (["--dataset", "grey", "--to", "colour", "--conditional"], 2, "--conditional learns labels"),
        (["--dataset", "grey", "--to", "colour", "--image-size", "30"], 2, "multiples of 4 from 16 to 512 work"),
        (["--dataset", "grey/test", "--to", "colour/train", "--paired"], 3, "without a counterpart"),
    ],
)
def test_bad_data_for_a_translation(cli, grey_and_colour, monkeypatch, words, code, message):
    monkeypatch.chdir(grey_and_colour)
    (grey_and_colour / "empty").mkdir(exist_ok=True)
    result = cli("train", *words, "--images", "4", "--device", "cpu", "-q")
    assert (result.code, result.err.count("\n")) == (code, 1), result.err
    assert message in result.err
    assert not (grey_and_colour / "runs").exists()


def test_the_commands_at_the_end_of_a_translation_work_when_pasted(cli, grey_and_colour, without_training):
    small = ["-s", "arch.channels=4", "-s", "arch.blocks=1", "-s", "arch.patches=4", "-s", "arch.nce_dim=8"]
    sets = ["--dataset", grey_and_colour / "grey", "--to", grey_and_colour / "colour"]
    with without_training():
        result = cli("train", *sets, "--images", "8", "--device", "cpu", *small)
    assert result.code == 0
    commands = [line.removeprefix("next    gancli ") for line in result.err.splitlines() if line.startswith("next")]
    assert [cli(*shlex.split(command)).code for command in commands if command.startswith("translate")] == [0]
    assert len(list(Path("translated").glob("*.png"))) == 6  # the test split
    assert "what `translate` uses" in result.err
