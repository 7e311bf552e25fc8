"""Named tensors <-> bytes, in the safetensors format: a JSON header and raw numbers. No pickle, hence no code.

    8 bytes   n, the length of the header, little endian
    n bytes   {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
    the rest  the numbers, without gaps

Encoding is deterministic: equal tensors and metadata give equal bytes, so that equal states have equal hashes. (The
library alone writes the metadata in random order.) Decoding checks the header before the library sees it, and a tensor
never needs more memory than the file has bytes. What cannot be stored or trusted is a ``CheckpointError``.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gancli.errors import CheckpointError
from gancli.storage.strict_json import MAX_BYTES, parse_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

METADATA = "__metadata__"
MAX_DIMENSIONS = 16
DTYPES = frozenset(("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"))

_PREFIX_BYTES = 8


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hex, of names, shapes, types and bytes."""
    import torch

    digest = sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def encode(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The content of a ``.safetensors`` file. Tensors may be on any device, and may be views of each other."""
    import torch
    from safetensors.torch import save

    if METADATA in tensors:
        raise CheckpointError(f"A tensor has the name {METADATA!r}, which the file format keeps for itself. Rename it.")
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided:
            raise CheckpointError(f"The tensor {name!r} is {tensor.layout}, which a checkpoint cannot hold. Make it dense.")
    copies = {  # in memory of their own, in order, on the CPU
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    try:
        data = save(copies)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"A tensor cannot be stored in a checkpoint: {error}.") from error
    if metadata:
        start = _PREFIX_BYTES + int.from_bytes(data[:_PREFIX_BYTES], "little")
        header = {METADATA: dict(sorted(metadata.items())), **json.loads(data[_PREFIX_BYTES:start])}
        text = json.dumps(header, separators=(",", ":")).encode("ascii")
        text += b" " * (-len(text) % _PREFIX_BYTES)  # keeps the numbers aligned
        data = b"".join((len(text).to_bytes(_PREFIX_BYTES, "little"), text, memoryview(data)[start:]))
    _header(data, "What would be written")
    return data


def decode(data: bytes, what: str) -> dict[str, Tensor]:
    """The tensors in the content of a ``.safetensors`` file, on the CPU, by name.

    ``what`` is its name at the beginning of a message, such as ``"'runs/x/ema.safetensors'"``.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    _header(data, what)
    try:
        return load(data)
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{what} is not a valid safetensors file: {error}.") from error


def read_metadata(data: bytes, what: str) -> dict[str, str]:
    """The texts that were stored along with the tensors. They need no torch. Arguments as for :func:`decode`."""
    metadata = _header(data, what).get(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise CheckpointError(f"{what} has metadata that are not texts.")
    return metadata


def _header(data: bytes, what: str) -> dict[str, Any]:
    """The header, of which sizes, types and ranks are plausible; the library checks the rest of it against the data."""
    length = int.from_bytes(data[:_PREFIX_BYTES], "little")
    rest = len(data) - _PREFIX_BYTES
    if rest < 0 or length > rest:
        raise CheckpointError(f"{what} is not a safetensors file, or is cut short: it has {len(data):,} bytes.")
    if length > MAX_BYTES:
        raise CheckpointError(f"{what} has a header of {length:,} bytes. At most {MAX_BYTES:,} are read.")
    header = parse_object(data[_PREFIX_BYTES : _PREFIX_BYTES + length], f"The header of {what}")
    for name, tensor in header.items():
        if name == METADATA:
            continue
        each = f"The tensor {name[:100]!a} of {what}"
        dtype, shape = (tensor.get("dtype"), tensor.get("shape")) if isinstance(tensor, dict) else (None, None)
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise CheckpointError(f"{each} has the type {dtype!a:.20}. Known are {', '.join(sorted(DTYPES))}.")
        if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
            raise CheckpointError(f"{each} has no shape, or one of more than {MAX_DIMENSIONS} dimensions.")
    return header
