"""The page in a real browser: what it draws, and everything a user can do with it."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gancli import images
from gancli.checkpoint.provenance import Origin, Provenance
from gancli.exporting.formats import trained_generator
from gancli.models.model import Model
from gancli.plugin import ImageSpec
from gancli.randomness.latents import MAX_SEED, latents
from gancli_page.directions import MOST
from gancli_page.page import encode

EVIL = '</script><img src=x onerror="window.hurt=1"><b>'
CONTROLS = [
    "theme",
    "seed",
    "class",
    "count",
    "previous",
    "next",
    "random",
    "grid",
    "save-grid",
    "play",
    "save-picture",
    "speed",
    "command",
    "shake",
]


def keys():
    from selenium.webdriver.common.keys import Keys

    return Keys


def shown(browser, channels):
    """The pictures of the grid, uint8 ``(n, h, w, c)``."""
    flat, height, width = browser.js(
        "const {width, height} = state.images[0];"
        "return [state.images.map((image) => Array.from(image.data)), height, width];"
    )  # fmt: skip
    return np.uint8(flat).reshape(-1, height, width, 4)[..., :channels]


def single(browser, channels=1):
    """The one picture, uint8 ``(h, w, c)``."""
    flat, height, width = browser.js(
        "const {width, height} = find('picture');"
        "return [Array.from(find('picture').getContext('2d').getImageData(0, 0, width, height).data), height, width];"
    )
    return np.uint8(flat).reshape(height, width, 4)[..., :channels]


def settle(browser):
    browser.until("drawing === null")


def assert_alike(drawn, expected):
    """Weights of 16 bits move a number by half a level at most, so that few bytes round to the neighbouring level."""
    assert drawn.shape == expected.shape
    difference = np.abs(drawn.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.08


def expected(model, **request):
    return images.to_bytes(model.sample(**request))


@pytest.mark.parametrize(("name", "channels"), [("dense", 1), ("patches", 1), ("classes", 1), ("dcgan", 3)])
def test_the_grid_is_that_of_sample(name, channels, browser, pages, models):
    browser.open(pages[name])
    assert_alike(shown(browser, channels), expected(models[name], n=64, seed=0))
    settle(browser)
    assert_alike(single(browser, channels), expected(models[name], n=1, seed=0)[0])


@pytest.mark.parametrize("seed", [7, 2**32 + 5, 2**53 + 1, MAX_SEED - 63])
def test_the_seed_box_draws_what_sample_draws_with_that_seed(seed, browser, pages, models):
    browser.open(pages["dense"]).type("seed", str(seed))
    browser.wait(f"seeds {seed} to {seed + 63}, generated")
    assert_alike(shown(browser, 1), expected(models["dense"], n=64, seed=seed))
    assert browser.find("command").text == f"gancli sample --run digits --seed {seed} -n 1"


@pytest.mark.parametrize("typed", ["abc", "-1", "1.5", str(MAX_SEED - 62), str(2**64), "", "1e3"])
def test_what_is_no_seed_is_named_and_changes_nothing(typed, browser, pages):
    browser.open(pages["dcgan"])
    browser.find("seed").send_keys(keys().CONTROL, "a", keys().NULL, keys().DELETE, typed)
    assert browser.find("seed").get_attribute("aria-invalid") == "true"
    assert browser.find("seed-error").text == f"A seed is a whole number from 0 to {MAX_SEED - 63}."
    browser.find("next").click()
    browser.wait("generated in")
    assert browser.find("seed").get_attribute("aria-invalid") == "false"
    assert browser.find("seed-error").text == ""


def test_a_class_can_be_chosen(browser, pages, models):
    browser.open(pages["classes"])
    browser.js("find('status').textContent = ''")
    browser.find("class").send_keys("7")
    browser.wait()
    settle(browser)
    assert_alike(shown(browser, 1), expected(models["classes"], n=64, labels=7))
    assert_alike(single(browser), expected(models["classes"], n=1, labels=7)[0])
    assert browser.find("caption").text == "Seed 0, class 7"
    assert browser.find("command").text.endswith("--class 7")


def test_a_model_without_classes_offers_none(browser, pages):
    browser.open(pages["dense"])
    assert not browser.find("class-field").is_displayed()


def test_a_slider_moves_the_latent_along_its_direction(browser, pages, models):
    browser.open(pages["dense"])
    assert browser.js("return sliders.length") == MOST
    browser.js("sliders[4].input.focus()")
    browser.press(keys().END)
    settle(browser)
    z = torch.from_numpy(latents([0], 100))
    direction = torch.tensor(browser.js("return facts.directions[4]"))
    z[0] += (3 - z[0] @ direction) * direction
    assert_alike(single(browser), images.to_bytes(models["dense"].draw(z))[0])
    assert browser.find("caption").text == "Near seed 0"
    browser.find("reset").click()
    settle(browser)
    assert_alike(single(browser), expected(models["dense"], n=1)[0])
    assert browser.find("caption").text == "Seed 0"


def test_a_little_variation_keeps_the_latent_as_likely_as_it_was(browser, pages):
    browser.open(pages["dense"])
    for _ in range(20):
        browser.find("shake").click()
    z = np.array(browser.js("return Array.from(state.z)"))
    assert 0.6 < z.std() < 1.4
    assert abs(np.corrcoef(z, latents([0], 100)[0])[0, 1]) < 0.75


def test_space_plays_and_pauses_a_walk_from_seed_to_seed(browser, pages, models):
    browser.open(pages["classes"])
    assert browser.find("speed").get_attribute("aria-valuetext") == "2.0 seconds from seed to seed"
    browser.js("find('speed').focus()")
    browser.press(keys().END)
    assert browser.find("speed").get_attribute("aria-valuetext") == "0.5 seconds from seed to seed"
    browser.press(" ")
    assert browser.find("play").get_attribute("aria-pressed") == "true"
    assert browser.status == "Interpolating to seed 1, class 0"
    browser.until("state.target === 2n && walk.t > 0.1")
    between = single(browser)
    browser.press(" ")
    assert browser.find("play").get_attribute("aria-pressed") == "false"
    assert browser.status.startswith("Interpolation paused, near seed")
    settle(browser)
    paused = single(browser)
    time.sleep(0.2)
    assert np.array_equal(single(browser), paused), "a pause is a pause"
    assert not np.array_equal(between, expected(models["classes"], n=1)[0])


def test_the_walk_goes_along_great_circles(browser, pages):
    browser.open(pages["dcgan"])
    a, b = latents([3, 4], 16).astype(float)
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    for t in (0, 0.3, 1):
        by_formula = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
        point = browser.js("return Array.from(Latents.slerp(...arguments))", a.tolist(), b.tolist(), t)
        np.testing.assert_allclose(point, by_formula, atol=1e-6)
    for other in (a, -a, 2 * a):  # parallel and opposite: the straight line, and never NaN
        point = browser.js("return Array.from(Latents.slerp(...arguments))", a.tolist(), other.tolist(), 0.25)
        np.testing.assert_allclose(point, 0.75 * a + 0.25 * other, atol=1e-6)


def test_with_reduced_motion_nothing_moves_between_the_seeds(browser, pages):
    browser.emulate(prefers_reduced_motion="reduce")
    browser.open(pages["dcgan"])
    browser.js("find('speed').value = '2'; window.met = new Set(); setInterval(() => met.add(String(state.z)), 5)")
    browser.find("play").click()
    browser.until("state.target === 4n")
    browser.find("play").click()
    met = {tuple(np.float32(one.split(","))) for one in browser.js("return [...met]")}
    whole = latents(range(5), 16)
    assert len(met) >= 3
    assert all(np.abs(whole - np.array(one)).max(1).min() < 1e-5 for one in met)
    assert browser.js("return getComputedStyle(find('play')).transitionDuration") == "0s"


def test_keys_move_in_the_grid_and_through_the_seeds(browser, pages, models):
    browser.open(pages["dense"])
    browser.js("find('grid').focus()")
    key = keys()
    browser.press(key.ARROW_RIGHT, key.ARROW_DOWN)
    settle(browser)
    assert browser.status == browser.find("caption").text == "Seed 9"
    assert_alike(single(browser), expected(models["dense"], n=1, seed=9)[0])
    chosen = browser.js("return [...document.querySelectorAll('[aria-selected=true]')].map((cell) => cell.id)")
    assert chosen == [browser.find("grid").get_attribute("aria-activedescendant")] == ["sample-9"]
    for pressed, position in ((key.END, 63), (key.ARROW_RIGHT, 63), (key.ARROW_UP, 55), (key.HOME, 0), (key.ARROW_LEFT, 0)):
        browser.press(pressed)
        assert browser.js("return state.chosen") == position
    browser.press(key.PAGE_DOWN)
    browser.wait("seeds 64 to 127, generated")
    browser.press(key.PAGE_UP, key.PAGE_UP)
    browser.wait("seeds 0 to 63, generated")


def test_every_control_can_be_reached_by_tab_and_has_a_name(browser, pages):
    browser.open(pages["classes"])
    reached = []
    while len(reached) < 30 and "slider" not in reached:
        browser.press(keys().TAB)
        reached.append(
            browser.js("const a = document.activeElement; return a.id || (a.closest('#sliders') ? 'slider' : a.tagName)")
        )
    assert reached == [*CONTROLS, "slider"]
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    focusable = [
        node
        for node in tree
        if not node["ignored"] and any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))
    ]
    assert len(focusable) > 10 + MOST
    assert [node["role"]["value"] for node in focusable if not node["name"]["value"]] == []
    options = [node["name"]["value"] for node in tree if node.get("role", {}).get("value") == "option"]
    assert {"Seed 0, class 0", "Seed 63, class 3"} <= set(options)


def luminance(browser):
    red, green, blue = browser.js("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")[:3]
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_until_the_button_is_pressed(scheme, browser, pages):
    browser.emulate(prefers_color_scheme=scheme)
    browser.open(pages["dcgan"])
    assert (luminance(browser) < 0.2) == (scheme == "dark")
    assert browser.find("theme").get_attribute("aria-pressed") == str(scheme == "dark").lower()
    browser.find("theme").click()
    assert (luminance(browser) < 0.2) == (scheme == "light")
    assert browser.find("theme").get_attribute("aria-pressed") == str(scheme == "light").lower()


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_cut_off_at_any_width(width, browser, pages):
    browser.resize(width, 800)
    browser.open(pages["classes"])
    assert browser.js("return document.documentElement.scrollWidth") <= width
    cut = "return [...document.querySelectorAll('button, input, select, canvas, code')]"
    cut += ".filter((e) => e.offsetParent && (e.getBoundingClientRect().right > innerWidth + 1)).map((e) => e.id)"
    assert browser.js(cut) == []


def test_a_touch_chooses_a_picture(browser, pages):
    browser.resize(390, 844)
    browser.open(pages["dense"])
    place = browser.js("const r = find('sample-5').getBoundingClientRect(); return {x: r.x + 5, y: r.y + 5}")
    for kind, points in (("touchStart", [place]), ("touchEnd", [])):
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    browser.until("state.chosen === 5")


@pytest.mark.parametrize(("name", "mode"), [("dense", "L"), ("dcgan", "RGB")])
def test_what_is_saved_is_the_file_that_sample_writes(name, mode, browser, pages, models, tmp_path):
    download = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", download)
    browser.open(pages[name])
    browser.find("save-grid").click()
    browser.find("save-picture").click()
    run = models[name].origin.run
    drawn = expected(models[name], n=64)
    for file, pixels in ((f"{run}-seed-0-grid.png", images.grid(drawn)), (f"{run}-Seed-0.png", drawn[0])):
        with Image.open(io.BytesIO(awaited(tmp_path / file))) as saved:
            assert_alike(np.asarray(saved.convert(mode)).reshape(pixels.shape), pixels)


def awaited(path):
    end = time.monotonic() + 30
    while not path.is_file() and time.monotonic() < end:
        time.sleep(0.02)
    return path.read_bytes()


@pytest.mark.parametrize("count", [16, 100])
def test_the_number_of_pictures_can_be_chosen(count, browser, pages, models):
    browser.open(pages["dcgan"])
    browser.js("find('status').textContent = ''")
    browser.find("count").send_keys(str(count))
    browser.wait(f"{count} images")
    assert_alike(shown(browser, 3), expected(models["dcgan"], n=count))


NO_WORKER = "delete window.Worker;"
BROKEN_WORKER = """
    window.Worker = class {
      constructor() { setTimeout(() => this.onerror(new Event('error', {cancelable: true}))); }
      postMessage() {}
    };
