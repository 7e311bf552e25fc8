"""Checkpoints that are damaged, mixed up or made to harm: one error, nothing believed, nothing run."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from gancli.checkpoint.manifest import MANIFEST, read_checkpoint, seal
from gancli.checkpoint.store import CheckpointStore
from gancli.errors import CheckpointError
from gancli.storage.tensors import decode, encode

MEMBERS = ["weights.safetensors", "state.json"]
EVERYTHING = [*MEMBERS, MANIFEST]


@pytest.fixture
def store(tmp_path, save):
    """Steps 1 and 2 are saved."""
    store = CheckpointStore(tmp_path / "checkpoints")
    save(store, 1)
    save(store, 2)
    return store


def forge(path, files, /, **changes):
    """A checkpoint that is consistent in itself, as an attacker would make it."""
    path.mkdir(parents=True)
    members = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    manifest = {"format_version": 1, "step": 3, "images_seen": 0, "facts": {}, "files": members, **changes}
    for name, data in {**files, MANIFEST: seal(manifest)}.items():
        (path / name).write_bytes(data)
    return path


def assert_refused(store, match=None):
    """Loading fails, says which step is intact, and never steps back by itself."""
    for names in (None, [], ["state.json"]):
        with pytest.raises(CheckpointError, match=match) as raised:
            store.load(names=names)
        assert f"The newest intact one is step 1; take it with --checkpoint {store.path(1)}" in raised.value.remedy
    assert store.load(1).step == 1


@pytest.mark.parametrize("name", EVERYTHING)
def test_F12_a_truncated_file_is_detected_at_every_length(store, name):
    path = store.path(2) / name
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(store.path(2), ())
    assert_refused(store)


@pytest.mark.parametrize("name", EVERYTHING)
def test_F12_bytes_at_the_end_are_detected(store, name):
    with (store.path(2) / name).open("ab") as file:
        file.write(b"\0")
    assert_refused(store)


@pytest.mark.parametrize("name", EVERYTHING)
def test_F13_every_single_bit_flip_is_detected(store, name):
    path = store.path(2) / name
    whole = path.read_bytes()
    for position in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            read_checkpoint(store.path(2), ())
    assert_refused(store)


@pytest.mark.parametrize("name", EVERYTHING)
def test_F14_parts_swapped_between_steps_are_detected(store, name):
    shutil.copy(store.path(1) / name, store.path(2) / name)
    assert_refused(store)


def test_F14_a_renamed_step_is_detected(store):
    shutil.rmtree(store.path(2))
    shutil.copytree(store.path(1), store.path(2))
    assert_refused(store, "holds step 1: it was renamed")


@pytest.mark.parametrize("name", EVERYTHING)
def test_F12_a_missing_file_is_detected(store, name):
    (store.path(2) / name).unlink()
    if name == MANIFEST:
        assert store.steps() == [1]
        with pytest.raises(CheckpointError, match="missing"):
            read_checkpoint(store.path(2))
    else:
        assert_refused(store, f"lacks {name}")


def test_F19_a_file_that_the_manifest_does_not_list_is_refused(store):
    (store.path(2) / "\x1b[2Jextra.pkl").write_bytes(b"")
    assert_refused(store, r"has a file '\\x1b\[2Jextra\.pkl' that its manifest does not list")


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("kind", ["link", "link to nothing", "fifo", "directory", "socket"])
def test_F19_members_that_are_no_files_are_refused_at_once(store, name, kind, tmp_path):
    path = store.path(2) / name
    path.rename(tmp_path / "original")
    match kind:
        case "link":
            path.symlink_to(tmp_path / "original")
        case "link to nothing":
            path.symlink_to(tmp_path / "nothing")
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "socket":
            bind(path)
    assert_refused(store, "not a file")


def bind(path):
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(".", os.O_RDONLY)
        os.chdir(path.parent)  # the path of a socket is at most 107 bytes long
        try:
            server.bind(path.name)
        finally:
            os.fchdir(here)
            os.close(here)


@pytest.mark.skipif(not os.access("/dev/full", os.R_OK), reason="there are no such devices here")
@pytest.mark.parametrize("name", EVERYTHING)
def test_F19_devices_are_refused(store, name):
    path = store.path(2) / name
    path.unlink()
    try:
        os.mknod(path, 0o600 | 0o020000, Path("/dev/zero").stat().st_rdev)
    except PermissionError:
        pytest.skip("devices cannot be made here")
    assert_refused(store, "not a file")


@pytest.mark.parametrize(
    "name", ["../escape", "/etc/passwd", "a/b", "..", ".", "", ".hidden", "a\nb", "\x1b[31m", "é", "n" * 101, "manifest.json"]
)
def test_F19_names_that_lead_elsewhere_are_refused(tmp_path, name):
    path = forge(tmp_path / "step-000000003", {"state.json": b"{}"}, files={name: {"size": 2, "sha256": "0" * 64}})
    with pytest.raises(CheckpointError) as raised:
        read_checkpoint(path)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500


MANIFEST_BOMBS = {
    "2 MiB": b" " * (2 << 20),
    "nested lists": b"[" * 100_000,
    "nested objects": b'{"a":' * 50_000,
    "nested facts": b'{"format_version":1,"facts":' + b"[" * 500 + b"]" * 500 + b"}",
    "many digits": b'{"step": ' + b"9" * 500_000 + b"}",
    "large exponent": b'{"format_version": 1, "facts": {"a": 1e999}}',
    "NaN": b'{"format_version": 1, "facts": {"a": NaN}}',
    "key twice": b'{"format_version": 1, "format_version": 1}',
    "quotes": b'"' + b"\\" * 1_000_000,
    "many keys": b"{" + b",".join(b'"%d":0' % i for i in range(80_000)) + b"}",
}


@pytest.mark.parametrize("name", MANIFEST_BOMBS)
def test_F19_manifest_bombs_are_refused_with_little_memory(store, name):
    (store.path(2) / MANIFEST).write_bytes(MANIFEST_BOMBS[name])
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            read_checkpoint(store.path(2))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_F19_a_huge_sparse_manifest_is_refused_unread(store):
    os.truncate(store.path(2) / MANIFEST, 1 << 40)
    assert_refused(store, "At most 1,048,576 are read")


def test_F19_a_file_larger_than_its_manifest_says_is_refused_unread(store):
    os.truncate(store.path(2) / "state.json", 1 << 40)
    assert_refused(store, "1,099,511,627,776 bytes, but 11 were saved")


def test_F20_files_that_nobody_asked_for_never_fill_the_memory(tmp_path):
    size = 32 << 20
    path = forge(tmp_path / "step-000000003", {"optim.safetensors": bytes(size), "state.json": b"{}"})
    tracemalloc.start()
    try:
        assert read_checkpoint(path, ["state.json"]).files == {"state.json": b"{}"}
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


def header(entries, data=b""):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(**changes):
    return {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}


HEADER_BOMBS = {
    "nothing": b"",
    "seven bytes": b"\x02\0\0\0\0\0\0",
    "length 2^64 - 1": b"\xff" * 8 + b"{}",
    "longer than the file": (100).to_bytes(8, "little") + b"{}",
    "2 MiB": header(b" " * (2 << 20)),
    "nested": header(b"[" * 100_000),
    "key twice": header(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{}}', bytes(4)),
    "no object": header([]),
    "no type": header({"w": []}),
    "type of no kind": header(tensor(dtype=["F32"]), bytes(4)),
    "unknown type": header(tensor(dtype="F4"), bytes(4)),
    "negative shape": header(tensor(shape=[-1]), bytes(4)),
    "shape of no kind": header(tensor(shape="1"), bytes(4)),
    "a thousand dimensions": header(tensor(shape=[1] * 1000), bytes(4)),
    "strides overflow": header(tensor(shape=[0, 2**62, 2**62], data_offsets=[0, 0])),
    "overlap": header({**tensor(), "v": tensor()["w"]}, bytes(4)),
    "gap": header(tensor(data_offsets=[4, 8]), bytes(8)),
    "bytes behind": header(tensor(), bytes(5)),
    "offsets outside": header(tensor(data_offsets=[0, 400]), bytes(4)),
    "metadata of no kind": header({"__metadata__": {"a": 1}}),
    "pickle": pickle.dumps({"w": 1}),
}


@pytest.mark.parametrize("name", HEADER_BOMBS)
def test_F18_header_bombs_are_refused(name):
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        decode(HEADER_BOMBS[name], "'model.safetensors'")


@pytest.mark.parametrize("shape", [[2**40], [2**31, 2**31], [2**20] * 3, [2**63 - 1]], ids=str)
def test_F20_a_tiny_file_asks_for_huge_tensors(shape):
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            decode(header(tensor(shape=shape), bytes(4)), "'model.safetensors'")
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_F13_bit_flips_in_a_lone_safetensors_file_never_crash():
    """Without a manifest a flipped number cannot be seen; a flipped header is refused or harmless."""
    import torch

    whole = encode({"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}, {"gancli": "{}"})
    for position in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        try:
            tensors = decode(bytes(damaged), "'model.safetensors'")
        except CheckpointError:
            continue
        assert sum(t.nbytes for t in tensors.values()) == 32


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


UNPICKLED = """
import sys
from pathlib import Path
import safetensors.torch  # imports run code, of course; what counts is what comes now
from gancli.checkpoint.manifest import read_checkpoint
from gancli.storage.tensors import decode, read_metadata
from gancli.errors import CheckpointError

