"""The page as a file: the generator as a :class:`~gancli_page.program.Program`, and small kernels that run it in a browser.

Compared with an ONNX runtime in WebAssembly, which alone has more than 10 MB, the kernels (``static/kernels.js``) are 40 kB,
and fast enough: a dense generator computes 64 digits in a few hundredths of a second.

What comes from the run (names, classes, licences) may say anything. It is data in the page, never markup: the page's policy
runs no script but its own, which are named by their hashes, and lets no request leave.
"""

from __future__ import annotations

import base64
import json
import math
import re
from functools import partial
from hashlib import sha256
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from gancli.errors import ExportError
from gancli_page.directions import directions
from gancli_page.program import FULL, Program
from gancli_page.replay import replay
from gancli_page.tracing import trace

if TYPE_CHECKING:
    from gancli.plugin import Draw, TrainedGenerator

TOLERANCE = 2 / 255  # largest difference to the generator in [-1, 1]: one level of 8 bits
# latents that decide how many bits per weight are enough; source images together have about so many pixels
_PROBES, _PROBE_PIXELS = 64, 2**16
_FEWEST_BITS, _MOST_BITS = 8, 16
_OTHER_BYTES = 0.04


def encode(generator: TrainedGenerator) -> bytes:
    """The whole page, UTF-8.

    Weights are rounded to as few bits as half the tolerance allows, 8 to 16, else stored as float32.

    Raises:
        ExportError: the generator holds an operation that the page cannot compute, or would not be the same.
    """
    program = trace(generator)
    bits = _enough_bits(generator, program)
    engine, worker = _source("latents.js") + _source("kernels.js"), _source("worker.js")
    main, script = ("translation.html", "translation.js") if program.source else ("samples.html", "page.js")
    page, style = _source("drawing.js") + _source("common.js") + _source(script), _source("page.css")
    metadata, image = generator.metadata, generator.image
    run, version = str(metadata["run"]), str(metadata["gancli"])
    facts = {
        "run": metadata["run"],
        "step": metadata["step"],
        "weights": "EMA" if metadata["weights"] == "ema" else "raw",
        "digest": metadata["digest"],
        "arch": metadata["arch"]["name"],
        "dataset": metadata["dataset"]["name"],
        "licence": str(metadata["dataset"].get("licence") or ""),
        "classes": list(generator.class_names) if image.classes else [],
        "image": {"channels": image.channels, "height": image.height, "width": image.width},
        "latent_dim": generator.latent_dim,
        "directions": [] if image.source else directions(generator).round(5).tolist(),
        "bits": bits,
        "version": metadata["gancli"],
    }
    parts = {
        "version": escape(version),
        "title": escape(f"{run} · gancli"),
        "run": escape(run),
        "main": _source(main),
        "facts": _inert(json.dumps(facts)),
        "program": _inert(program.to_json(bits)),
        "numbers": base64.b64encode(program.packed(bits)).decode(),
        "engine": engine,
        "worker": worker,
        "page": page,
        "style": style,
    }
    for name in ("engine", "page", "style"):  # all that the page's policy allows
        parts[f"{name}_hash"] = f"'sha256-{base64.b64encode(sha256(parts[name].encode()).digest()).decode()}'"
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], _source("template.html")).encode("utf-8", "replace")


def reload(data: bytes) -> Draw:
    """What a page computes, in PyTorch, from what the page holds.

    Raises:
        ExportError: this is not a page that gancli wrote.
    """
    text = data.decode("utf-8", "replace")
    found = {name: re.search(rf'<script type="[a-z/]+" id="model-{name}">([^<]*)<', text) for name in ("program", "numbers")}
    try:
        program = Program.parse(found["program"][1], base64.b64decode(found["numbers"][1], validate=True))  # type: ignore[index]
    except (TypeError, ValueError, KeyError) as error:
        raise ExportError("The page holds no generator.", "Give one that `gancli export` wrote.") from error
    return partial(replay, program)


def _enough_bits(generator: TrainedGenerator, program: Program) -> int:
    """The fewest bits per weight that stay within half the tolerance, so that other latents stay within it.

    Besides, at most 4 % of the bytes may round to the neighbouring level. Each bit less doubles the rounding error: the
    error of 16 bits says where to begin.
    """
    noise, classes, source = np.random.default_rng(0), generator.image.classes, generator.image.source
    if source:
        probes = min(_PROBES, max(2, _PROBE_PIXELS // math.prod(source[1:])))
        z = (noise.standard_normal((probes, *source), np.float32) / 2).clip(-1, 1)
    else:
        z = noise.standard_normal((_PROBES, generator.latent_dim), np.float32)
    labels = np.arange(_PROBES) % classes if classes else None
    expected = generator.draw(z, labels)

    def differences(bits: int) -> tuple[float, float]:
        """The largest, and the share of bytes that differ."""
        drawn = replay(Program.parse(program.to_json(bits), program.packed(bits)), z, labels)
        levels = [np.round(np.clip(images, -1, 1) * 127.5) for images in (drawn, expected)]
        return float(np.abs(drawn - expected).max()), float((levels[0] != levels[1]).mean())

    exact, _ = differences(FULL)
    if not exact <= TOLERANCE / 2:  # which NaN is not
        raise ExportError(
            f"The page would show something else than the generator: they differ by {exact:.2g} on [-1, 1].",
            f"At most {TOLERANCE:.2g} is allowed. Export .onnx or .pt2 instead, and report the architecture.",
        )
    rounding, _ = differences(_MOST_BITS)
    spare = math.floor(math.log2(TOLERANCE / 2 / max(rounding, 1e-9))) if math.isfinite(rounding) else 0
    for bits in range(max(_FEWEST_BITS, _MOST_BITS - max(0, spare)), _MOST_BITS + 1):
        largest, share = differences(bits)
        if largest <= TOLERANCE / 2 and share <= _OTHER_BYTES:
            return bits
    return FULL


def _inert(text: str) -> str:
    """JSON that says the same and holds no character with a meaning in HTML, so that nothing in it can end its element."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _source(name: str) -> str:
    return resources.files("gancli_page").joinpath("static", name).read_text("utf-8")