"""


@pytest.mark.parametrize("before", [NO_WORKER, BROKEN_WORKER])
def test_without_a_worker_the_page_draws_by_itself(before, browser, pages, models):
    browser.open(pages["dcgan"], before)
    assert_alike(shown(browser, 3), expected(models["dcgan"], n=64))


def test_with_one_the_page_leaves_the_work_to_it(browser, pages):
    count = "window.asked = 0; const post = Worker.prototype.postMessage;"
    count += "Worker.prototype.postMessage = function (message) { asked++; post.call(this, message); }"
    browser.open(pages["dcgan"], count)
    assert browser.js("return asked") > 2


def test_a_page_that_was_damaged_says_so(browser, pages):
    head, numbers = pages["dcgan"].split(b'id="model-numbers">')
    browser.show(head + b'id="model-numbers">!' + numbers)
    browser.until("!find('failure').hidden")
    assert browser.failure.startswith("The images cannot be computed: ")
    assert browser.find("failure").get_attribute("role") == "alert"


class Labelled(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.table = nn.Linear(4, 16), nn.Embedding(2, 16)

    def forward(self, z, labels):
        return (self.linear(z) + self.table(labels)).tanh().view(-1, 1, 4, 4)


def test_names_from_the_run_are_shown_and_not_obeyed(browser):
    facts = {
        "arch": {"name": EVIL, "distribution": "", "version": "1", "options": {}},
        "dataset": {"name": EVIL, "licence": EVIL},
        "image": {"channels": 1, "height": 1, "width": 1},
        "classes": [],
        "latent_dim": 4,
    }
    origin = Origin(EVIL, Path("x"), 1, "ab" * 32, "ema", Provenance.parse(facts, Path()))
    browser.open(encode(trained_generator(Model(Labelled(), 4, ImageSpec(1, 4, 4, 2), (EVIL, "b"), origin))))
    assert browser.js("return window.hurt") is None
    assert browser.js("return [document.images.length, document.querySelectorAll('b').length]") == [0, 0]
    assert browser.find("name").text == EVIL
    assert browser.driver.title == f"{EVIL} · gancli"
    assert browser.find("caption").text == f"Seed 0, class {EVIL}"
    assert browser.js("return find('class').options[1].text") == EVIL
    assert browser.find("facts").text.count(EVIL) == 2
    assert f"--run '{EVIL}'" in browser.find("command").text


def test_the_page_says_where_the_model_came_from(browser, pages):
    import gancli

    browser.open(pages["dense"])
    about, facts = browser.find("about").text, browser.find("facts").text
    assert (browser.find("name").text, about) == ("digits", "dense trained on mnist, step 7,020")
    for said in (
        "mnist",
        "CC BY-SA 3.0",
        "28 \N{MULTIPLICATION SIGN} 28, grey",
        "100 dimensions",
        "0123456789ab",
        f"gancli {gancli.__version__}",
    ):
        assert said in facts


@pytest.mark.parametrize(
    "attempt",
    [
        "fetch('https://example.invalid/')",
        "fetch('data:text/plain,x')",
        "new Image().src = 'https://example.invalid/x.png'",
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hurt = 1'}))",
        "document.body.append(Object.assign(document.createElement('script'), {src: 'https://example.invalid/x.js'}))",
        "document.body.append(Object.assign(document.createElement('iframe'), {src: 'https://example.invalid/'}))",
        "navigator.sendBeacon('https://example.invalid/', 'x')",
        "new WebSocket('wss://example.invalid/')",
    ],
)
def test_the_policy_stops_whatever_would_ask_or_run_something_else(attempt, browser, pages):
    browser.open(pages["dcgan"])
    browser.js("window.stopped = []; addEventListener('securitypolicyviolation', (e) => stopped.push(e.effectiveDirective))")
    browser.js(f"try {{ Promise.resolve({attempt}).catch(() => {{}}) }} catch {{}}")
    browser.until("stopped.length > 0")
    assert browser.js("return window.hurt") is None
    _, sent = browser.logs()  # takes away the console's complaint, which is wanted here
    assert [address for address in sent if "example.invalid" in address] == []


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_known_answers_of_random123_in_a_browser(counter, key, words, browser, pages):
    if not browser.opened:
        browser.open(pages["dcgan"])
    assert browser.js("return Latents.philox4x32(arguments[0], arguments[1])", key, counter) == list(words)


def test_the_latents_of_a_browser_are_those_of_numpy(browser, pages):
    if not browser.opened:
        browser.open(pages["dcgan"])
    seeds = [
        0,
        1,
        2**31,
        2**32 - 1,
        2**40 + 7,
        2**53 + 1,
        MAX_SEED,
        *np.random.default_rng(0).integers(0, MAX_SEED, 50).tolist(),
    ]
    for dimensions in (1, 6, 100):
        read = browser.js(
            "const [seeds, dimensions] = arguments;"
            "return seeds.map((seed) => Array.from(Latents.latent(BigInt(seed), dimensions)))",
            [*map(str, seeds)],
            dimensions,
        )
        np.testing.assert_allclose(read, latents(seeds, dimensions), rtol=1e-6, atol=1e-7)
