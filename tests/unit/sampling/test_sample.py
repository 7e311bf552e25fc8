import os
import resource
import shutil
import zipfile
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import gancli
from gancli.checkpoint.provenance import Origin, Provenance
from gancli.errors import DatasetError, StorageError, UsageError
from gancli.images import grid, read_metadata, to_bytes, to_png
from gancli.models.loading import load
from gancli.models.model import Model
from gancli.plugin import ImageSpec
from gancli.randomness.latents import MAX_SEED
from gancli.sampling.sample import MAX_IMAGES, Request, format_seeds, like, parse_seeds, seeds_from, write

SEEDS = [5, 6, 7, 2**40, 0]


class Linear(nn.Module):
    """A generator of any shape, which may fail at its n-th batch."""

    def __init__(self, image, fails_at=None):
        super().__init__()
        self.image, self.fails_at, self.calls = image, fails_at, 0
        self.linear = nn.Linear(2, image.channels * image.height * image.width)

    def forward(self, z):
        self.calls += 1
        if self.calls == self.fails_at:
            raise RuntimeError("drawing failed")
        return self.linear(z).tanh().unflatten(1, self.image.shape)


def made_up(image, fails_at=None):
    facts = {
        "arch": {"name": "linear", "distribution": "none", "version": "1", "options": {}},
        "image": {"channels": 1, "height": 1, "width": 1},
        "classes": [],
        "latent_dim": 1,
        "dataset": {"name": "none"},
    }
    origin = Origin("run", Path("run"), 1, "0" * 64, "ema", Provenance.parse(facts, Path()))
    torch.manual_seed(0)
    return Model(Linear(image, fails_at), 2, image, tuple(map(str, range(image.classes))), origin)


@pytest.fixture(scope="module")
def model(small_run):
    return load(small_run)


@pytest.fixture(scope="module")
def conditional(small_conditional_run):
    return load(small_conditional_run)


@pytest.fixture(params=["png", "npz", "folder"])
def target(request, tmp_path):
    """Somewhere to write to, of each kind."""
    return str(tmp_path / "out") + {"png": ".png", "npz": ".npz", "folder": "/"}[request.param]


def decoded(path):
    with Image.open(path) as picture:
        return np.asarray(picture).reshape(picture.height, picture.width, -1)


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


