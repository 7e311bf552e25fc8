"""The generator as one web page that needs nothing else: no network, no installation.

The page holds the generator as a :class:`~gancli.export.program.steps.Program` and small kernels that run it in the browser
(``page/kernels.js``). Compared with an ONNX runtime in WebAssembly, which alone has more than 10 MB, that is 40 kB, and fast
enough: a dense generator draws 64 digits in a few hundredths of a second.

What comes from the run (names, classes, licences) may say anything. It is data in the page, never markup: the page's policy
runs no script but its own, which are named by their hashes, and lets no request leave.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache, partial
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from gancli.errors import ExportError
from gancli.export.formats import FP16_TOLERANCE
from gancli.export.program.replay import replay
from gancli.export.program.steps import Precision, Program
from gancli.export.program.tracing import trace
from gancli.randomness.latents import latents
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gancli.models.model import Model

__all__ = ["encode", "reload", "stamp"]

_UNKNOWN_DIFFERENCE = b'"difference": null'
_PROBES = range(10_000, 10_064)
"""Seeds that decide whether 16 bits per weight are enough."""


def encode(model: Model) -> bytes:
    """The whole page, UTF-8.

    Weights are stored as float16 where half the tolerance allows it, else as float32.

    Raises:
        ExportError: the generator holds an operation that the page cannot compute, or none of both precisions is enough.
    """
    program = trace(model)
    precision = _precision(model, program)
    numbers = base64.b64encode(program.packed(precision)).decode()
    engine, worker = _source("latents.js") + _source("kernels.js"), _source("worker.js")
    page, style = _source("drawing.js") + _source("page.js"), _source("page.css")
    parts = {
        "policy": _policy([engine, page], style),
        "version": escape(__version__),
        "title": escape(f"{model.origin.run} · gancli"),
        "icon": _ICON,
        "run": escape(model.origin.run),
        "facts": _inert(json.dumps(_facts(model, precision))),
        "program": _inert(program.to_json(precision)),
        "numbers": numbers,
        "engine": engine,
        "worker": worker,
        "page": page,
        "style": style,
    }
    return _MARK.sub(lambda mark: parts[mark[1]], _source("template.html")).encode("utf-8", "replace")


def reload(data: bytes) -> Callable[[NDArray[np.float32], NDArray[np.int64] | None], NDArray[np.float32]]:
    """What a page draws, computed in NumPy from what the page holds: ``(z (n, latent_dim), labels (n,) | None)`` -> images.

    Raises:
        ExportError: this is no page that gancli wrote.
    """
    text = data.decode("utf-8", "replace")
    found = {name: re.search(rf'<script type="[a-z/]+" id="model-{name}">([^<]*)<', text) for name in ("program", "numbers")}
    try:
        program = Program.parse(found["program"][1], base64.b64decode(found["numbers"][1], validate=True))  # type: ignore[index]
    except (TypeError, ValueError, KeyError) as error:
        raise ExportError("The page holds no generator.", "Give one that `gancli export` wrote.") from error
    return partial(replay, program)


def stamp(data: bytes, difference: float) -> bytes:
    """The page with the largest difference to the generator among its facts, in [-1, 1]."""
    return data.replace(_UNKNOWN_DIFFERENCE, f'"difference": {json.dumps(difference)}'.encode(), 1)


def _precision(model: Model, program: Program) -> Precision:
    import torch

    z = latents(_PROBES, model.latent_dim)
    classes = model.classes(len(z))
    labels = None if classes is None else np.asarray(classes, np.int64)
    drawn = model.draw(torch.from_numpy(z), None if labels is None else torch.from_numpy(labels)).cpu().numpy()
    choices: tuple[tuple[Precision, float], ...] = (("float16", FP16_TOLERANCE / 2), ("float32", FP16_TOLERANCE))
    for precision, allowed in choices:
        stored = Program.parse(program.to_json(precision), program.packed(precision))
        difference = np.abs(replay(stored, z, labels) - drawn).max()
        if difference <= allowed:  # which NaN is not
            return precision
    raise ExportError(
        f"The page would draw something else than the generator: they differ by {difference:.2g} on [-1, 1].",
        f"At most {FP16_TOLERANCE:.2g} is allowed. Export .onnx or .pt2 instead, and report the architecture.",
    )


def _facts(model: Model, precision: Precision) -> dict[str, Any]:
    origin, image = model.origin, model.image
    return {
        "run": origin.run,
        "step": origin.step,
        "weights": "averaged" if origin.weights == "ema" else "not averaged",
        "digest": origin.digest,
        "arch": origin.provenance.arch.name,
        "dataset": origin.provenance.dataset.name,
        "licence": origin.provenance.dataset.licence or "",
        "classes": list(model.class_names) if image.classes else [],
        "image": {"channels": image.channels, "height": image.height, "width": image.width},
        "latent_dim": model.latent_dim,
        "precision": precision,
        "version": __version__,
        "difference": None,
    }


def _policy(scripts: list[str], style: str) -> str:
    """Nothing but these scripts and this style sheet, and no request (``data:`` and ``blob:`` are in the page itself)."""
    allowed = " ".join(map(_hash, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; worker-src blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _inert(text: str) -> str:
    """JSON that says the same and holds no character with a meaning in HTML, so that nothing in it can end its element."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@cache
def _source(name: str) -> str:
    return resources.files("gancli.export").joinpath("page", name).read_text("utf-8")


_MARK = re.compile(r"\{\{(\w+)\}\}")

_ICON = (
    "data:image/svg+xml;base64,"
    + base64.b64encode(
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#a8431b"/>'
        b'<path d="M5 3l7 5-7 5z" fill="#fff"/></svg>'
    ).decode()
)
