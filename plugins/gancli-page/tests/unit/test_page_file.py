"""The page as a file. How it behaves in a browser is in ``test_page_browser.py``."""

import base64
import json
import re

import numpy as np
import pytest
import torch
from torch import nn

from gancli.errors import ExportError
from gancli.exporting.formats import choose, export, trained_generator
from gancli.plugin import ImageSpec, TrainedGenerator
from gancli.randomness.latents import latents
from gancli_page.page import TOLERANCE, encode, reload
from gancli_page.program import Program
from gancli_page.replay import replay
from gancli_page.tracing import trace

EVIL = "</script><img src=x onerror=alert(1)>&amp;<!--{{numbers}}"


def dense(**options):
    from gancli.gan.architectures.dense import Dense, DenseConfig

    torch.manual_seed(0)
    image = ImageSpec(1, 28, 28)
    return model(Dense().build(DenseConfig(**options), image, 100).generator, image, 100)


def model(network, image, latent_dim, run="digits", classes=(), licence="CC BY-SA 3.0"):
    about = {"gancli": "1", "run": run, "step": 1, "weights": "ema", "digest": "ab" * 32}
    metadata = {**about, "arch": {"name": run}, "dataset": {"name": run, "licence": licence}}
    return TrainedGenerator(network.eval(), latent_dim, image, tuple(classes), metadata)


def block(page, name):
    return re.search(rf'id="model-{name}">([^<]*)</script>', page.decode())[1]


def images(drawn, n):
    z = latents(range(5000, 5000 + n), drawn.latent_dim)
    labels = np.arange(n) % drawn.image.classes if drawn.image.classes else None
    return z, labels, drawn.draw(z, labels)


@pytest.mark.parametrize("name", ["dense", "patches", "classes", "dcgan"])
def test_what_is_read_back_draws_what_the_generator_draws(name, models):
    trained = trained_generator(models[name])
    draw = reload(encode(trained))
    for n in (1, 30):
        z, labels, expected = images(trained, n)
        drawn = draw(z, labels)
        assert (drawn.shape, drawn.dtype) == (expected.shape, np.float32)
        assert np.abs(drawn - expected).max() <= TOLERANCE


def test_the_default_generator_is_below_4_megabytes_in_few_bits_per_weight():
    page = encode(dense())
    bits = json.loads(block(page, "program"))["bits"]
    assert 8 <= bits <= 14
    assert len(page) < 2_100_000 * bits / 8


def test_images_that_need_more_bits_get_them():
    """The fewest bits that stay within half the tolerance: one bit less would not."""
    trained = dense(generator_widths=(64,))
    with torch.no_grad():
        next(trained.network.parameters()).mul_(8)
    page = encode(trained)
    bits = json.loads(block(page, "program"))["bits"]
    program = Program.parse(block(page, "program"), base64.b64decode(block(page, "numbers")))
    z, _, expected = images(trained, 64)
    exact = trace(trained)
    assert np.abs(replay(program, z) - expected).max() <= TOLERANCE
    fewer = Program.parse(exact.to_json(bits - 1), exact.packed(bits - 1))
    other_bytes = (np.round(replay(fewer, z) * 127.5) != np.round(expected * 127.5)).mean()
    assert np.abs(replay(fewer, z) - expected).max() > TOLERANCE / 4 or other_bytes > 0.03


def test_weights_that_cannot_be_rounded_are_stored_whole():
    class Large(nn.Module):
        """One weight of a row dwarfs the others, and its input is always 0."""

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear = nn.Linear(4, 16)
            self.linear.weight.data[:, 0] = 1e6

        def forward(self, z):
            return self.linear(z * torch.tensor([0.0, 1, 1, 1])).tanh().view(-1, 1, 4, 4)

    large = model(Large(), ImageSpec(1, 4, 4), 4)
    page = encode(large)
    assert json.loads(block(page, "program"))["bits"] == 32
    z, _, expected = images(large, 20)
    np.testing.assert_allclose(reload(page)(z, None), expected, atol=1e-5)