@contextmanager
def largest_file(size):
    """A limit as `ulimit -f` sets it: a write beyond it fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# -- lists of seeds --


@given(
    st.lists(st.integers(0, MAX_SEED), min_size=1, max_size=30)
    | st.builds(lambda a, n: list(range(a, a + n)), *[st.integers(1, 500)] * 2)
)
def test_seeds_round_trip(seeds):
    assert parse_seeds(format_seeds(seeds)) == seeds


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("7", [7]), ("0-3,99", [0, 1, 2, 3, 99]), (" 4 , 2-2", [4, 2]), ("3,3,1", [3, 3, 1]), (str(MAX_SEED), [MAX_SEED])],
)
def test_lists_of_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", ",", "1,", "-1", "3-1", "1-", "a", "1.5", "1e3", "0x10", str(MAX_SEED + 1), "9" * 40, "1--2", "1 2"]
)
def test_F40_what_is_no_list_of_seeds_is_refused(text):
    with pytest.raises(UsageError, match=r"is not a seed or range of seeds\. Write for instance 0-63,99"):
        parse_seeds(text)


@pytest.mark.parametrize("text", ["0-1000000", f"0-{MAX_SEED}", "0-999999,5"])
def test_F40_too_many_seeds_are_refused_before_they_are_listed(text):
    with pytest.raises(UsageError, match="more than 1,000,000 seeds"):
        parse_seeds(text)


def test_a_million_seeds_are_allowed():
    assert len(parse_seeds("5-1000004")) == MAX_IMAGES


def test_the_last_seed_fits():
    assert seeds_from(2**63 - 2, 2)[-1] == 2**63 - 1
    for seed, count in ((2**63 - 2, 3), (-1, 1), (0, 0)):
        with pytest.raises(UsageError, match="out of range"):
            seeds_from(seed, count)


# -- a grid --


def test_a_grid_has_the_models_very_pixels(model, tmp_path):
    path = tmp_path / "grid.png"
    written = write(model, Request(SEEDS, str(path), columns=2))
    assert written == {"path": str(path), "images": 5, "seeds": "5-7,1099511627776,0"}
    assert np.array_equal(decoded(path), grid(to_bytes(model.sample(seeds=SEEDS)), 2))


def test_a_grid_of_colour(tmp_path):
    colourful = made_up(ImageSpec(3, 6, 4))
    write(colourful, Request(range(7), str(tmp_path / "grid.PNG")))
    assert np.array_equal(decoded(tmp_path / "grid.PNG"), grid(to_bytes(colourful.sample(7))))


def test_standard_output_gets_the_same_bytes_and_nothing_else(model, tmp_path, capsysbinary):
    path = tmp_path / "grid.png"
    write(model, Request(SEEDS, str(path)))
    written = write(model, Request(SEEDS, "-"))
    captured = capsysbinary.readouterr()
    assert captured.out == path.read_bytes()
    assert captured.err == b""
    assert written["path"] == "-"


def test_a_grid_too_large_is_refused_before_anything_is_drawn(tmp_path):
    model = made_up(ImageSpec(1, 64, 64), fails_at=1)
    with pytest.raises(UsageError, match="64 megapixels"):
        write(model, Request(range(20_000), str(tmp_path / "grid.png")))
    assert not list(tmp_path.iterdir())


# -- how it was made --


def test_a_picture_says_how_it_was_made_and_is_drawn_again_from_that(model, tmp_path):
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    write(model, Request(SEEDS, str(first), columns=3))
    recipe = like(first)
    origin = model.origin
    assert (recipe.run, recipe.step, recipe.digest, recipe.weights) == (origin.run, origin.step, origin.digest, "ema")
    assert (recipe.seeds, recipe.labels, recipe.columns) == (SEEDS, None, 3)
    write(model, Request(recipe.seeds, str(second), recipe.labels, recipe.columns))
    assert first.read_bytes() == second.read_bytes()
    assert read_metadata(first)["gancli"] == gancli.__version__


def test_each_picture_of_a_folder_can_be_drawn_again(conditional, tmp_path):
    """Also where the classes took turns: the class of a picture must not depend on where it stood."""
    write(conditional, Request(range(10, 15), f"{tmp_path}/all/"))
    for path in (tmp_path / "all").iterdir():
        recipe = like(path)
        again = tmp_path / path.name
        write(conditional, Request(recipe.seeds, str(again), recipe.labels))
        assert np.array_equal(decoded(again)[2:-2, 2:-2], decoded(path))


def test_labels_of_any_kind_of_number_can_be_stored(conditional, tmp_path):
    for labels in (np.array([2, 0]), torch.tensor([2, 0])):
        write(conditional, Request([1, 2], str(tmp_path / "a.png"), labels))
        assert like(tmp_path / "a.png").labels == [2, 0]


@pytest.mark.parametrize("end", ["a.png", "folder/"])
def test_without_metadata_nothing_is_told(model, tmp_path, end):
    write(model, Request([1], f"{tmp_path}/{end}", metadata=False))
    (path,) = (path for path in tmp_path.rglob("*.png"))
    with Image.open(path) as picture:
        assert picture.info == {}
    with pytest.raises(DatasetError, match="without --no-metadata"):
        like(path)


def test_a_truncated_picture_is_drawn_again(model, tmp_path):
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    write(model, Request(SEEDS, str(first), truncation=0.5))
    recipe = like(first)
    assert recipe.truncation == 0.5
    write(model, Request(recipe.seeds, str(second), truncation=recipe.truncation))
    assert first.read_bytes() == second.read_bytes()
    assert np.array_equal(decoded(first), grid(to_bytes(model.sample(seeds=SEEDS, truncation=0.5))))


GOOD = {"run": "x", "step": 1, "digest": "0", "weights": "ema", "seeds": "0-3", "labels": None, "columns": None}


@pytest.mark.parametrize(
    "damage",
    [
        {"seeds": "x"},
        {"seeds": f"0-{MAX_SEED}"},
        {"seeds": None},
        {"step": "x"},
        {"step": float("inf")},
        {"step": None},
        {"labels": 5},
        {"labels": ["a"]},
        {"labels": [float("inf")]},
        {"columns": 0},
        {"columns": -3},
        {"columns": "x"},
        {"truncation": 0},
        {"truncation": "x"},
        {"truncation": float("nan")},
    ],
)
def test_damaged_metadata_are_refused(tmp_path, damage):
    (tmp_path / "a.png").write_bytes(to_png(np.zeros((2, 2, 1), np.uint8), {**GOOD, **damage}))
    with pytest.raises(DatasetError, match=r"The metadata of '.*a\.png' are damaged"):
        like(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        *((name, f"{name}: Field required") for name in ("run", "step", "digest", "weights")),
        ("seeds", "was not made from seeds alone"),
    ],
)
def test_missing_metadata_are_refused_by_name(tmp_path, missing, words):
    (tmp_path / "a.png").write_bytes(
        to_png(np.zeros((2, 2, 1), np.uint8), {key: value for key, value in GOOD.items() if key != missing})
    )
    with pytest.raises(DatasetError, match=words):
        like(tmp_path / "a.png")


# -- a folder --


def test_a_folder_gets_one_file_per_picture_named_by_its_seed(model, tmp_path):
    written = write(model, Request(SEEDS, f"{tmp_path}/new/deep/"))
    assert written["path"] == f"{tmp_path}/new/deep/"
    names = ["seed0000.png", "seed0005.png", "seed0006.png", "seed0007.png", "seed1099511627776.png"]
    assert sorted(path.name for path in (tmp_path / "new" / "deep").iterdir()) == names
    for seed, pixels in zip(SEEDS, to_bytes(model.sample(seeds=SEEDS)), strict=True):
        path = tmp_path / "new" / "deep" / f"seed{seed:04d}.png"
        assert np.array_equal(decoded(path), pixels)
        assert like(path).seeds == [seed]


def test_a_folder_of_classes_has_them_in_the_names(conditional, tmp_path):
    write(conditional, Request([3, 4], str(tmp_path), labels=[1, 0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed0003-class1.png", "seed0004-class0.png"]
    assert np.array_equal(decoded(tmp_path / "seed0003-class1.png"), to_bytes(conditional.sample(seeds=[3], labels=[1]))[0])


def test_a_folder_is_written_as_it_is_drawn(tmp_path):
    seen = []
    write(
        made_up(ImageSpec(1, 2, 2)),
        Request(range(600), f"{tmp_path}/"),
        lambda *done: seen.append((*done, len(list(tmp_path.iterdir())))),
    )
    assert seen == [(256, 600, 256), (512, 600, 512), (600, 600, 600)]


# -- an archive --


@pytest.mark.parametrize(("image", "shape"), [(ImageSpec(1, 5, 7), (300, 5, 7)), (ImageSpec(3, 5, 7), (300, 5, 7, 3))], ids=str)
def test_an_archive_holds_arrays_that_numpy_reads_without_pickle(tmp_path, image, shape):
    model = made_up(image)
    write(model, Request(range(100, 400), str(tmp_path / "a.npz")))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert sorted(archive) == ["images", "seeds"]
        assert (archive["images"].dtype, archive["images"].shape) == (np.uint8, shape)
        assert np.array_equal(archive["images"].reshape(300, 5, 7, -1), to_bytes(model.sample(300, seed=100)))
        assert archive["seeds"].tolist() == list(range(100, 400))
    with zipfile.ZipFile(tmp_path / "a.npz") as raw:
        assert raw.testzip() is None


def test_an_archive_does_not_grow_in_memory(tmp_path):
    def resident_bytes():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is measured by /proc")
    sizes, drawer = [], made_up(ImageSpec(1, 64, 64))
    write(drawer, Request(range(4_000), str(tmp_path / "warm.npz")))  # what the allocator keeps, it has by now
    write(drawer, Request(range(48_000), str(tmp_path / "a.npz")), lambda *_: sizes.append(resident_bytes()))
    assert len(sizes) == 188
    assert (tmp_path / "a.npz").stat().st_size > 195_000_000
    assert max(sizes) - sizes[2] < 50_000_000  # a quarter of what was written


# -- failures --


@pytest.mark.parametrize("n", [0, MAX_IMAGES + 1])
def test_F40_the_number_is_bounded(model, target, tmp_path, n):
    with pytest.raises(UsageError, match=r"Ask for 1 to 1,000,000"):
        write(model, Request(range(n), target))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.", "a.png.txt", ".png", "a.npy"])
def test_an_unknown_kind_of_target_is_refused(model, tmp_path, name):
    with pytest.raises(UsageError, match=r"is not a kind of output\. End it in \.png, \.npz or /"):
        write(model, Request([1], str(tmp_path / name)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"labels": [0]}, {"seeds": [-1]}, {"seeds": [2**63]}])
def test_what_cannot_be_drawn_leaves_nothing_behind(model, target, tmp_path, wrong):
    with pytest.raises(UsageError):
        write(model, Request(**{"seeds": [1], "target": target, **wrong}))
    assert not list(tmp_path.iterdir())


def test_a_grid_without_columns_is_refused(model, tmp_path):
    with pytest.raises(UsageError, match="cannot have -1 columns"):
        write(model, Request([1], str(tmp_path / "a.png"), columns=-1))
    assert not list(tmp_path.iterdir())


def test_a_failure_while_drawing_leaves_nothing_half_written(target, tmp_path):
    with pytest.raises(RuntimeError, match="drawing failed"):
        write(made_up(ImageSpec(1, 2, 2), fails_at=2), Request(range(600), target))
    assert leftovers(tmp_path) == []
    complete = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(complete) == (256 if target.endswith("/") else 0)
    assert all(decoded(path).shape == (2, 2, 1) for path in complete)


@pytest.mark.parametrize("name", ["a.png", "a.npz"])
def test_a_failure_leaves_the_file_that_was_there(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"precious")
    with pytest.raises(RuntimeError, match="drawing failed"):
        write(made_up(ImageSpec(1, 2, 2), fails_at=2), Request(range(600), str(path)))
    assert path.read_bytes() == b"precious"
    write(made_up(ImageSpec(1, 2, 2)), Request(range(3), str(path)))
    assert path.read_bytes() != b"precious"
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.png", "a.npz", "folder/"])
def test_F8_a_file_that_may_not_grow_leaves_what_was_there(tmp_path, name):
    (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_bytes(b"precious")
    with largest_file(6000), pytest.raises(StorageError, match="File too large"):
        write(made_up(ImageSpec(3, 99, 99)), Request(range(9), f"{tmp_path}/{name}", metadata=False))
    assert [path.name for path in tmp_path.iterdir()] == [name.rstrip("/")]
    if not name.endswith("/"):
        assert (tmp_path / name).read_bytes() == b"precious"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["none/a.png", "none/a.npz"])
def test_a_missing_folder_is_named_before_anything_is_drawn(tmp_path, name):
    with pytest.raises(StorageError, match=r"/none' does not exist"):
        write(made_up(ImageSpec(1, 2, 2), fails_at=1), Request(range(3), f"{tmp_path}/{name}"))


@pytest.mark.parametrize("name", ["file/a.png", "file/a.npz", "file/", "file/below/"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, name):
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(StorageError, match=r"/file"):
        write(made_up(ImageSpec(1, 2, 2), fails_at=1), Request(range(3), f"{tmp_path}/{name}"))
    assert (tmp_path / "file").read_bytes() == b"precious"


@contextmanager
def without_privileges():
    """Root may write anywhere, so it becomes nobody for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("mode", [0o555, 0o000], ids=["read-only", "closed"])
@pytest.mark.parametrize("name", ["a.png", "a.npz", "new/"])
def test_F10_a_folder_without_permission_is_named(tmp_path, name, mode):
    model = made_up(ImageSpec(1, 2, 2))
    write(model, Request([1], f"{tmp_path}/{name}"))  # whatever is imported late is imported now
    closed = Path(mkdtemp())
    closed.chmod(mode)
    try:
        with without_privileges(), pytest.raises(StorageError, match=f"Permission denied for '{closed}"):
            write(model, Request([1], f"{closed}/{name}"))
        closed.chmod(0o755)
        assert not list(closed.iterdir())
    finally:
        shutil.rmtree(closed)
