import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gancli import runs
from gancli.errors import RunBusyError, RunError, StorageError, UsageError
from gancli.runs import RunDirectory, create_run, find_run, list_runs, mark_latest, remove_run, run_name
from gancli.storage.lock import run_lock


@pytest.fixture(autouse=True)
def _no_run_in_the_environment(monkeypatch):
    monkeypatch.delenv("GANCLI_RUN", raising=False)


@pytest.fixture
def new_run(tmp_path):
    """``(name)`` -> a run in ``tmp_path/runs`` with a run.json."""

    def new(name):
        run = create_run(tmp_path / "runs", name, "mnist", "dense")
        run.write_info({"name": name})
        return run

    return new


def test_a_name_is_time_data_set_and_architecture():
    assert re.fullmatch(r"\d{8}-\d{6}-mnist-dense", run_name("mnist", "dense"))


@pytest.mark.parametrize(("dataset", "arch"), [("/a b/ü", "x.py:A"), ("..", "-"), ("a" * 300, "b"), ("\x1b[31m", "a\nb")])
def test_F28_a_name_is_a_plain_directory_name_whatever_the_data_are_called(tmp_path, dataset, arch):
    run = create_run(tmp_path, None, dataset, arch)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}", run.name)
    assert run.path.parent == tmp_path


def test_a_new_run_has_its_directories_and_no_more(tmp_path):
    run = create_run(tmp_path / "new" / "runs", "a", "mnist", "dense")
    assert sorted(path.name for path in run.path.iterdir()) == ["checkpoints", "samples"]
    assert not any(path.exists() for path in (run.info_path, run.config_path, run.metrics_path, run.lock_path))


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "/x", "-n", "a b", "a\n", "a" * 121, "ü"])
def test_F28_a_name_that_is_no_plain_one_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="cannot be the name of a run"):
        create_run(tmp_path, name, "mnist", "dense")
    assert not list(tmp_path.iterdir())


def test_an_existing_directory_is_never_used_again(tmp_path, new_run):
    run = new_run("a")
    with pytest.raises(StorageError, match=r"exists already\. Choose another --name, or resume it: --resume a"):
        create_run(tmp_path / "runs", "a", "mnist", "dense")
    assert run.info() == {"name": "a"}


def test_two_runs_in_one_second_get_two_names(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "run_name", lambda *_: "same")
    assert [create_run(tmp_path, None, "mnist", "dense").name for _ in range(3)] == ["same", "same-2", "same-3"]


def test_a_file_in_the_place_of_the_runs_is_not_taken_for_a_run(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(StorageError, match=r"/runs' is already there\. Choose another name, or move it away"):
        create_run(tmp_path / "runs", "a", "mnist", "dense")
    with pytest.raises(StorageError, match="is a file where a directory is needed"):
        create_run(tmp_path / "runs" / "below", "a", "mnist", "dense")


def test_info_round_trip(new_run):
    run = new_run("a")
    run.write_info({"status": "done", "n": [1, None, "ü"]})
    assert run.info() == {"status": "done", "n": [1, None, "ü"]}
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 10**5, b'{"a": "' + b"x" * (1 << 20) + b'"}'])
def test_a_damaged_run_json_is_an_error_of_that_run(new_run, content):
    run = new_run("a")
    run.info_path.write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json.* Choose another run; see `gancli runs list`"):
        run.info()


def test_a_missing_run_json_is_named(tmp_path):
    with pytest.raises(RunError, match=r"has no readable run\.json"):
        RunDirectory(tmp_path).info()


def test_previews_come_in_the_order_of_their_steps(new_run):
    run = new_run("a")
    for name in ("1000000.png", "999999.png", "000500.png", "20000000.png", "000500 copy.png"):
        (run.samples / name).touch()
    assert [path.name for path in run.previews()] == ["000500.png", "999999.png", "1000000.png", "20000000.png"]


def test_a_run_is_found_by_name_path_and_environment(tmp_path, new_run, monkeypatch):
    run = new_run("a")
    new_run("b")
    assert find_run("a", tmp_path / "runs").path == run.path
    assert find_run(str(run.path), tmp_path / "elsewhere").path == run.path
    monkeypatch.setenv("GANCLI_RUN", "a")
    assert find_run(None, tmp_path / "runs").path == run.path
    assert find_run("b", tmp_path / "runs").name == "b"


