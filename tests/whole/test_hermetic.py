"""Every command in a hostile environment: an empty HOME, somebody's notebook and LaTeX settings, and no network.

All run in one process, since what a dependency does (writes, looks up, prints, raises) it does on its first use.
"""

import json
import os
import re
import shutil
import subprocess
import sys

from PIL import Image

from gancli.cli.app import command

SMALL = ["-s", "arch.generator_widths=[16]", "-s", "arch.discriminator_widths=[16]", "-s", "log.quality_every_images=256"]
TRANSLATOR = ["-s", "arch.channels=4", "-s", "arch.blocks=1", "-s", "log.quality_every_images=0"]
COMMANDS = [
    ["train", "--dataset", "mnist", "--images", "256", "--name", "a", *SMALL],
    ["train", "--resume", "a", "-s", "train.images=384"],
    ["sample", "-n", "4", "-o", "grid.png"],
    ["sample", "--like", "grid.png", "-o", "again.png"],
    ["interpolate", "--frames", "3", "--keyframes", "2", "-o", "walk.gif"],
    ["interpolate", "--frames", "3", "--keyframes", "2", "-o", "walk.mp4"],
    ["export", "-o", "g.onnx"],
    ["export", "-o", "g.pt2"],
    ["export", "-o", "g.safetensors"],
    ["export", "-o", "g.html"],
    ["export", "-o", "model/"],
    ["sample", "--checkpoint", "g.onnx", "-n", "2", "-o", "onnx.png"],
    ["sample", "--checkpoint", "model", "-n", "2", "-o", "model.png"],
    ["evaluate", "-n", "300"],
    ["directions", "-n", "1", "-o", "directions.npz"],
    ["project", "grid.png", "-o", "found.npz", "--steps", "1"],
    ["sample", "--checkpoint", "mnist", "-n", "2", "-o", "digits.png"],
    ["runs", "compare", "a", "a"],
    ["runs", "film", "a", "-o", "film.gif"],
    ["runs", "report", "a", "-o", "report.html"],
    ["help", "env"],
    ["runs", "list"],
    ["runs", "show", "a"],
    ["arch", "list"],
    ["arch", "show", "dense", "--build"],
    ["dataset", "list"],
    ["dataset", "show", "mnist"],
    ["dataset", "clear"],
    ["plugin", "list", "--verify"],
    ["config", "show"],
    ["env"],
    ["train", "--dataset", "mnist", "--to", "mnist-bold", "--images", "8", "--name", "b", *TRANSLATOR],
    ["translate", "grid.png", "--run", "b", "-o", "bold.png"],
    ["runs", "rm", "a", "-y"],
]

DRIVER = """
import json, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        print("LOOKED UP", event, arguments[1:], file=sys.stderr, flush=True)

sys.addaudithook(watch)
from gancli.cli.app import run

for words in json.loads(sys.argv[1]):
    print("$", *words, file=sys.stderr, flush=True)
    code = run(words)
    sys.stdout.flush()
    print("exit", code, file=sys.stderr, flush=True)
"""

LITTER = {".cache/matplotlib"}
"""Below HOME: the list of fonts, which matplotlib cannot do without. gancli's own cache is set by GANCLI_CACHE here."""

NOISE = re.compile(r"warning|traceback|deprecat|\[[EW]:onnxruntime|LOOKED UP|Errno", re.IGNORECASE)


def leaves(group, words=()):
    """Every command of the program, as its words."""
    for name, child in group.commands.items():
        if hasattr(child, "commands"):
            yield from leaves(child, (*words, name))
        else:
            yield " ".join((*words, name))


def test_every_command_is_run_here():
    run = {" ".join(words[:2]) for words in COMMANDS} | {words[0] for words in COMMANDS}
    assert set(leaves(command())) - run == set()


def test_nothing_is_left_at_home_looked_up_or_printed_by_a_dependency(tmp_path):
    home, work, temporary = (tmp_path / name for name in ("home", "work", "tmp"))
    for folder in (home, work, temporary):
        folder.mkdir()
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nbackend: qtagg\nfont.family: no such font\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "GANCLI_CACHE": str(tmp_path / "cache"),
        "LANG": "C",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "default",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
    }
    program = [sys.executable, "-c", DRIVER, json.dumps(COMMANDS)]
    trace = tmp_path / "network.txt"
    if shutil.which("strace"):  # which also sees what a library does without Python
        program = ["strace", "-f", "--seccomp-bpf", "-o", str(trace), "-e", "trace=socket,connect,sendto", *program]
    done = subprocess.run(program, cwd=work, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    codes = [line for line in done.stderr.splitlines() if line.startswith("exit ")]
    assert codes == ["exit 0"] * len(COMMANDS), done.stderr[-3000:]

    left = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert [name for name in left if not name.startswith(tuple(LITTER))] == []
    assert [path for path in temporary.rglob("*") if path.is_file()] == [], "torch makes an empty folder there"
    assert {path.name for path in work.iterdir()} == {
        "runs", "grid.png", "again.png", "walk.gif", "walk.mp4", "g.onnx", "g.pt2", "g.safetensors", "g.html", "model",
        "onnx.png", "model.png", "directions.npz", "found.npz", "found.png", "digits.png", "film.gif",
        "report.html", "bold.png",
    }  # fmt: skip
    traced = trace.read_text() if trace.exists() else ""
    assert [line for line in traced.splitlines() if "AF_INET" in line] == []
    assert [line for line in (done.stderr + done.stdout).splitlines() if NOISE.search(line)] == []


HOSTILE = """
import os, sys
from pathlib import Path
from gancli.training.metrics import plot_losses
plot_losses([], Path(sys.argv[1]))
assert os.environ["MPLBACKEND"] == "module://no_such_notebook.backend"
assert "matplotlib.pyplot" not in sys.modules
"""


def test_the_plot_ignores_a_notebooks_backend_and_the_users_settings(tmp_path):
    """In a process of its own, where matplotlib is not imported yet."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfigure.facecolor: red\n")
    hostile = {"MPLBACKEND": "module://no_such_notebook.backend", "MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, str(tmp_path / "losses.png")],
        env=os.environ | hostile,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(tmp_path / "losses.png") as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
