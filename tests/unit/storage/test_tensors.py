"""Tensors <-> bytes: exactly, deterministically, and without pickle."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gancli.errors import CheckpointError
from gancli.storage.tensors import decode, encode, read_metadata

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
          torch.uint8, torch.bool]  # fmt: skip


def bits(tensor):
    """The numbers as they lie in memory, for which NaN equals NaN."""
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().flatten().view(torch.uint8).tolist() if tensor.numel() else []


def equal(left, right):
    return {name: bits(tensor) for name, tensor in left.items()} == {name: bits(tensor) for name, tensor in right.items()}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4, 5)], ids=str)
def test_every_type_and_shape_comes_back_bit_for_bit(dtype, shape):
    tensors = {"w": (torch.rand(shape) * 200 - 100).to(dtype)}
    assert equal(decode(encode(tensors), "x"), tensors)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=10).filter(lambda name: name != "__metadata__" and name.isprintable()),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=4), st.integers(0, 2**31)),
        max_size=6,
    )
)
def test_there_and_back(description):
    tensors = {
        name: torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
        for name, (dtype, shape, seed) in description.items()
    }
    assert equal(decode(encode(tensors), "x"), tensors)


def test_nan_infinity_and_negative_zero_keep_their_bits():
    tensors = {"w": torch.tensor([0x7FC00001, 0x7F800000, -0x80000000, 1], dtype=torch.int32).view(torch.float32)}
    assert equal(decode(encode(tensors), "x"), tensors)


def test_no_tensors_are_a_file_too():
    assert decode(encode({}), "x") == {}


def test_equal_input_gives_equal_bytes():
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, 2, dtype=torch.int64)}
    metadata = {f"key {i}": str(i) for i in range(20)}
    first = encode(tensors, metadata)
    assert all(encode(tensors, metadata) == first for _ in range(20))
    assert encode(dict(reversed(tensors.items())), dict(reversed(metadata.items()))) == first


def test_the_library_reads_what_is_written():
    from safetensors.torch import load

    data = encode({"w": torch.arange(5.0)}, {"gancli": json.dumps({"arch": "dense", "ü": "\n"})})
    assert load(data)["w"].tolist() == [0, 1, 2, 3, 4]
    assert (8 + int.from_bytes(data[:8], "little")) % 8 == 0


def test_metadata_come_back():
    metadata = {"gancli": json.dumps({"arch": "dense"}), "ü": "\u2028\U0001f600"}
    assert read_metadata(encode({"w": torch.ones(1)}, metadata), "x") == metadata
    assert read_metadata(encode({"w": torch.ones(1)}), "x") == {}


def test_views_tied_weights_and_odd_layouts_are_stored_by_value():
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {"t": base.T, "tied": base, "row": base[1], "expanded": torch.ones(1).expand(3), "last": base.flatten()[5:]}
    assert equal(decode(encode(tensors), "x"), tensors)
    image = torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert equal(decode(encode({"i": image}), "x"), {"i": image})


def test_parameters_are_stored_without_their_history():
    weight = torch.nn.Parameter(torch.ones(2))
    decoded = decode(encode({"w": weight, "x": weight * 2}), "x")
    assert not any(tensor.requires_grad for tensor in decoded.values())


def test_decoded_tensors_are_their_own_and_writable():
    data = encode({"w": torch.zeros(4)})
    first = decode(data, "x")["w"]
    first += 1
    assert decode(data, "x")["w"].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "tensors",
    [
        {"w": torch.ones(2, dtype=torch.complex64)},
        {"w": torch.ones(2, dtype=torch.complex128)},
        {"w": torch.ones(2).to(torch.float8_e4m3fn)},
        {"w": torch.ones(2).to_sparse()},
        {"__metadata__": torch.ones(2)},
        {f"{'n' * 100}{i}": torch.ones(1) for i in range(10_000)},
        {"w": torch.ones([1] * 17)},
        {"\ud800": torch.ones(1)},
    ],
    ids=["complex64", "complex128", "float8", "sparse", "reserved name", "header too long", "17 dimensions", "surrogate"],
)
def test_what_could_not_be_read_again_is_not_written(tensors):
    with pytest.raises(CheckpointError):
        encode(tensors)


def test_the_message_names_file_and_tensor():
    data = encode({"layers.0.weight": torch.ones(2)}).replace(b"F32", b"F99")
    with pytest.raises(
        CheckpointError, match=r"The tensor 'layers\.0\.weight' of 'ema\.safetensors' has the type 'F99'\. Known are BF16"
    ):
        decode(data, "'ema.safetensors'")
