"""The same set as a folder, wrapped, zipped, zipped on Windows, as a tar or a table is the same data set."""

import io
import json
import tarfile
import zipfile
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gancli.config.schema import DataConfig
from gancli.data import load_images, open_source
from gancli.data.catalogue import Part
from gancli.errors import DatasetError

WORDS = st.sampled_from(["cat", "dog", "caf\xe9", "contest", "10", "9", "A b"])
TRAIN, TEST = st.sampled_from(["train", "Training"]), st.sampled_from(["test", "val", "Validation"])
LITTER = (".DS_Store", "._0.png", "Thumbs.db", "__MACOSX/0.png", ".nfs0001")


@st.composite
def trees(draw):
    """Names of files and their bytes; and what is expected: the number of images per split and class."""
    classes = draw(st.lists(WORDS, min_size=2, max_size=3, unique=True))
    train, test = draw(TRAIN), draw(TEST)
    files, expected = {}, {"train": {}, "test": {}}
    number = 0
    for split, folder in (("train", train), ("test", test)):
        for name in classes:
            size = draw(st.integers(1, 2))
            expected[split][name] = size
            for _ in range(size):
                number += 1
                files[f"{folder}/{name}/{number}.png"] = encoded(number)
    for name in draw(st.lists(st.sampled_from(LITTER), max_size=2, unique=True)):
        files[f"{train}/{classes[0]}/{name}"] = b"litter"
    return files, expected


def encoded(number):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number * 20 % 256, number, 255 - number)).save(buffer, "PNG")
    return buffer.getvalue()


def as_folder(files, path):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def as_zip(files, path, *, windows=False):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = f"set\\{name}".replace("/", "\\") if windows else f"set/{name}"
            archive.writestr(info, data)
    return path


def as_tar(files, path):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(f"./set/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def as_tables(files, path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.mkdir()
    rows = {}
    for name, data in sorted(files.items()):
        split, label, file = name.split("/", 2)
        if data != b"litter":
            rows.setdefault(split, []).append(({"bytes": data, "path": file}, label))
    for split, some in rows.items():
        images, labels = zip(*some, strict=True)
        pq.write_table(pa.table({"image": list(images), "label": list(labels)}), path / f"{split}-00000-of-00001.parquet")
    return path


def seen(path, split):
    """Number of images per class, and the first pixel of each image with its class."""
    images = load_images(DataConfig(dataset=str(path)), split).images
    names = [images.class_names[label] for label in images.labels.tolist()]
    pixels = [tuple(pixel) for pixel in images.images[:, :, 0, 0].tolist()]
    return {name: names.count(name) for name in images.class_names}, sorted(zip(names, pixels, strict=True))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees())
def test_the_same_set_is_the_same_data_set_in_every_container(tmp_path_factory, tree):
    files, expected = tree
    place = tmp_path_factory.mktemp("set")
    sources = [
        as_folder(files, place / "plain"),
        as_folder(files, place / "wrapped" / "once" / "more").parents[1],
        as_zip(files, place / "x.zip"),
        as_zip(files, place / "windows.zip", windows=True),
        as_tar(files, place / "x.tar"),
        as_tar(files, place / "x.tar.gz"),
        *([as_tables(files, place / "tables")] if find_spec("gancli_hub") else []),
    ]
    for split in ("train", "test"):
        found = {path.name: seen(path, split) for path in sources}
        assert {name: counts for name, (counts, _) in found.items()} == dict.fromkeys(found, expected[split])
        assert all(images == found["plain"][1] for _, images in found.values())


@pytest.mark.parametrize("pack", [as_folder, as_zip, as_tar])
def test_labels_beside_the_images_are_read_from_every_container(tmp_path, pack):
    rows = [json.dumps({"file_name": f"{i}.png", "label": "ab"[i % 2]}) for i in range(6)]
    files = {f"train/{i}.png": encoded(i) for i in range(6)} | {"train/metadata.jsonl": "\n".join(rows).encode()}
    files |= {"test/7.png": encoded(7)}
    images = load_images(DataConfig(dataset=str(pack(files, tmp_path / "x")))).images
    assert images.class_names == ("a", "b")
    assert images.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_webdataset_shard_has_labels(tmp_path):
    files = {f"{i:04}.png": encoded(i) for i in range(4)} | {f"{i:04}.cls": str(i % 2).encode() for i in range(4)}
    assert load_images(DataConfig(dataset=str(as_tar(files, tmp_path / "shard.tar")))).images.labels.tolist() == [0, 1, 0, 1]


def test_the_domains_of_a_translation_data_set(tmp_path):
    files = {f"{part}/{i}.png": encoded(i) for part in ("trainA", "trainB", "testA", "testB") for i in range(3)}
    path = str(as_zip(files, tmp_path / "horse2zebra.zip"))
    assert open_source(path).parts() == (Part("test", "A"), Part("test", "B"), Part("train", "A"), Part("train", "B"))
    assert len(open_source(path, "test", "B").load(DataConfig(dataset=path)).images.images) == 3
    both = load_images(DataConfig(dataset=path)).images
    assert (both.class_names, both.labels.tolist()) == (("A", "B"), [0, 0, 0, 1, 1, 1])
    with pytest.raises(DatasetError, match="has no domain 'C', but A, B"):
        open_source(path, "train", "C").load(DataConfig(dataset=path))


def test_the_size_is_known_before_anything_is_decoded(photos):
    source, what = open_source(str(photos)), []
    spec = source.spec(DataConfig(dataset=str(photos)), lambda doing, *_: what.append(doing))
    assert (spec.shape, spec.classes) == ((3, 10, 12), 3)
    assert set(what) == {"reading headers"}
    what.clear()
    source.load(DataConfig(dataset=str(photos)), lambda doing, *_: what.append(doing))
    assert set(what) == {"decoding images"}
    again = open_source(str(photos))
    assert again.spec(DataConfig(dataset=str(photos)), lambda *_: what.append("again")) == spec
    assert "again" not in what


def test_why_there_are_no_labels_is_known(tmp_path):
    files = {f"{i}.png": encoded(i) for i in range(4)} | {"metadata.csv": b"file_name,label\n0.png,a\n"}
    loaded = load_images(DataConfig(dataset=str(as_folder(files, tmp_path / "x"))))
    assert loaded.unlabelled == ("metadata.csv has no label for 3 of 4 images, so it is not used.",)
    assert loaded.unlabelled[0] in loaded.images.notes
