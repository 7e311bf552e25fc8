"""A real browser, and generators to put on a page. Without Chromium and its driver the tests say so and are skipped."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from gancli.checkpoint.provenance import Origin, Provenance
from gancli.exporting.formats import trained_generator
from gancli.models.model import Model
from gancli.plugin import ImageSpec
from gancli_page.page import encode

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--window-size=1280,900",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


def model_of(generator, latent_dim, image, *, run="digits", classes=(), dataset="mnist", licence="CC BY-SA 3.0"):
    """A model that says about itself what a run's would."""
    classes = tuple(classes)
    facts = {
        "arch": {"name": "dense", "distribution": "", "version": "1", "options": {}},
        "dataset": {"name": dataset, "licence": licence},
        "image": {"channels": 1, "height": 1, "width": 1},
    }
    facts |= {"classes": list(classes), "latent_dim": latent_dim}
    origin = Origin(
        run, Path("run/checkpoints/step-7020"), 7020, "0123456789abcdef" * 4, "ema", Provenance.parse(facts, Path())
    )
    return Model(generator, latent_dim, image, classes, origin)


def dense(classes=0, **options):
    from gancli.gan.architectures.dense import Dense, DenseConfig

    torch.manual_seed(0)
    image = ImageSpec(1, 28, 28, classes)
    return model_of(Dense().build(DenseConfig(**options), image, 100).generator, 100, image, classes=map(str, range(classes)))


def dcgan():
    plugin = pytest.importorskip("gancli_dcgan")
    torch.manual_seed(0)
    image = ImageSpec(3, 32, 32)
    generator = plugin.DCGAN().build(plugin.DCGANConfig(channels=8, generator_norm="batch"), image, 16).generator
    for layer in generator.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # as if it had been trained
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.01, 0.1)
    return model_of(generator, 16, image, run="faces")


def translator(channels=3, side=32, **options):
    """CUT, untrained, with weights so large that translations are no grey."""
    plugin = pytest.importorskip("gancli_translate")
    torch.manual_seed(0)
    image = ImageSpec(channels, side, side, source=(channels, side, side))
    config = plugin.CUTConfig(channels=4, blocks=1, **options)
    generator = plugin.CUT().build(config, image, 1).generator
    for values in generator.parameters():  # the last layers of one that filters begin as zeros
        values.data.add_(0 if values.any() else 0.02 * torch.randn_like(values))
    return model_of(generator, 1, image, run="horse2zebra", dataset="horses-to-zebras")


class OneSize(torch.nn.Module):
    """A translator that takes images of 32x32 pixels only."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down, self.up = torch.nn.Linear(3 * 32 * 32, 64), torch.nn.Linear(64, 3 * 32 * 32)

    def forward(self, _z, source):
        return self.up(self.down(source.flatten(1))).unflatten(1, (3, 32, 32)).tanh()


@pytest.fixture(scope="session")
def models():
    """The generators of the built-in architecture and of the plugin, with the default sizes where it matters."""
    patches = dense(patch_size=8, generator_widths=(64,))
    translators = {"translator": translator(), "grey": translator(1, 28), "alpha": translator(4, patch=2, reach=2, curves=4)}
    translators["one size"] = model_of(OneSize(), 1, ImageSpec(3, 32, 32, source=(3, 32, 32)))
    return {"dense": dense(), "patches": patches, "classes": dense(10), "dcgan": dcgan(), **translators}


@pytest.fixture(scope="session")
def pages(models):
    """The page of each."""
    return {name: encode(trained_generator(model)) for name, model in models.items()}


class Browser:
    """Chromium with one page open."""

    def __init__(self, driver, folder):
        self.driver, self.folder, self.opened = driver, folder, 0

    def emulate(self, **media):
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def resize(self, width, height):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def open(self, page, before=None):
        """Show a page, after the script ``before``, and wait for its images."""
        self.show(page, before)
        self.wait()
        return self

    def show(self, page, before=None):
        """Show a page, whatever becomes of it."""
        self.logs()
        self.opened += 1
        path = self.folder / f"{self.opened}.html"
        path.write_bytes(page)
        added = before and self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": before})
        self.driver.get(path.as_uri())
        if added:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)

    def wait(self, text="generated in"):
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 60, 0.05).until(lambda _: self.failure or text in self.status)
        assert not self.failure

    def until(self, condition):
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 60, 0.02).until(lambda _: self.js(f"return {condition}"))

    @property
    def status(self):
        return self.js("return document.getElementById('status').textContent")

    @property
    def failure(self):
        return self.js("return document.getElementById('failure').textContent")

    def find(self, name):
        return self.driver.find_element("id", name)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def type(self, name, text):
        """Replace what a field holds, and wait for the pictures, if it is accepted."""
        self.js("document.getElementById('status').textContent = ''")
        self.find(name).clear()
        self.find(name).send_keys(text)

    def logs(self):
        """What the console said and which requests went out, since the last call (not those that the policy stopped)."""
        console = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        failed = [event["params"] for event in events if event["method"] == "Network.loadingFailed"]
        stopped = {failure["requestId"] for failure in failed if failure.get("blockedReason") == "csp"}
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return console, [request["request"]["url"] for request in sent if request["requestId"] not in stopped]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The driver, started once."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing: pip install selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("Chromium is missing: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield Browser(started, tmp_path_factory.mktemp("pages"))
    started.quit()


@pytest.fixture
def browser(chromium):
    """The browser as a desktop computer's, in light colours. After the test its console has to be free of errors."""
    chromium.emulate(prefers_color_scheme="light", prefers_reduced_motion="no-preference")
    chromium.resize(1280, 900)
    chromium.logs()
    yield chromium
    console, sent = chromium.logs()
    assert console == []
    assert [address for address in sent if not address.startswith(("file:", "data:", "blob:"))] == []
