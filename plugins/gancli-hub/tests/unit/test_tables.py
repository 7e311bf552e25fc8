import random
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gancli.config.schema import DataConfig
from gancli.data import load_images
from gancli.errors import DatasetError


def loaded(path, split="train"):
    return load_images(DataConfig(dataset=str(path)), split).images


def test_a_parquet_file_with_class_names(table, tmp_path):
    features = {"label": {"names": ["cat", "dog", "bird"]}}
    pq.write_table(table(label=[0, 1, 0, 1, 1], features=features), tmp_path / "x.parquet")
    data = loaded(tmp_path / "x.parquet")
    assert data.images[:, 0, 0, 0].tolist() == [0, 20, 40, 60, 80]
    assert data.labels.tolist() == [0, 1, 0, 1, 1]
    assert data.class_names == ("cat", "dog", "bird")


def test_labels_of_text_and_plain_bytes(table, tmp_path):
    pq.write_table(table(label=["b", "a", "a", "b", "b"], plain=True), tmp_path / "x.parquet")
    data = loaded(tmp_path / "x.parquet")
    assert data.class_names == ("a", "b")
    assert data.labels.tolist() == [1, 0, 0, 1, 1]


def test_shards_of_a_split_in_a_folder(table, tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        pq.write_table(table(), tmp_path / f"{name}.parquet")
    assert len(loaded(tmp_path).images) == 10
    assert len(loaded(tmp_path, "test").images) == 5


def test_a_data_set_as_the_library_saves_it(table, tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        made = table(label=[0, 1, 0, 1, 1])
        with (
            pa.OSFile(str(tmp_path / split / "data-00000-of-00001.arrow"), "wb") as file,
            pa.ipc.new_stream(file, made.schema) as out,
        ):
            out.write_table(made)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert loaded(tmp_path).labels.tolist() == [0, 1, 0, 1, 1]


def write_arrow(path, made, *, stream):
    with pa.OSFile(str(path), "wb") as file, (pa.ipc.new_stream if stream else pa.ipc.new_file)(file, made.schema) as out:
        out.write_table(made, max_chunksize=2)
    return path


@pytest.mark.parametrize("stream", [True, False])
def test_an_arrow_file_of_either_kind_by_itself(table, tmp_path, stream):
    data = loaded(write_arrow(tmp_path / "x.arrow", table(label=[0, 1, 0, 1, 1]), stream=stream))
    assert data.images[:, 0, 0, 0].tolist() == [0, 20, 40, 60, 80]
    assert data.labels.tolist() == [0, 1, 0, 1, 1]


def test_a_clone_of_a_data_set_of_the_hub_has_its_tables_in_a_folder(table, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text("about")
    pq.write_table(table(), tmp_path / "data" / "train-00000-of-00001.parquet")
    pq.write_table(table(), tmp_path / "data" / "test-00000-of-00001.parquet")
    assert len(loaded(tmp_path).images) == 5
    assert len(loaded(tmp_path, "test").images) == 5


def test_a_table_beside_pictures_is_not_the_data_set(photos, table):
    pq.write_table(table(), photos / "red" / "facts.parquet")
    assert len(loaded(photos / "red").images) == 4
    assert len(loaded(photos).images) == 12


@pytest.mark.parametrize(
    ("column", "names", "numbers"),
    [
        (pa.array(["b", "a", "a", "b", "b"]).dictionary_encode(), ("a", "b"), [1, 0, 0, 1, 1]),
        (pa.array([True, False, False, True, True]), ("0", "1"), [1, 0, 0, 1, 1]),
        (pa.array([2, 0, 1, 1, 1], pa.uint8()), ("0", "1", "2"), [2, 0, 1, 1, 1]),
        (pa.array(["b", "a", "a", "b", "b"], pa.large_string()), ("a", "b"), [1, 0, 0, 1, 1]),
    ],
)
def test_labels_of_any_type_that_names_classes(table, tmp_path, column, names, numbers):
    pq.write_table(table(Label=column), tmp_path / "x.parquet")
    data = loaded(tmp_path / "x.parquet")
    assert (data.class_names, data.labels.tolist()) == (names, numbers)


@pytest.mark.parametrize(
    "kind", [pa.struct([("path", pa.string()), ("bytes", pa.large_binary())]), pa.binary_view(), pa.large_binary()]
)
def test_pictures_in_any_column_of_bytes(picture_bytes, tmp_path, kind):
    rows = [{"bytes": picture_bytes(), "path": "x.png"} if pa.types.is_struct(kind) else picture_bytes()] * 3
    pq.write_table(pa.table({"Image": pa.array(rows, kind)}), tmp_path / "x.parquet")
    assert loaded(tmp_path / "x.parquet").images.shape == (3, 3, 10, 12)


def test_tables_that_do_not_belong_together_are_one_error(table, tmp_path):
    pq.write_table(table(label=[0, 1, 0, 1, 1]), tmp_path / "train-0.parquet")
    pq.write_table(table(), tmp_path / "train-1.parquet")
    with pytest.raises(DatasetError, match=r"train-1\.parquet' has no column label, which '.*train-0\.parquet' has"):
        loaded(tmp_path)


def test_F13_no_flipped_bit_in_an_arrow_file_is_more_than_one_error(table, tmp_path):
    path = write_arrow(tmp_path / "x.arrow", table(label=[0, 1, 0, 1, 1]), stream=True)
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(150):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with suppress(DatasetError):
            loaded(path)


def test_F25_a_picture_that_is_only_a_path_is_one_flaw(tmp_path, picture_bytes):
    rows = [{"bytes": picture_bytes(), "path": None}] * 30 + [{"bytes": None, "path": "/etc/passwd"}]
    pq.write_table(pa.table({"image": pa.array(rows)}), tmp_path / "x.parquet")
    (note,) = loaded(tmp_path / "x.parquet").notes
    assert note == "1 broken image left out (row 30: without bytes: it is only a path)."


def test_what_is_no_table_of_pictures_is_one_error(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(DatasetError, match=r"no column of encoded images, but text \(string\)"):
        loaded(tmp_path / "x.parquet")
    (tmp_path / "y.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DatasetError, match="damaged table"):
        loaded(tmp_path / "y.parquet")
