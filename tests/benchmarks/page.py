"""How fast an exported page draws in headless Chromium, against PyTorch on one thread: `python tests/benchmarks/page.py`.

Targets: 64 images of the default generator well below a second, one in less than 50 ms (20 a second for sliders).
Generators have the default sizes and fresh weights: the time does not depend on what was learnt.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from interleave import Spread, in_turn, show, taken
from report import Row, conclude
from selenium import webdriver

from gancli.checkpoint.provenance import Origin, Provenance
from gancli.exporting.formats import trained_generator
from gancli.gan.architectures.dense import Dense, DenseConfig
from gancli.models.model import Model
from gancli.plugin import ImageSpec
from gancli_page.page import encode

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from gancli.plugin import Networks

DRAW = """
const [n, done] = arguments, z = Float32Array.from({length: n * facts.latent_dim}, () => 2 * Math.random() - 1);
const start = performance.now();
Drawing.draw(z, new Int32Array(n)).then(() => done((performance.now() - start) / 1000));
"""
ROUNDS = 15


def chromium() -> Chrome:
    """Headless, from Debian's packages."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or sys.exit(
        "Chromium is missing: apt-get install chromium chromium-driver"
    )
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


def generators() -> dict[str, Networks]:
    """The built-in one, and the plugin's where it is installed."""
    image = ImageSpec(1, 28, 28)
    built = {"dense": Dense().build(DenseConfig(), image, 100)}
    try:
        from gancli_dcgan import DCGAN, DCGANConfig
    except ImportError:
        return built
    return built | {"dcgan": DCGAN().build(DCGANConfig(), image, 100)}


def model(networks: Networks) -> Model:
    """A model that says as little as possible about itself."""
    facts = {
        "arch": {"name": "fresh", "distribution": "", "version": "1", "options": {}},
        "dataset": {"name": "none"},
        "image": {"channels": 1, "height": 1, "width": 1},
        "classes": [],
        "latent_dim": 100,
    }
    return Model(
        networks.generator,
        100,
        ImageSpec(1, 28, 28),
        (),
        Origin("fresh", Path(), 0, "0" * 64, "ema", Provenance.parse(facts, Path())),
    )


def main() -> list[Row]:
    """For each generator and number of images."""
    torch.set_num_threads(1)
    rows = []
    with TemporaryDirectory() as folder, chromium() as driver:
        for name, networks in generators().items():
            drawn = model(networks)
            page = Path(folder) / f"{name}.html"
            page.write_bytes(encode(trained_generator(drawn)))
            driver.get(page.as_uri())
            driver.set_script_timeout(60)
            for n in (64, 1):
                z = torch.randn(n, 100)
                works = {
                    "PyTorch": lambda drawn=drawn, z=z: taken(lambda: drawn.draw(z)),
                    "browser": lambda n=n: driver.execute_async_script(DRAW, n),
                }
                in_turn(works, 1)  # compile, and allocate
                times = in_turn(works, ROUNDS)
                print(f"{name}, {n} at a time, in a page of {page.stat().st_size / 1000:.0f} kB")
                show(times, "PyTorch")
                milliseconds = Spread.of(1e3 * seconds for seconds in times["browser"])
                most = {64: 1000, 1: 50}[n] if name == "dense" else None
                rows.append(Row.of(f"{n} of {name} in an exported page in Chromium, ms", milliseconds, ".1f", at_most=most))
    return rows


if __name__ == "__main__":
    conclude(main())
