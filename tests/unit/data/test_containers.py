"""What all readers of collections promise, and what is particular to each."""

import gzip
import io
import json
import os
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from gancli.data import containers
from gancli.data.containers import FolderSource, TarSource, ZipSource, is_tar
from gancli.data.decoding import Flaw, reading
from gancli.errors import DatasetError


@pytest.fixture
def tarred():
    """``(folder, path)`` -> the path of a tar archive, compressed as its name says."""

    def build(folder, path):
        mode = {"gz": "w:gz", "xz": "w:xz", "bz2": "w:bz2"}.get(path.name.rpartition(".")[2], "w")
        with tarfile.open(path, mode) as archive:
            archive.add(folder, ".")
        return path

    return build


def contents(reader):
    found = [reading(opener, lambda stream: stream.read()) for opener in reader.each()]
    return {item.name: str(data) if isinstance(data, Flaw) else data for item, data in zip(reader.items, found, strict=True)}


@pytest.fixture(params=["folder", "zip", "deflated zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
def reader(request, photos, zipped, tarred, tmp_path):
    (photos / ".hidden").mkdir()
    (photos / ".hidden" / "x.png").write_bytes(b"x")
    (photos / "Thumbs.db").write_bytes(b"x")
    (photos / "notes.txt").write_bytes(b"x")
    match request.param:
        case "folder":
            return FolderSource(photos)
        case "zip" | "deflated zip":
            way = zipfile.ZIP_STORED if request.param == "zip" else zipfile.ZIP_DEFLATED
            return ZipSource(zipped(photos, tmp_path / "x.zip", way))
        case _:
            return TarSource(tarred(photos, tmp_path / f"x.{request.param}"))


def test_every_reader_finds_the_pictures_and_their_classes(reader, photos):
    found = contents(reader)
    assert found == {
        f"{name}/{i}.png": (photos / name / f"{i}.png").read_bytes() for name in ("red", "green", "blue") for i in range(4)
    }
    labels = reader.labelled[0]
    assert labels.names == ("blue", "green", "red")
    assert [labels.names[n] for n in labels.numbers] == [item.name.split("/")[0] for item in reader.items]


def test_every_reader_reads_stylegan_labels(photos, zipped, tarred, tmp_path):
    names = [item.name for item in FolderSource(photos).items]
    (photos / "dataset.json").write_text(json.dumps({"labels": [[name, i % 2] for i, name in enumerate(names)]}))
    for reader in (
        FolderSource(photos),
        ZipSource(zipped(photos, tmp_path / "x.zip")),
        TarSource(tarred(photos, tmp_path / "x.tar")),
    ):
        given = dict(zip([item.name for item in reader.items], reader.labelled[0].numbers, strict=True))
        assert given == {name: i % 2 for i, name in enumerate(names)}


def test_the_stamp_changes_with_the_content_and_not_with_the_place(photos):
    before = FolderSource(photos).stamp()
    moved = photos.rename(photos.with_name("elsewhere"))
    assert FolderSource(moved).stamp() == before
    (moved / "red" / "0.png").rename(moved / "red" / "9.png")
    renamed = FolderSource(moved).stamp()
    os.utime(moved / "red" / "9.png", (1, 1))
    assert len({before, renamed, FolderSource(moved).stamp()}) == 3


def test_F26_a_file_that_changes_after_the_catalogue_was_made_is_a_flaw(photos, picture_bytes):
    reader = FolderSource(photos)
    assert len(reader.items) == 12
    (photos / "red" / "0.png").write_bytes(picture_bytes(size=(50, 50)))
    (photos / "red" / "1.png").unlink()
    found = contents(reader)
    assert found["red/0.png"] == "changed while the source was read"
    assert found["red/1.png"] == "does not exist"


def test_F27_links_are_followed_but_never_in_a_circle(photos, picture_bytes, tmp_path):
    (tmp_path / "outside.png").write_bytes(picture_bytes())
    (photos / "red" / "up").symlink_to(photos)
    (photos / "red" / "linked.png").symlink_to(tmp_path / "outside.png")
    (photos / "red" / "loop.png").symlink_to("loop.png")
    reader = FolderSource(photos)
    found = contents(reader)
    assert len(found) == 14
    assert found["red/linked.png"] == picture_bytes()
    assert "link" in found["red/loop.png"]
    assert list(reader.notes()) == [
        "1 link to a folder was not followed: the folder is in the data set already, or the data set in it."
    ]


def test_F27_pipes_and_sockets_are_not_touched(photos):
    os.mkfifo(photos / "red" / "pipe.png")
    assert len(contents(FolderSource(photos))) == 12  # to open the pipe would wait for ever


def test_F10_a_folder_that_cannot_be_read_is_noted(photos, monkeypatch):
    scandir = os.scandir

    def denied(path):
        if os.fspath(path).rstrip("/").endswith("red"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    reader = FolderSource(photos)
    assert len(reader.items) == 8
    assert list(reader.notes()) == ["The folder red/ cannot be read: Permission denied."]


def zip_of(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_F21_a_bomb_in_a_zip_is_one_flaw_and_is_not_unpacked(tmp_path, picture_bytes):
    path = zip_of(tmp_path / "x.zip", {"bomb.png": bytes(50 * 2**20), "good.png": picture_bytes()})
    found = contents(ZipSource(path))
    assert found == {"bomb.png": "said to shrink more than 200 times, as no image does", "good.png": picture_bytes()}


def test_F21_a_member_that_lies_about_its_size_is_one_flaw(tmp_path, picture_bytes):
    from gancli.data.decoding import decode_all
    from gancli.data.fit import Fit

    path = zip_of(tmp_path / "x.zip", {"a.png": picture_bytes() + bytes(5_000_000), "b.png": picture_bytes()})
    data = bytearray(path.read_bytes())
    real = (len(picture_bytes()) + 5_000_000).to_bytes(4, "little")
    assert data.count(real) >= 2
    path.write_bytes(data.replace(real, (100).to_bytes(4, "little")))
    first, second = decode_all(ZipSource(path).each(), Fit(8, 8, 3), workers=1)
    assert isinstance(first, Flaw)
    assert second.shape == (3, 8, 8)


def test_F21_a_gzip_bomb_around_a_tar_ends_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "FREE_TAR_BYTES", 2**22)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("zeros.bin")
        member.size = 2**25
        archive.addfile(member, io.BytesIO(bytes(2**25)))
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(buffer.getvalue()))
    assert is_tar(path)
    with pytest.raises(DatasetError, match="holds more than 200 times its own size"):
        TarSource(path)


def test_F22_names_that_lead_out_of_an_archive_lead_nowhere(tmp_path, picture_bytes):
    path = zip_of(tmp_path / "sub.zip", {"../../evil.png": picture_bytes(), "/abs.png": picture_bytes()})
    assert contents(ZipSource(path)) == {"../../evil.png": picture_bytes(), "/abs.png": picture_bytes()}
    assert not (tmp_path.parent / "evil.png").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["sub.zip"]


def test_F12_a_damaged_archive_is_one_error(tmp_path, photos, zipped, tarred):
    archive = zipped(photos, tmp_path / "x.zip")
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(DatasetError, match="damaged zip"):
        ZipSource(archive)
    archive = tarred(photos, tmp_path / "x.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(DatasetError, match="damaged tar"):
        TarSource(archive)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_F12_a_tar_that_ends_anywhere_but_at_its_end_is_not_a_smaller_one(tmp_path, photos, tarred, suffix):
    archive = tarred(photos, tmp_path / f"x.{suffix}")
    whole = archive.read_bytes()
    members = 512 * 2  # a header and a padded picture
    for length in [3 * members + 100, 6 * members] if suffix == "tar" else [len(whole) - 4]:
        archive.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match="damaged tar"):
            TarSource(archive)


def test_F13_a_flipped_bit_in_the_header_of_a_member_is_not_the_end_of_a_tar(tmp_path, photos, tarred):
    archive = tarred(photos, tmp_path / "x.tar")
    data = bytearray(archive.read_bytes())
    data[data.index(b"red/0.png")] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DatasetError, match=r"damaged tar archive: bad checksum at byte"):
        TarSource(archive)


def test_F13_the_check_sum_behind_a_compressed_tar_is_read(tmp_path, tarred):
    folder = tmp_path / "noise"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.bmp")  # stored as it is, and without a check sum of its own
    archive = tarred(folder, tmp_path / "x.tar.gz")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DatasetError, match="damaged tar"):
        TarSource(archive)


