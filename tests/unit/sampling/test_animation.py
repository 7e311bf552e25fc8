import json
import resource
import sys
import tracemalloc
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from gancli.errors import DatasetError, PluginError, StorageError, UsageError
from gancli.images import grid, read_metadata, to_bytes
from gancli.models.interpolation import Frames, Interpolation
from gancli.plugin import ImageSpec
from gancli.sampling import encoders
from gancli.sampling.animation import Request, frames_in, write
from gancli.sampling.encoders import FORMATS
from gancli.sampling.sample import like

GREY, COLOUR = ImageSpec(1, 9, 7), ImageSpec(3, 8, 6)
EXACT = {(".gif", 1), (".apng", 1), (".webp", 1), (".apng", 3), (".webp", 3), (".apng", 2), (".webp", 4)}
FILMS = sorted(FORMATS)


@pytest.fixture
def tour(smooth_model):
    def make(image=GREY, frames=10, keyframes=3, fails_at=None, **walk):
        seeds = range(keyframes * walk.get("cells", 1))
        return Frames(smooth_model(image, fails_at), Interpolation(seeds, frames, **walk))

    return make


def expected(tour, scale=1, columns=None):
    """What every frame has to show."""
    padding = 2 if tour.interpolation.cells > 1 else 0
    canvases = [grid(to_bytes(cells), columns, padding) for cells in tour]
    return [canvas.repeat(scale, 0).repeat(scale, 1) for canvas in canvases]


