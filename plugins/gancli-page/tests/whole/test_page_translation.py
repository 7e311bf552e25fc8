"""The page of a translator in a real browser: an image is dropped, chosen, pasted or filmed, and translated as by gancli."""

import base64
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image

from gancli_translate.files import Job, translate


def photo(mode, width, height, suffix="png", **options):
    """A file with gradients, stripes and noise."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 60, (height, width))
    planes = [4 * x % 256, 7 * y % 256, (x // 5 % 2) * 160 + noise, 255 - 5 * (x + y) % 128]
    chosen = planes[:1] if mode == "L" else planes[: len(mode)]
    file = io.BytesIO()
    Image.fromarray(np.stack(chosen, 2).astype(np.uint8).squeeze()).save(file, suffix, **options)
    return file.getvalue()


def by_gancli(model, data, folder):
    """What `gancli translate` writes."""
    target = folder / "translated.png"
    translate(model, [Job("photo", partial(io.BytesIO, data), target)])
    with Image.open(target) as image:
        return np.asarray(image if image.mode != "L" else image.convert("RGB"))


def shown(browser, canvas="after"):
    flat, height, width = browser.js(
        "const {width, height} = find(arguments[0]);"
        "return [Array.from(find(arguments[0]).getContext('2d').getImageData(0, 0, width, height).data), height, width];",
        canvas,
    )
    return np.uint8(flat).reshape(height, width, 4)


def drop(browser, data, name="photo.png", event="drop"):
    browser.js(
        "const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));"
        "const transfer = new DataTransfer();"
        "transfer.items.add(new File([bytes], arguments[1]));"
        "document.body.dispatchEvent(arguments[2] === 'drop'"
        " ? new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true})"
        " : new ClipboardEvent('paste', {clipboardData: transfer, bubbles: true}));",
        base64.b64encode(data).decode(),
        name,
        event,
    )


def opened(browser, page):
    browser.show(page)
    assert not browser.failure
    return browser


def assert_alike(seen, expected):
    """At most one level apart, and seldom."""
    difference = np.abs(seen[..., : expected.shape[2]].astype(int) - expected)
    assert seen.shape[:2] == expected.shape[:2]
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.08


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("translator", photo("RGB", 32, 32)),
        ("translator", photo("RGB", 61, 46)),
        ("translator", photo("L", 40, 33)),
        ("translator", photo("RGB", 24, 40, exif=bytes.fromhex("4d4d002a000000080001011200030000000100060000"))),
        ("grey", photo("RGB", 50, 28)),
    ],
    ids=["square", "uneven", "grey photo", "turned", "grey model"],
)
def test_a_dropped_image_is_translated_as_by_gancli(name, data, browser, pages, models, tmp_path):
    expected = by_gancli(models[name], data, tmp_path)
    drop(opened(browser, pages[name]), data)
    browser.wait("translated in")
    assert browser.status.startswith(
        f"photo.png: {expected.shape[1]} \N{MULTIPLICATION SIGN} {expected.shape[0]}, translated in"
    )
    assert_alike(shown(browser), expected)
    assert browser.find("command").text == "gancli translate photo.png --run horse2zebra -o translated.png"


@pytest.mark.parametrize("name", ["translator", "alpha"])
def test_a_transparent_image_is_kept_or_shown_on_white_as_in_training(name, browser, pages, models, tmp_path):
    data = photo("RGBA", 30, 34)
    expected = by_gancli(models[name], data, tmp_path)
    drop(opened(browser, pages[name]), data)
    browser.wait("translated in")
    difference = np.abs(shown(browser)[..., : expected.shape[2]].astype(int) - expected)
    assert difference.mean() < 2  # a canvas rounds the colours of what is half transparent


def test_an_image_can_be_chosen_and_pasted(browser, pages, models, tmp_path):
    first, second = photo("RGB", 20, 20), photo("RGB", 28, 36)
    (tmp_path / "a b.png").write_bytes(first)
    opened(browser, pages["translator"]).find("file").send_keys(str(tmp_path / "a b.png"))
    browser.wait("a b.png: 20 \N{MULTIPLICATION SIGN} 20, translated")
    assert browser.find("command").text.startswith("gancli translate 'a b.png' --run")
    assert_alike(shown(browser), by_gancli(models["translator"], first, tmp_path))
    drop(browser, second, "pasted.png", "paste")
    browser.wait("pasted.png: 28 \N{MULTIPLICATION SIGN} 36, translated")
    assert_alike(shown(browser), by_gancli(models["translator"], second, tmp_path))


def test_a_large_image_is_made_smaller_by_the_chosen_side(browser, pages):
    drop(opened(browser, pages["translator"]), photo("RGB", 640, 320))
    browser.wait("512 \N{MULTIPLICATION SIGN} 256, from 640 \N{MULTIPLICATION SIGN} 320, translated")
    browser.find("size").send_keys("128")
    browser.wait("128 \N{MULTIPLICATION SIGN} 64, from")
    assert shown(browser).shape[:2] == (64, 128)


def test_a_network_of_one_size_is_given_it(browser, pages, models, tmp_path):
    drop(opened(browser, pages["one size"]), photo("RGB", 32, 32))
    browser.wait("translated in")
    assert_alike(shown(browser), by_gancli(models["one size"], photo("RGB", 32, 32), tmp_path))
    drop(browser, photo("RGB", 60, 40))
    browser.wait("photo.png: 60 \N{MULTIPLICATION SIGN} 40, translated in")
    assert shown(browser).shape[:2] == (40, 60)


def test_what_is_not_an_image_is_named(browser, pages):
    drop(opened(browser, pages["translator"]), b"GIF89a nonsense", "notes.txt")
    browser.wait("notes.txt is not an image that this browser reads.")
    assert not browser.find("save").is_enabled()


def test_the_camera_is_translated_until_it_is_switched_off(browser, pages):
    opened(browser, pages["translator"]).find("camera").click()
    browser.wait("camera: 32")
    browser.until("state.source.image.currentTime > 0.2")
    assert browser.find("camera").get_attribute("aria-pressed") == "true"
    assert np.ptp(shown(browser)[..., :3]) > 20
    browser.find("camera").click()
    browser.until("state.film === null && state.running === null")
    assert browser.js("return find('video').srcObject.active") is False


def test_the_translation_is_saved(browser, pages, tmp_path):
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    drop(opened(browser, pages["translator"]), photo("RGB", 33, 21))
    browser.wait("translated in")
    seen = shown(browser)
    browser.find("save").click()
    target = tmp_path / "horse2zebra-photo.png"
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser.driver, 20, 0.05).until(lambda _: target.exists())
    with Image.open(target) as saved:
        assert np.array_equal(np.asarray(saved.convert("RGBA")), seen)
