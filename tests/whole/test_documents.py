"""What the documents say is true: their commands run, and CI runs the README's test command."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "plugins" / "README.md").read_text()
SHORTER = {
    "--epochs 30": "--images 192",
    "--minutes 2": "--minutes 0.005",
    "-n 100000": "-n 300",
    "-n 1000": "-n 20",
    "gancli evaluate": "gancli evaluate -n 300",
    "--resume RUN": "--resume",
    "--images 6000": "--images 600",
}


def commands(text):
    """Every indented line that calls gancli, without its comment and what it is piped to."""
    lines = re.findall(r"^    (gancli [^\n]*)", text, re.MULTILINE)
    return [re.split(r" +# | \| | > ", line)[0].strip() for line in lines]


def shorter(command):
    for long, short in SHORTER.items():
        command = command.replace(long, short)
    return command


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with what the README's commands name, where a training is short."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples", ignore=shutil.ignore_patterns("*.png", "*.svg"))
    for i in range(12):
        Path("my-photos", "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 36 + i), (20 * i, 99, 200)).save(Path("my-photos", "ab"[i % 2], f"{i}.png"))
    shutil.make_archive("faces", "zip", "my-photos")
    monkeypatch.setenv("GANCLI_TRAIN__IMAGES", "128")
    monkeypatch.setenv("GANCLI_LOG__EXTRACTOR", "random")
    monkeypatch.setattr("gancli.training.session.plot_losses", lambda _, path: path.touch())  # half of each training
    for name in ("GANCLI_RUN", "GANCLI_PLUGINS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_commands_of_the_readme_work_in_their_order(capfdbinary):
    from gancli.cli.app import run

    pytest.importorskip("gancli_dcgan")
    found = commands(README)
    assert len(found) > 15
    for command in found:
        code = run(shlex.split(shorter(command))[1:] + (["--images", "128"] if "article.toml" in command else []))
        errors = capfdbinary.readouterr().err.decode()
        if "--class" in command:
            assert (code, "is not conditional" in errors) == (2, True), errors  # the last run so far has no classes
        else:
            assert code == 0, f"{command}\n{errors}"


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_commands_of_the_authors_guide_work_in_their_order(capfdbinary, monkeypatch, tmp_path):
    """The installation is done as pip does it: by an entry point and a folder on the path."""
    from gancli.cli.app import run

    pytest.importorskip("gancli_kit")
    from gancli.plugins.distributions import read

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "gancli-wobbly"), str(ROOT)]))
    found = commands(GUIDE)
    assert len(found) > 10
    for command in found:
        code = run(shlex.split(shorter(command))[1:])
        assert code == 0, f"{command}\n{capfdbinary.readouterr()}"
        if "plugin new" in command:
            monkeypatch.syspath_prepend(str(tmp_path / "gancli-wobbly"))
            info = tmp_path / "gancli-wobbly" / "gancli_wobbly-0.1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gancli-wobbly\nVersion: 0.1.0\n")
            (info / "entry_points.txt").write_text("[gancli.architectures]\nwobbly = gancli_wobbly:Wobbly\n")
            read.cache_clear()
    read.cache_clear()


def test_ci_runs_the_test_command_of_the_readme():
    second = re.findall(r"^    (python3 -m venv .*pytest.*)$", README, re.MULTILINE)
    assert len(second) == 1
    assert second[0] in (ROOT / ".ci" / "run").read_text()


def test_the_first_command_of_the_readme_installs_the_plugin_and_trains():
    first = re.findall(r"^    (python3 -m venv .*gancli train --dataset mnist)$", README, re.MULTILINE)
    assert len(first) == 1
    for name in ("dcgan", "evaluate", "page", "reports", "resnet"):
        assert f" ./plugins/gancli-{name} " in first[0]


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "plugins/README.md",
        "plugins/gancli-dcgan/README.md",
        "plugins/gancli-dcgan/measurements.md",
        "plugins/gancli-resnet/README.md",
    ],
)
def test_files_that_a_document_names_exist(document):
    text = (ROOT / document).read_text()
    named = set(re.findall(r"`((?:examples|tests|plugins|gancli)/[\w./-]+)`|\]\((?!https?:)([\w./-]+)\)", text))
    for name in {one or other for one, other in named}:
        assert ((ROOT / document).parent / name).exists() or (ROOT / name).exists(), name


def test_the_notice_of_the_data_is_shipped():
    assert "CC BY-SA 3.0" in README
    assert "Share" in (ROOT / "gancli" / "data" / "files" / "NOTICE").read_text()


def test_every_change_has_a_changelog():
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
