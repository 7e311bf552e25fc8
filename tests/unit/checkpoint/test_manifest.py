"""What a checkpoint says about itself: there and back, and nothing that is not what it seems."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gancli.checkpoint.manifest import Manifest, seal
from gancli.errors import CheckpointError
from gancli.storage.strict_json import MAX_BYTES, MAX_DEPTH, parse_object

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
FIELDS = {
    "format_version": 1,
    "step": 500,
    "images_seen": 64000,
    "facts": {"architecture": "dense"},
    "files": {"state.json": {"size": 0, "sha256": EMPTY_SHA256}},
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z").filter(lambda name: name != "manifest.json")


@given(
    step=st.integers(0, 10**18),
    images_seen=st.integers(0, 10**18),
    files=st.dictionaries(names, st.binary(max_size=20), max_size=5),
    facts=st.dictionaries(st.text(max_size=10), json_values, max_size=5),
)
def test_there_and_back(step, images_seen, files, facts):
    manifest = Manifest.describe(step, files, images_seen=images_seen, facts=facts)
    data = manifest.encode()
    again = Manifest.parse(data)
    assert again == manifest
    assert again.encode() == data
    assert again.facts == facts
    assert {name: member.size for name, member in again.files.items()} == {name: len(data) for name, data in files.items()}


@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused_as_a_checkpoint_error(data):
    with pytest.raises(CheckpointError):
        Manifest.parse(data)


@given(
    facts=st.dictionaries(st.text(max_size=10), json_values, max_size=5),
    position=st.integers(0, 10**6),
    byte=st.integers(0, 255),
)
def test_any_changed_byte_is_seen(facts, position, byte):
    data = bytearray(Manifest.describe(1, {"a": b""}, images_seen=2, facts=facts).encode())
    position %= len(data)
    if data[position] != byte:
        data[position] = byte
        with pytest.raises(CheckpointError):
            Manifest.parse(bytes(data))


def test_it_is_frozen():
    manifest = Manifest.parse(seal(FIELDS))
    with pytest.raises(ValidationError, match="frozen"):
        manifest.step = 501


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 2}, r"has the format version 2\. This gancli reads version 1; a newer gancli"),
        ({"format_version": None}, "has the format version None"),
        ({"format_version": "\x1b[2J" * 100}, r"has the format version '\\x1b"),
        ({"step": -1}, "at 'step', .* greater than or equal to 0"),
        ({"step": 1.0}, "at 'step', .* valid integer"),
        ({"step": True}, "at 'step', .* valid integer"),
        ({"step": "1"}, "at 'step', .* valid integer"),
        ({"step": 10**19}, "at 'step', .* less than"),
        ({"images_seen": -1}, "at 'images_seen'"),
        ({"facts": []}, "at 'facts'"),
        ({"files": {}, "more": 1}, "at 'more', Extra"),
        ({"files": {"a": {"size": -1, "sha256": EMPTY_SHA256}}}, "at 'files.a.size'"),
        ({"files": {"a": {"size": 1, "sha256": EMPTY_SHA256.upper()}}}, "at 'files.a.sha256'"),
        ({"files": {"a": {"size": 1, "sha256": EMPTY_SHA256 + "\n"}}}, "at 'files.a.sha256'"),
        ({"files": {"a": {"size": 1}}}, "at 'files.a.sha256', Field required"),
        ({"files": {"../a": {"size": 1, "sha256": EMPTY_SHA256}}}, "a file's name is 1 to 100 letters"),
        ({"files": {"manifest.json": {"size": 1, "sha256": EMPTY_SHA256}}}, "and not manifest.json"),
    ],
    ids=str,
)
def test_fields_that_cannot_be_are_named(changes, words):
    with pytest.raises(CheckpointError, match=words) as raised:
        Manifest.parse(seal({**FIELDS, **changes}), "The manifest of 'x'")
    assert str(raised.value).startswith("The manifest of 'x' ")
    assert str(raised.value).isprintable()


def test_a_missing_field_is_named():
    fields = dict(FIELDS)
    del fields["step"]
    with pytest.raises(CheckpointError, match="at 'step', Field required"):
        Manifest.parse(seal(fields))


def test_what_is_right_but_not_sealed_is_refused():
    with pytest.raises(CheckpointError, match="its content and its seal differ"):
        Manifest.parse(json.dumps(FIELDS).encode())


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"loss": float("nan")}, "cannot hold its facts: Out of range float"),
        ({"path": object()}, "cannot hold its facts: .*not JSON serializable"),
        ({"text": "x" * MAX_BYTES}, "At most 1,048,576"),
        ({"list": json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)}, "nested deeper than 32"),
    ],
    ids=["NaN", "object", "too long", "too deep"],
)
def test_facts_that_could_not_be_read_again_are_refused_before_anything_is_written(facts, words):
    with pytest.raises(CheckpointError, match=words):
        Manifest.describe(1, {}, images_seen=0, facts=facts).encode()


def test_facts_are_what_will_be_read_back():
    manifest = Manifest.describe(1, {}, images_seen=0, facts={"shape": (1, 28), "classes": {1: "one", 0: "zero"}})
    assert manifest.facts == {"shape": [1, 28], "classes": {"1": "one", "0": "zero"}}
    assert Manifest.parse(manifest.encode()) == manifest


def test_odd_file_names_in_facts_survive():
    facts = {"dataset": "pictures/\udcff\ud83d.png"}
    assert Manifest.parse(Manifest.describe(1, {}, images_seen=0, facts=facts).encode()).facts == facts


def test_the_state_digest_knows_names_and_contents_and_nothing_else():
    def digest(files, **changes):
        return Manifest.describe(**{"step": 1, "images_seen": 0, "facts": {}, **changes}, files=files).state_digest

    files = {"a": b"1", "b": b"2"}
    assert digest(files) == digest(dict(reversed(files.items())), images_seen=7, facts={"elapsed": 1.5})
    assert (
        len({digest(files), digest({"a": b"2", "b": b"1"}), digest({"a": b"1"}), digest({"a": b"1", "c": b"2"}), digest({})})
        == 5
    )


NOT_STRICT = [
    b"", b"[]", b"1", b"null", b"{}{}", b'{"a":1,}', b"{'a':1}", b"\xef\xbb\xbf{}", b"\xff{}", '{"a":1}'.encode("utf-16"),
    b"{", b'{"\xc3\x28":1}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":-1e999}', b'{"a":1,"a":1}',
    b'{"a":{"b":1,"b":2}}',
]  # fmt: skip


@pytest.mark.parametrize("data", NOT_STRICT)
def test_what_is_not_strictly_an_object_is_refused(data):
    with pytest.raises(CheckpointError, match=r"^The example ") as raised:
        parse_object(data, "The example")
    assert str(raised.value).isprintable()


def test_brackets_in_strings_are_no_nesting():
    text = "[{" * 1000 + '"\\'
    assert parse_object(json.dumps({"a": text, "b": [[]]}).encode(), "x") == {"a": text, "b": [[]]}


def test_nesting_up_to_the_limit_is_read():
    inner = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)
    parse_object(b'{"a":' + inner + b"}", "x")
    with pytest.raises(CheckpointError, match="nested deeper"):
        parse_object(b'{"a":[' + inner + b"]}", "x")