@pytest.mark.parametrize("bits", [2, 5, 8, 12, 13, 16, 32])
def test_what_is_packed_is_unpacked_to_half_a_step(bits):
    numbers = np.random.default_rng(0)
    constants = [numbers.normal(size=shape).astype(np.float32) for shape in ((3,), (5, 7), (), (2, 3, 1, 2), (4, 1))]
    constants.append(np.zeros((2, 3), np.float32))
    program = Program(1, 0, (), tuple(constants))
    again = Program.parse(program.to_json(bits), program.packed(bits))
    for one, other in zip(constants, again.constants, strict=True):
        step = np.abs(one.reshape(len(one), -1)).max(1) / (2 ** (bits - 1) - 1) if one.ndim > 1 else np.zeros(1)
        allowed = 0 if bits == 32 else (step[:, None] / 2 if one.ndim > 1 else 0)
        assert other.shape == one.shape
        assert (np.abs(one - other).reshape(len(one) if one.ndim > 1 else 1, -1) <= allowed + 1e-6 * (bits < 32)).all()


def test_a_generator_that_cannot_be_reproduced_is_no_page():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 16)

        def forward(self, z):
            return torch.log(-self.linear(z).abs() - 1).view(-1, 1, 4, 4)

    with pytest.raises(ExportError, match=r"show something else than the generator: they differ by nan"):
        encode(model(Broken(), ImageSpec(1, 4, 4), 4))


def test_the_same_model_gives_the_same_bytes():
    assert encode(dense(generator_widths=(8,))) == encode(dense(generator_widths=(8,)))


def test_no_text_of_the_run_becomes_markup():
    labelled = model(_Labelled(), ImageSpec(1, 4, 4, 2), 4, run=EVIL, classes=(EVIL, "b"), licence=EVIL)
    page = encode(labelled).decode()
    assert "<img" not in page
    assert "onerror=alert(1)&gt;" in page, "it is there, as text"
    facts = json.loads(block(page.encode(), "facts"))
    assert (facts["run"], facts["licence"], facts["classes"]) == (EVIL, EVIL, [EVIL, "b"])
    assert page.count("<script") == page.count("</script>") == 6


class _Labelled(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.table = nn.Linear(4, 16), nn.Embedding(2, 16)

    def forward(self, z, labels):
        return (self.linear(z) + self.table(labels)).view(-1, 1, 4, 4)


def test_names_that_are_no_text_do_not_break_the_page():
    page = encode(model(nn.Sequential(nn.Linear(4, 16), nn.Unflatten(1, (1, 4, 4))), ImageSpec(1, 4, 4), 4, run="a\udcffb"))
    assert page.decode("utf-8")


def test_the_policy_allows_the_scripts_of_the_page_and_nothing_else():
    from hashlib import sha256

    page = encode(dense(generator_widths=(8,))).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    sources = re.findall(r"<script(?: id=\"\w+\")?>(.*?)</script>|<style>(.*?)</style>", page, re.DOTALL)
    hashes = {base64.b64encode(sha256((script or style).encode()).digest()).decode() for script, style in sources}
    assert hashes == set(re.findall(r"'sha256-([^']*)'", policy))
    assert len(hashes) == 3


def test_the_page_names_no_address():
    page = encode(dense(generator_widths=(8,))).decode()
    assert not re.search(r"""https?://(?!www\.w3\.org/)|(?:src|href)=["'](?!data:)|@import|url\(""", page)


@pytest.mark.parametrize("data", [b"", b"<html></html>", b"\xff\xfe", b'<script type="a" id="model-program">{}</script>'])
def test_what_is_no_page_is_refused(data):
    with pytest.raises(ExportError, match="holds no generator"):
        reload(data)


def test_a_damaged_page_is_refused():
    page = encode(dense(generator_widths=(8,)))
    numbers = block(page, "numbers").encode()
    with pytest.raises(ExportError, match="holds no generator"):
        reload(page.replace(numbers, numbers[:-400]))
    with pytest.raises(ExportError, match="holds no generator"):
        reload(page.replace(b'"steps"', b'"stops"'))


def test_the_plugin_exports_by_suffix(models, tmp_path):
    """The whole way of ``gancli export -o demo.html``."""
    target = tmp_path / "demo.html"
    written = export(models["classes"], target, choose(target))
    assert written.tolerance == TOLERANCE
    assert 0 < written.difference <= TOLERANCE