seen = []
sys.addaudithook(lambda event, _: seen.append(event))
for path in map(Path, sys.argv[1:]):
    refused = 0
    for attempt in (lambda: read_checkpoint(path), *(
        lambda f=file, use=use: use(f.read_bytes(), f.name) for file in path.iterdir() for use in (decode, read_metadata)
    )):
        try:
            attempt()
        except CheckpointError:
            refused += 1
    print(path.parent.name, refused)
print([event for event in seen if event.startswith(("pickle", "exec", "compile", "import", "marshal", "os.mkdir"))])
"""


def test_F16_nothing_is_ever_unpickled(tmp_path):
    """A pickle that would make a directory, under any name and with the right hash; an audit hook listens."""
    payload = pickle.dumps(Malicious(str(tmp_path / "proof")))
    paths = []
    for name in ("weights.safetensors", "state.json", "rng.pkl", "data.pt", MANIFEST):
        files = {name: payload} if name != MANIFEST else {"state.json": b"{}"}
        paths.append(forge(tmp_path / name / "step-000000003", files))
    (paths[-1] / MANIFEST).write_bytes(payload)
    done = subprocess.run([sys.executable, "-c", UNPICKLED, *paths], capture_output=True, text=True, check=True)
    *refused, events = done.stdout.splitlines()
    assert len(refused) == len(paths)
    assert all(int(line.split()[1]) >= 4 for line in refused), refused
    assert events == "[]"
    assert not (tmp_path / "proof").exists()
    pickle.loads(payload)  # noqa: S301  (that it would have worked)
    assert (tmp_path / "proof").exists()


def test_F17_what_facts_name_is_never_imported(tmp_path):
    """A path to code in the manifest is text."""
    (tmp_path / "evil_plugin.py").write_text("raise SystemExit('imported')")
    facts = {"arch": {"entry_point": "evil_plugin:Evil", "class": "os.system", "__reduce__": ["os.system", "true"]}}
    path = forge(tmp_path / "step-000000003", {"state.json": b"{}"}, facts=facts)
    program = "import sys; from pathlib import Path; from gancli.checkpoint.manifest import read_checkpoint as read\n"
    program += "assert read(Path(sys.argv[1])).manifest.facts; assert 'evil_plugin' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    subprocess.run([sys.executable, "-c", program, path], env=environment, check=True)
