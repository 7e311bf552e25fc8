"""The page as a file. How it behaves in a browser is in ``page/test_page.py``."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gancli.checkpoint.provenance import Origin, Provenance
from gancli.errors import ExportError
from gancli.export.formats import FP16_TOLERANCE as TOLERANCE
from gancli.export.html import encode, reload, stamp
from gancli.models.loading import load
from gancli.models.model import Model
from gancli.plugin import ImageSpec
from gancli.randomness.latents import latents

EVIL = "</script><img src=x onerror=alert(1)>&amp;<!--{{numbers}}"


def dense(**options):
    from gancli.gan.architectures.dense import Dense, DenseConfig

    torch.manual_seed(0)
    image = ImageSpec(1, 28, 28)
    return model(Dense().build(DenseConfig(**options), image, 100).generator, image, 100)


def model(generator, image, latent_dim, run="digits", classes=(), licence="CC BY-SA 3.0"):
    facts = {
        "arch": {"name": run, "distribution": "none", "version": "1", "options": {}},
        "image": {"channels": 1, "height": 1, "width": 1},
        "classes": [],
        "latent_dim": 1,
        "dataset": {"name": run, "licence": licence},
    }
    known = Provenance.parse(facts, Path())
    return Model(generator, latent_dim, image, tuple(classes), Origin(run, "run", 1, "ab" * 32, "ema", known))


def block(page, name):
    return re.search(rf'id="model-{name}">([^<]*)</script>', page.decode())[1]


def pictures(drawn, n):
    z = latents(range(5000, 5000 + n), drawn.latent_dim)
    labels = np.arange(n) % drawn.image.classes if drawn.image.classes else None
    return z, labels, drawn.draw(torch.from_numpy(z), None if labels is None else torch.from_numpy(labels)).numpy()


@pytest.mark.parametrize("run", ["small_run", "small_conditional_run"])
def test_what_is_read_back_draws_what_the_generator_draws(run, request):
    trained = load(request.getfixturevalue(run))
    draw = reload(encode(trained))
    for n in (1, 30):
        z, labels, expected = pictures(trained, n)
        drawn = draw(z, labels)
        assert (drawn.shape, drawn.dtype) == (expected.shape, np.float32)
        assert np.abs(drawn - expected).max() <= TOLERANCE


def test_the_default_generator_is_below_8_megabytes_with_half_precision():
    page = encode(dense())
    assert json.loads(block(page, "program"))["precision"] == "float16"
    assert len(page) < 4_100_000


def test_weights_that_half_precision_cannot_hold_are_stored_whole():
    class Large(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear = nn.Linear(4, 16)
            self.linear.weight.data *= 1e6

        def forward(self, z):
            return (self.linear(z) / 1e6).tanh().view(-1, 1, 4, 4)

    large = model(Large(), ImageSpec(1, 4, 4), 4)
    page = encode(large)
    assert json.loads(block(page, "program"))["precision"] == "float32"
    z, _, expected = pictures(large, 20)
    np.testing.assert_allclose(reload(page)(z, None), expected, atol=1e-5)


def test_a_generator_that_cannot_be_reproduced_is_no_page():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 16)

        def forward(self, z):
            return torch.log(-self.linear(z).abs() - 1).view(-1, 1, 4, 4)

    with pytest.raises(ExportError, match=r"draw something else than the generator: they differ by nan"):
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


def test_the_difference_is_stored_and_nothing_else_changes(small_run):
    page = encode(load(small_run))
    stamped = stamp(page, 0.00125)
    assert b'"difference": 0.00125' in stamped
    assert stamped.replace(b"0.00125", b"null") == page