def test_a_run_keeps_its_name_when_it_is_found_as_here(new_run, monkeypatch):
    run = new_run("a")
    for where, here in ((run.path, "."), (run.samples, "..")):
        monkeypatch.chdir(where)
        assert find_run(here, where / "none").path == run.path.resolve()


def test_the_last_run_is_the_one_that_saved_last(tmp_path, new_run):
    first, second = new_run("b"), new_run("a")
    mark_latest(second)
    mark_latest(first)
    assert find_run(None, tmp_path / "runs").name == "b"


def test_a_run_that_is_a_link_to_another_filesystem_becomes_the_last(tmp_path):
    shared = Path("/dev/shm")  # noqa: S108  (the test wants a filesystem in memory)
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second filesystem")
    with TemporaryDirectory(dir=shared) as folder:
        (tmp_path / "elsewhere").symlink_to(folder)
        mark_latest(RunDirectory(tmp_path / "elsewhere"))
        assert (tmp_path / ".latest").read_text() == "elsewhere\n"
        assert not list(Path(folder).iterdir())


def test_the_only_run_needs_no_word_that_it_was_the_last(new_run):
    assert find_run(None, new_run("a").path.parent).name == "a"


@pytest.mark.parametrize("content", ["", "gone\n", "../../etc\n", ".\n", "a\0b", "x" * 10**4])
def test_a_last_run_that_is_none_is_never_guessed(tmp_path, new_run, content):
    new_run("a")
    new_run("b")
    (tmp_path / "runs" / ".latest").write_text(content)
    with pytest.raises(RunError, match=r"No last run is known in .*Name one, such as --run b"):
        find_run(None, tmp_path / "runs")


@pytest.mark.parametrize("which", ["runn-1", "/no/such/place", "~nobody-at-all/x", "a" * 300, "a\0b", "..", "."])
def test_F28_what_is_no_run_is_refused_with_the_nearest(tmp_path, new_run, which, monkeypatch):
    new_run("run-1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError) as caught:
        find_run(which, tmp_path / "runs")
    assert caught.value.problem == f"There is no run '{which}' in '{tmp_path / 'runs'}'."
    assert caught.value.remedy in {"Did you mean 'run-1'?", "Known: run-1."}


def test_without_any_run_the_first_command_is_named(tmp_path):
    with pytest.raises(RunError, match="gancli train --dataset mnist"):
        find_run("a", tmp_path / "none")
    with pytest.raises(RunError, match="gancli train --dataset mnist"):
        find_run(None, tmp_path / "none")


def test_the_list_holds_runs_only_newest_name_first(tmp_path, new_run):
    for name in ("20250101-000000-a", "20260101-000000-b"):
        new_run(name)
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "file.txt").touch()
    (tmp_path / "runs" / ".tmp-x" / "checkpoints").mkdir(parents=True)
    assert [run.name for run in list_runs(tmp_path / "runs")] == ["20260101-000000-b", "20250101-000000-a"]
    assert list_runs(tmp_path / "none") == []


def test_a_link_that_leads_nowhere_or_round_is_no_run(tmp_path, new_run):
    new_run("a")
    (tmp_path / "runs" / "loop").symlink_to("loop")
    (tmp_path / "runs" / "gone").symlink_to("nowhere")
    assert [run.name for run in list_runs(tmp_path / "runs")] == ["a"]


def test_a_run_is_removed_with_everything_in_it_and_nothing_else(tmp_path, new_run):
    new_run("b")
    run = new_run("a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (run.samples / "link").symlink_to(outside)
    remove_run(run)
    assert [run.name for run in list_runs(tmp_path / "runs")] == ["b"]
    assert (outside / "kept").exists()


def test_F45_a_run_that_is_being_trained_is_not_removed(new_run):
    run = new_run("a")
    with run_lock(run.lock_path), pytest.raises(RunBusyError):
        remove_run(run)
    assert run.info() == {"name": "a"}


def test_only_what_a_training_made_is_removed(tmp_path):
    """A folder with checkpoints of some other tool could be named by mistake."""
    for name in ("checkpoints", "samples"):
        (tmp_path / name).mkdir()
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunError, match=r"has neither run\.json nor run\.lock"):
        remove_run(RunDirectory(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["checkpoints", "samples", "thesis.tex"]  # noqa: PTH208  (names)