def shown(path, channels):
    """What every frame shows, and the milliseconds that it is shown."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    with Image.open(path) as film:
        frames = [(np.asarray(frame.convert(mode)), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]
    return [pixels.reshape(*pixels.shape[:2], channels) for pixels, _ in frames], [duration for _, duration in frames]


def video(path):
    av = pytest.importorskip("av")
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        pixels = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
        return pixels, stream.average_rate, dict(film.metadata)


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


# -- what is shown --


@pytest.mark.parametrize(("suffix", "channels"), sorted(EXACT))
@pytest.mark.parametrize("cells", [1, 5])
def test_every_frame_has_the_models_very_pixels(tour, tmp_path, suffix, channels, cells):
    path, asked = tmp_path / f"walk{suffix}", tour(ImageSpec(channels, 9, 7), cells=cells)
    written = write(asked, Request(str(path), scale=2, columns=3))
    pixels, durations = shown(path, channels)
    assert len(pixels) == 10
    for found, right in zip(pixels, expected(asked, 2, 3), strict=True):
        visible = right[..., -1:] > 0 if channels in {2, 4} else True
        np.testing.assert_array_equal(np.where(visible, found, 0), np.where(visible, right, 0))
    assert durations == [50] * 10
    height, width, _ = pixels[0].shape
    assert written == {"path": str(path), "frames": 10, "width": width, "height": height, "scale": 2}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_avif_shows_every_frame_nearly_as_it_is(tour, tmp_path, channels):
    path, asked = tmp_path / "walk.avif", tour(ImageSpec(channels, 9, 7))
    write(asked, Request(str(path), scale=4))
    pixels, durations = shown(path, channels)
    assert (len(pixels), durations) == (10, [50] * 10)
    for found, right in zip(pixels, expected(asked, 4), strict=True):
        assert np.abs(found.astype(int) - right).mean() < 3


def test_an_apng_that_would_fill_the_memory_is_refused(tour, tmp_path):
    with pytest.raises(UsageError, match=r"are 1\.3 GB, all kept in memory\. Choose \.webp or \.mp4"):
        write(tour(ImageSpec(1, 256, 256), frames=20_000, fails_at=1), Request(f"{tmp_path}/a.apng", scale=1))
    assert not [*tmp_path.iterdir()]


def test_a_gif_of_colour_has_one_palette_that_is_near_every_frame(tour, tmp_path):
    path, asked = tmp_path / "walk.gif", tour(COLOUR, frames=40)
    write(asked, Request(str(path), scale=1))
    with Image.open(path) as film:
        palettes = {bytes(frame.global_palette.palette) for frame in ImageSequence.Iterator(film)}
        assert len(palettes) == 1
        assert all(tile[0] != "local" for tile in film.tile)
    pixels, _ = shown(path, 3)
    errors = [np.abs(found.astype(int) - right) for found, right in zip(pixels, expected(asked), strict=True)]
    assert np.mean(errors) < 6, "of 255, at 256 colours for 1,920 different ones"


def test_few_colours_survive_a_gif_exactly(tour, tmp_path):
    path, asked = tmp_path / "walk.gif", tour(ImageSpec(3, 2, 3), frames=6)
    write(asked, Request(str(path), scale=1))
    pixels, _ = shown(path, 3)
    for found, right in zip(pixels, expected(asked), strict=True):
        assert np.abs(found.astype(int) - right).max() <= 1


@pytest.mark.parametrize("image", [GREY, COLOUR], ids=str)
def test_an_mp4_shows_every_frame_nearly_as_it_is(tour, tmp_path, image):
    pytest.importorskip("av")
    path, asked = tmp_path / "walk.mp4", tour(image)
    write(asked, Request(str(path), fps=Fraction(30000, 1001), scale=8))
    pixels, rate, metadata = video(path)
    assert (len(pixels), rate) == (10, Fraction(30000, 1001))
    assert json.loads(metadata["comment"])["walk"]["frames"] == 10
    for found, right in zip(pixels, expected(asked, 8), strict=True):
        height, width, _ = right.shape
        assert np.abs(found[:height, :width].astype(int) - right).mean() < 8
        assert found.shape[0] % 2 == found.shape[1] % 2 == 0


def test_a_strip_has_all_frames_side_by_side(tour, tmp_path):
    asked = tour(cells=4)
    written = write(asked, Request(str(tmp_path / "strip.png"), scale=3))
    with Image.open(tmp_path / "strip.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture)[..., None], grid(np.stack(expected(asked, 3)), 10))
        assert (written["width"], written["height"]) == picture.size


def test_a_folder_has_numbered_frames(tour, tmp_path):
    asked = tour()
    write(asked, Request(f"{tmp_path}/new/deep/"))
    paths = frames_in(tmp_path / "new" / "deep")
    assert [path.name for path in paths] == [f"frame{i:04d}.png" for i in range(10)]
    for path, right in zip(paths, expected(asked), strict=True):
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture)[..., None], right)


def test_a_shorter_walk_leaves_no_frame_of_a_longer_one(tour, tmp_path):
    (tmp_path / "frame-mine.png").write_text("mine")
    write(tour(frames=12), Request(str(tmp_path)))
    write(tour(frames=5), Request(str(tmp_path)))
    assert len(frames_in(tmp_path)) == 5
    assert (tmp_path / "frame-mine.png").read_text() == "mine"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
@pytest.mark.parametrize("loop", [True, False])
def test_a_loop_is_played_without_end_and_an_open_walk_once(tour, tmp_path, suffix, loop):
    write(tour(loop=loop), Request(f"{tmp_path}/walk{suffix}"))
    with Image.open(f"{tmp_path}/walk{suffix}") as film:
        assert film.info.get("loop", 1) == (0 if loop else 1)


@pytest.mark.parametrize(("suffix", "unit"), [(".gif", 10), (".webp", 1), (".apng", 0)])
@pytest.mark.parametrize("fps", [Fraction(30), Fraction(24), Fraction(50), Fraction(1, 2), Fraction(30000, 1001)], ids=str)
def test_frames_come_when_they_should(tour, tmp_path, suffix, unit, fps):
    write(tour(frames=30), Request(f"{tmp_path}/walk{suffix}", fps=fps))
    _, durations = shown(f"{tmp_path}/walk{suffix}", 1)
    ends = np.cumsum(durations)
    assert np.abs(ends - np.arange(1, 31) * 1000 / float(fps)).max() <= unit / 2 + 1e-3
    assert min(durations) >= 20 or suffix != ".gif", "viewers slow down what is faster"


@pytest.mark.parametrize(("image", "scale"), [(GREY, 28), (ImageSpec(1, 300, 10), 1)], ids=str)
def test_films_are_made_large_enough_to_be_watched(tour, tmp_path, image, scale):
    assert write(tour(image), Request(f"{tmp_path}/a.gif"))["scale"] == scale
    assert write(tour(image), Request(f"{tmp_path}/a.png"))["scale"] == 1
    assert write(tour(image), Request(f"{tmp_path}/a/"))["scale"] == 1


# -- how it was made --


def told(path):
    if path.suffix in {".png", ".apng"}:
        return read_metadata(path)
    if path.suffix == ".mp4":
        return json.loads(video(path)[2]["comment"])
    with Image.open(path) as film:
        return json.loads(film.info["comment"] if path.suffix == ".gif" else film.getexif()[0x010E])


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.apng", "a.mp4", "a.png", "frame0003.png"])
def test_a_walk_says_how_it_was_made(tour, tmp_path, name):
    if name == "a.mp4":
        pytest.importorskip("av")
    asked = tour(cells=2, direction=2, keyframes=1, loop=False)
    write(asked, Request(str(tmp_path if name.startswith("frame") else tmp_path / name)))
    found = told(tmp_path / name)
    assert (found["run"], found["step"], found["weights"], found["arch"]) == ("run", 1, "ema", "smooth")
    right = {"seeds": "0-1", "frames": 10, "cells": 2, "labels": None, "method": "slerp", "loop": False}
    assert found["walk"] == right | {"truncation": None, "direction": 2}


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.apng", "a.png", "folder/"])
def test_without_metadata_nothing_is_told(tour, tmp_path, name):
    write(tour(), Request(f"{tmp_path}/{name}", metadata=False))
    (path,) = {tmp_path / name} if not name.endswith("/") else set(frames_in(tmp_path / name)[:1])
    assert b"gancli" not in path.read_bytes()
    with Image.open(path) as film:
        assert not {"comment", "exif", "gancli", "Software"} & set(film.info)


def test_a_frame_cannot_be_mistaken_for_a_sample(tour, tmp_path):
    write(tour(), Request(f"{tmp_path}/a.png"))
    with pytest.raises(DatasetError, match="not made from seeds alone"):
        like(tmp_path / "a.png")


# -- memory --


@pytest.mark.parametrize("target", ["a.gif", "a.webp", "a.mp4", "folder/"])
def test_memory_does_not_grow_with_the_number_of_frames(tour, tmp_path, target):
    """Frames of 64 kB: a list of them would be 4 MB larger after 60 more. A WebP is in memory once, encoded."""
    if target == "a.mp4":
        pytest.importorskip("av")
    peaks = []
    for frames in (10, 70):
        asked = tour(ImageSpec(1, 256, 256), frames=frames)
        tracemalloc.start()
        write(asked, Request(f"{tmp_path}/{target}", scale=1), lambda *_: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    encoded = (tmp_path / target).stat().st_size if target == "a.webp" else 0
    assert peaks[1] - peaks[0] - encoded < 1_000_000


# -- what cannot be --


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.gif.txt", ".gif", "a.npz", "-"])
def test_an_unknown_kind_of_target_is_refused(name):
    with pytest.raises(
        UsageError, match=r"End it in \.gif, \.webp, \.apng, \.avif, \.mp4, \.png \(a strip\) or / \(a folder\)"
    ):
        Request(name)


@pytest.mark.parametrize(
    ("name", "fps"), [("a.gif", 51), ("a.gif", 0), ("a.webp", -1), ("a.apng", 61), ("a/", 1001), ("a.gif", Fraction(1, 61))]
)
def test_F40_a_speed_that_no_program_shows_is_refused(name, fps):
    with pytest.raises(UsageError, match="frames per second are not possible"):
        Request(name, fps=Fraction(fps))


@pytest.mark.parametrize("scale", [0, -1])
def test_F40_a_scale_below_one_is_refused(scale):
    with pytest.raises(UsageError, match="enlarged"):
        Request("a.gif", scale=scale)


@pytest.mark.parametrize(("name", "scale"), [("a.gif", 5000), ("a.png", 10**6), ("a.webp", 2400), ("a/", 10**12)])
def test_a_frame_too_large_is_refused_before_anything_is_drawn(tour, tmp_path, name, scale):
    asked = tour(fails_at=1)
    with pytest.raises(UsageError, match="64 megapixels"):
        write(asked, Request(f"{tmp_path}/{name}", scale=scale))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "image"), [(".gif", (1, 1, 70_000)), (".webp", (1, 1, 17_000))])
def test_a_side_too_long_for_the_kind_is_refused(tour, tmp_path, suffix, image):
    with pytest.raises(UsageError, match=f"a side in {suffix}"):
        write(tour(ImageSpec(*image)), Request(f"{tmp_path}/a{suffix}"))


def test_a_strip_too_long_is_refused_before_anything_is_drawn(tour, tmp_path):
    with pytest.raises(UsageError, match="64 megapixels"):
        write(tour(ImageSpec(1, 100, 100), frames=9000, fails_at=1), Request(f"{tmp_path}/a.png"))


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_what_has_no_transparency_is_refused_for_what_has(tour, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(encoders, "require", lambda *_: None)
    with pytest.raises(UsageError, match=r"Choose \.webp, \.apng or \.avif"):
        write(tour(ImageSpec(4, 8, 8)), Request(f"{tmp_path}/a{suffix}"))


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("gancli.plugins.installation.find_spec", lambda name: None if name == "av" else object())
    with pytest.raises(PluginError, match=r"av is not installed\..*pip install \"gancli\[video\]\""):
        Request("a.mp4")


# -- failures --


TARGETS = ["a.gif", "a.webp", "a.apng", "a.mp4", "a.png", "folder/"]


@pytest.fixture(params=TARGETS)
def target(request, tmp_path):
    """A target of each kind, at which there is something precious."""
    if request.param == "a.mp4":
        pytest.importorskip("av")
    path = tmp_path / request.param
    if request.param == "folder/":
        path.mkdir()
        path = path / "frame0000.png"
    path.write_bytes(b"precious")
    yield str(tmp_path / request.param) + "/" * request.param.endswith("/")
    assert path.read_bytes() == b"precious"
    assert leftovers(tmp_path) == []
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def test_a_failure_while_drawing_keeps_what_was_there(tour, target):
    with pytest.raises(RuntimeError, match="drawing failed"):
        write(tour(frames=600, fails_at=2), Request(target))


def test_a_folder_that_was_made_for_nothing_is_removed(tour, tmp_path):
    with pytest.raises(RuntimeError, match="drawing failed"):
        write(tour(fails_at=1), Request(f"{tmp_path}/new/"))
    (tmp_path / "mine").mkdir()
    with pytest.raises(RuntimeError, match="drawing failed"):
        write(tour(fails_at=1), Request(f"{tmp_path}/mine/"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_ctrl_c_keeps_what_was_there(tour, target):
    def interrupt(done, _total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tour(), Request(target), interrupt)


@contextmanager
def largest_file(size):
    """A limit as `ulimit -f` sets it: a write beyond it fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_F8_a_file_that_may_not_grow_keeps_what_was_there(tour, target):
    asked = tour(ImageSpec(3, 64, 64), frames=60)
    with largest_file(6000), pytest.raises(StorageError, match="File too large"):
        write(asked, Request(target, scale=1, metadata=False))


@pytest.mark.parametrize("name", [name for name in TARGETS if not name.endswith("/")])
def test_a_missing_folder_is_named_before_anything_is_drawn(tour, tmp_path, name):
    if name == "a.mp4":
        pytest.importorskip("av")
    with pytest.raises(StorageError, match=r"/none' does not exist"):
        write(tour(fails_at=1), Request(f"{tmp_path}/none/{name}"))


@pytest.mark.parametrize("name", ["file/a.gif", "file/a.png", "file/", "file/below/"])
def test_a_file_in_the_place_of_a_folder_is_named(tour, tmp_path, name):
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(StorageError, match=r"/file"):
        write(tour(fails_at=1), Request(f"{tmp_path}/{name}"))
    assert Path(tmp_path / "file").read_bytes() == b"precious"