def test_F12_a_damaged_member_of_a_zip_is_one_flaw(tmp_path, photos, zipped):
    from gancli.data.decoding import decode_all
    from gancli.data.fit import Fit

    path = zipped(photos, tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    place = data.index(b"IDAT")
    data[place + 6] ^= 0xFF
    path.write_bytes(data)
    decoded = list(decode_all(ZipSource(path).each(), Fit(8, 8, 3)))
    assert [i for i, found in enumerate(decoded) if isinstance(found, Flaw)] == [0]
    assert str(decoded[0])


def test_an_encrypted_member_is_one_flaw(tmp_path, picture_bytes):
    path = zip_of(tmp_path / "x.zip", {"a.png": picture_bytes()})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert contents(ZipSource(path)) == {"a.png": "encrypted"}


def test_links_and_devices_in_a_tar_are_passed_over(tmp_path, picture_bytes):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind in (("link.png", tarfile.SYMTYPE), ("device.png", tarfile.CHRTYPE), ("pipe.png", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        member = tarfile.TarInfo("good.png")
        member.size = len(picture_bytes())
        archive.addfile(member, io.BytesIO(picture_bytes()))
    reader = TarSource(tmp_path / "x.tar")
    assert contents(reader) == {"good.png": picture_bytes()}
    assert list(reader.notes()) == ["3 links, devices or sparse files passed over."]


@pytest.mark.parametrize("name", ["empty.png"])
def test_F25_empty_members_are_flaws_everywhere(tmp_path, name, zipped, tarred):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).write_bytes(b"")
    for reader in (
        FolderSource(folder),
        ZipSource(zipped(folder, tmp_path / "x.zip")),
        TarSource(tarred(folder, tmp_path / "x.tar")),
    ):
        assert contents(reader) == {name: "empty"}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_labels_of_a_set_that_was_packed_with_its_folder(tmp_path, picture_bytes, zipped, tarred, kind):
    folder = tmp_path / "outer"
    for i in range(4):
        (folder / "faces" / f"0000{i // 2}").mkdir(parents=True, exist_ok=True)
        (folder / "faces" / f"0000{i // 2}" / f"{i}.png").write_bytes(picture_bytes())
    pairs = [[f"0000{i // 2}/{i}.png", i % 2] for i in range(4)]
    (folder / "faces" / "dataset.json").write_text(json.dumps({"labels": pairs}))
    readers = {
        "folder": lambda: FolderSource(folder),
        "zip": lambda: ZipSource(zipped(folder, tmp_path / "x.zip")),
        "tar": lambda: TarSource(tarred(folder, tmp_path / "x.tar")),
    }
    assert readers[kind]().labelled[0].numbers == (0, 1, 0, 1)


def test_a_zip_with_backslashes_from_windows_has_folders(tmp_path, picture_bytes):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("cats\\1.png", "dogs\\1.png", "__MACOSX\\1.png"):
            member = zipfile.ZipInfo(name)
            member.create_system = 0
            archive.writestr(member, picture_bytes())
    reader = ZipSource(tmp_path / "x.zip")
    assert reader.labelled[0].names == ("cats", "dogs")
    assert contents(reader) == {"cats/1.png": picture_bytes(), "dogs/1.png": picture_bytes()}


def test_class_folders_that_are_links_are_classes_and_no_folder_counts_twice(photos, tmp_path):
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    for name, target in (("cat", "red"), ("dog", "blue"), ("same", "blue"), ("up", ".."), ("self", "../chosen")):
        (chosen / name).symlink_to(photos / target if name != "self" else chosen)
    source = FolderSource(chosen)
    assert source.labelled[0].names == ("cat", "dog")
    assert len(source.items) == 8
    assert source.notes()[0].startswith("3 links to a folder were not followed")


def test_a_compressed_tar_is_decompressed_once(photos, tarred, tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(containers, "decompressed", lambda raw, plain=containers.decompressed: reads.append(raw) or plain(raw))
    source = TarSource(tarred(photos, tmp_path / "x.tar.gz"))
    for _ in range(2):
        assert len(contents(source)) == 12
        assert source.labelled[0].names == ("blue", "green", "red")
        source.stamp()
    assert len(reads) == 1


@pytest.mark.parametrize("encoding", ["cp437", "utf-8"])
def test_names_in_a_zip_that_nobody_declared_to_be_utf_8(tmp_path, picture_bytes, encoding):
    path = zip_of(tmp_path / "x.zip", {"caf\xe9/1.png": picture_bytes(), "th\xe9/2.png": picture_bytes()})
    data = path.read_bytes()
    for name in ("caf\xe9", "th\xe9"):  # as if the flag for UTF-8 had never been there
        data = data.replace(name.encode(), name.encode(encoding).ljust(len(name.encode()), b"_"))
    data = bytearray(data)
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := data.find(magic, start + 1)) >= 0:
            data[start + at + 1] &= ~0x08
    path.write_bytes(data)
    names = [item.name for item in ZipSource(path).items]
    assert names == (["caf\xe9/1.png", "th\xe9/2.png"] if encoding == "utf-8" else ["caf\xe9_/1.png", "th\xe9_/2.png"])


@pytest.mark.parametrize("system", [0, 3, 10])
def test_backslashes_separate_whatever_system_made_the_zip(tmp_path, picture_bytes, system):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("cat\\1.png", "dog\\1.png"):
            info = zipfile.ZipInfo("x")
            info.create_system, info.filename = system, name
            archive.writestr(info, picture_bytes())
    assert ZipSource(tmp_path / "x.zip").labelled[0].names == ("cat", "dog")
