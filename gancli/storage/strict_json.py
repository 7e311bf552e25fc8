"""JSON from files that may be damaged or hostile: bounded before it is parsed, and with one meaning only.

Refused, besides what is no JSON: more than 1 MiB, deep nesting (which exhausts the parser's stack), anything but UTF-8,
a key given twice (two readers could each believe another value), and NaN or infinity, also as a number like 1e999.
"""

import json
import math
import re
from itertools import accumulate
from typing import Any

from gancli.errors import CheckpointError

MAX_BYTES = 1 << 20
MAX_DEPTH = 32

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``data``, which a message begins by calling ``what``: ``"The manifest of 'runs/x'"``.

    Raises:
        CheckpointError: it is not one that can be trusted.

    >>> parse_object(b'{"step": 500}', "The example")
    {'step': 500}
    """
    if len(data) > MAX_BYTES:
        raise CheckpointError(f"{what} has {len(data):,} bytes of JSON. At most {MAX_BYTES:,} are read.")
    brackets = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS)
    if max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0) > MAX_DEPTH:
        raise CheckpointError(f"{what} is nested deeper than {MAX_DEPTH} levels.")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique_keys, parse_constant=_finite, parse_float=_finite)
    except ValueError as error:
        raise CheckpointError(f"{what} is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{what} is JSON, but not an object.")
    return value


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which no key may be given twice: a hook for :func:`json.loads`."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:100]!a} occurs twice")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:100]} is not a finite number")
    return number
