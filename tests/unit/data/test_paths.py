import errno
import os
from pathlib import Path

import pytest

from gancli.data.paths import count, open_regular, quoted, unreadable, visible
from gancli.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.idx", "plain.idx"),
        ("Ünïcödé 数字", "Ünïcödé 数字"),
        ("two\nlines", r"two\nlines"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("gnp.\u202eexe", r"gnp.\u202eexe"),
        (os.fsdecode(b"\xff\xfe"), r"\udcff\udcfe"),
    ],
)
def test_F28_odd_names_are_shown_on_one_line_without_control_characters(name, shown):
    assert visible(name) == shown
    assert quoted(Path(name)) == f"'{shown}'"


@pytest.mark.parametrize("name", ["two\nlines", " ", "-n", "ü数.idx", os.fsdecode(b"\xff"), "a" * 255])
def test_F28_files_with_odd_names_are_opened(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"x")
    with open_regular(path) as file:
        assert file.read() == b"x"


@pytest.mark.parametrize("name", ["a" * 256, "nul\0byte", "\ud800"])
def test_F28_impossible_names_are_one_error(tmp_path, name):
    with pytest.raises(DatasetError) as caught:
        open_regular(tmp_path / name)
    assert str(caught.value).isprintable()


def test_F27_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetError, match="is a named pipe"):
        open_regular(tmp_path / "pipe")


def test_F27_a_link_that_leads_to_itself_is_one_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DatasetError, match="leads back to itself"):
        open_regular(tmp_path / "loop")


@pytest.mark.parametrize(("path", "kind"), [(Path("/"), "a directory"), (Path("/dev/zero"), "a device")])
def test_F27_what_is_not_a_file_is_named(path, kind):
    with pytest.raises(DatasetError, match=f"is {kind}"):
        open_regular(path)


def test_F29_an_empty_file_is_one_error(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(DatasetError, match=r"'.*empty' is an empty file"):
        open_regular(tmp_path / "empty")


def test_a_refused_file_is_closed_again(tmp_path):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (not a real directory)
    for _ in range(5):
        with pytest.raises(DatasetError):
            open_regular(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  (not a real directory)


def test_a_missing_path_names_the_nearest_entry_of_the_deepest_folder_that_exists(tmp_path):
    (tmp_path / "fashion-mnist").mkdir()
    with pytest.raises(DatasetError, match=r"does not exist\. Did you mean 'fashion-mnist'") as caught:
        open_regular(tmp_path / "fashion-mnits" / "train")
    assert str(caught.value).endswith(f"It is in {quoted(tmp_path)}.")


def test_a_missing_path_in_a_folder_of_other_things_says_so(tmp_path):
    with pytest.raises(DatasetError, match=r"does not exist\. Nothing in .* has a similar name"):
        open_regular(tmp_path / "pictures")


def test_F10_a_file_that_may_not_be_read_says_so():
    message = str(unreadable(Path("secret"), PermissionError(errno.EACCES, "Permission denied")))
    assert message == "'secret' may not be read: permission denied. Ask its owner, or copy it."


def test_any_other_failure_carries_the_systems_words():
    assert "Input/output error" in str(unreadable(Path("disk"), OSError(errno.EIO, "Input/output error")))


def test_nouns_agree_with_their_numbers():
    assert [count(n, "class", "classes") for n in (0, 1, 2_000)] == ["0 classes", "1 class", "2,000 classes"]


def test_a_missing_path_in_a_folder_that_cannot_be_listed_gives_no_hint(tmp_path, monkeypatch):
    def denied(_):
        raise PermissionError

    monkeypatch.setattr(os, "listdir", denied)
    with pytest.raises(DatasetError, match=r"does not exist\. Check the path\."):
        open_regular(tmp_path / "pictures")
