"""The whole command line on a stand-in for Windows (see ``stand_in.py``): a name that only POSIX has fails here."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

STAND_IN = Path(__file__).with_name("stand_in.py")
SMALL = "arch.generator_widths=[16] arch.discriminator_widths=[16] train.batch_size=8 checkpoint.every_steps=4 log.previews=4"
STEPS = 12


SEVERAL = """
import json, sys
from pathlib import Path
from stand_in import become_windows
become_windows(Path(sys.argv[1]).resolve())
from gancli.cli.app import run
for words in json.loads(sys.argv[2]):
    if code := run(words):
        sys.exit(f"{words} ended with {code}")
"""


def start(root, *arguments, program=(STAND_IN,), **options):
    environment = {**os.environ, "GANCLI_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "0"}
    environment |= {"PYTHONPATH": str(STAND_IN.parent), "GANCLI_LOG__EXTRACTOR": "random"}
    command = [sys.executable, "-X", "warn_default_encoding", *program, root, *arguments]
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.fixture
def gancli(tmp_path):
    """``(*arguments, code=0)`` -> what the program printed."""

    def run(*arguments, code=0):
        with start(tmp_path, *arguments) as process:
            out, err = process.communicate(timeout=300)
        assert process.returncode == code, err
        return out if code == 0 else err

    return run


@pytest.fixture
def photos(tmp_path):
    """A folder of pictures of two sizes in two classes, which have to be decoded and cached."""
    numbers = np.random.default_rng(0)
    for number in range(24):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        side = 8 + number % 2
        Image.fromarray(numbers.integers(0, 256, (side, side, 3), np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def gancli_each(tmp_path):
    """``(*command lines)``: all in one process, which need import torch only once."""

    def run(*lines):
        with start(tmp_path, json.dumps([line.split() for line in lines]), program=("-c", SEVERAL)) as process:
            _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err

    return run


def options(*settings):
    return [word for setting in (*SMALL.split(), *settings) for word in ("-s", setting)]


@pytest.mark.usefixtures("photos")
def test_training_kill_resume_sampling_cache_and_export(gancli, gancli_each, tmp_path):
    train = ["-q", "train", "--dataset", "photos", "--image-size", "8", *options(f"train.images={STEPS * 8}")]
    gancli(*train, "--name", "whole")
    with start(tmp_path, *train, "--name", "killed") as process:
        checkpoints = tmp_path / "runs" / "killed" / "checkpoints"
        while not [*checkpoints.glob("step-*")]:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        busy = gancli("train", "--resume", "killed", code=5)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert f"Process {process.pid} on" in busy
    status = {run["name"]: run["status"] for run in json.loads(gancli("runs", "list", "--json"))}
    assert status == {"whole": "done", "killed": "killed"}
    gancli("-q", "train", "--resume", "killed")
    whole, killed = (tmp_path / "runs" / name for name in ("whole", "killed"))
    assert (whole / "metrics.jsonl").read_bytes() == (killed / "metrics.jsonl").read_bytes()
    assert b"\r" not in (whole / "metrics.jsonl").read_bytes()
    last = f"checkpoints/step-{STEPS:09}/generator.safetensors"
    assert (whole / last).read_bytes() == (killed / last).read_bytes()
    assert not [*tmp_path.rglob(".tmp-*"), *tmp_path.rglob(".trash-*")]

    gancli_each(
        "sample -n 4 -o grid.png",
        "interpolate --frames 4 -o walk.gif",
        "interpolate --frames 4 -o frames/",
        "interpolate --frames 4 -o frames/ --force",
        "export -o g.safetensors",
        "export -o shared/",
        "export -o shared/ --force",
        "evaluate -n 24 --against train --extractor random",
        "dataset clear",
        "runs rm killed --yes",
    )
    assert {"generator.safetensors", "README.md"} <= {path.name for path in (tmp_path / "shared").iterdir()}
    left = {path.name[:6] for path in (tmp_path / "cache" / "pictures").iterdir()}
    assert left <= {".lock-"}, "an empty lock that is held cannot be removed there"
    assert not killed.exists()


@pytest.mark.usefixtures("photos")
def test_everything_that_only_looks(gancli, gancli_each):
    gancli("--help")
    looks = ("env", "arch list", "plugin list", "plugin new x", "config show", "runs list", "dataset show photos")
    gancli_each(*looks, "arch show dense --build --image 1x8x8")


@pytest.mark.parametrize(
    "program",
    [
        "import fcntl",
        "from os import O_CLOEXEC",
        "import os; os.O_NOFOLLOW",
        "import os; os.statvfs('.')",
        "import os; os.stat('.').st_blocks * 512",
        "import os; os.register_at_fork()",
        "import os; os.open('.', os.O_RDONLY)",
        "import signal; signal.SIGHUP",
        "import signal; signal.SIGKILL",
        "import ctypes; ctypes.CDLL(None)",
        "import pathlib; pathlib.Path('x').read_text()",
        "import pathlib; f = pathlib.Path('x').open('wb'); pathlib.Path('x').unlink()",
        "import pathlib; f = pathlib.Path('d/x').open('wb'); pathlib.Path('d').rename('e')",
        "import os; d = os.open('y', os.O_CREAT | os.O_RDWR); os.write(d, b'\\n'); assert os.stat('y').st_size == 1",
    ],
)
def test_the_stand_in_lacks_what_windows_lacks(program, tmp_path):
    (tmp_path / "x").write_text("x")
    (tmp_path / "d").mkdir()
    begin = "from stand_in import become_windows; from pathlib import Path; become_windows(Path().resolve())"
    command = [sys.executable, "-X", "warn_default_encoding", "-c", f"__name__ = 'gancli'\n{begin}\n{program}"]
    environment = {**os.environ, "PYTHONPATH": str(STAND_IN.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"\n(ModuleNotFound|Import|Attribute|Permission|Type|Assertion)Error|\nEncodingWarning", done.stderr)
