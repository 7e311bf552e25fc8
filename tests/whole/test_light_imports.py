"""What the commands that must be quick import, in a process of their own."""

import json
import os
import subprocess
import sys

import pytest

# One fresh process for all: what is imported by the commands that must be quick?
PROBE = """
import json, os, sys
from contextlib import redirect_stdout, redirect_stderr
from io import StringIO
from gancli.__main__ import main

HEAVY = ("typer", "rich", "pydantic", "torch", "numpy", "PIL", "matplotlib")
found = {}
for line in json.load(sys.stdin):
    words = line.split()
    os.environ.pop("_GANCLI_COMPLETE", None)
    if words[:1] == ["complete"]:
        os.environ.update(_GANCLI_COMPLETE="complete_bash", COMP_CWORD=str(len(words) - 1))
        os.environ["COMP_WORDS"] = " ".join(["gancli", *words[1:]])
        words = []
    sys.argv = ["gancli", *words]
    sys.stdout = stdout = type("Stream", (StringIO,), {"encoding": "utf-8", "reconfigure": lambda self, **_: None})()
    try:
        main()
    except SystemExit as end:
        code = end.code
    sys.stdout = sys.__stdout__
    found[line] = [code, bool(stdout.getvalue()), [name for name in HEAVY if name in sys.modules]]
print(json.dumps(found))
"""
NOTHING = ["", "--help", "-h", "--version"]
COMMANDS = ["train", "sample", "runs", "runs list", "runs show", "runs rm", "arch", "arch list", "arch show"]
COMMANDS += ["dataset", "dataset list", "dataset show", "config", "config show", "env"]
COMMANDS += ["plugin", "plugin list", "plugin check", "plugin new"]
LISTINGS = [
    "runs list",
    "arch list",
    "plugin list",
    "plugin list --verify",
    "plugin new wobbly",
    "dataset list",
    "arch show dense",
    "config show",
    "train --dry-run",
]
COMPLETIONS = ["complete train --arch d", "complete train -s arch.d", "complete dataset show m", "complete runs show x"]


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    lines = [*NOTHING, *(f"{command} --help" for command in COMMANDS), *LISTINGS, *COMPLETIONS]
    result = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path_factory.mktemp("empty"),
        env={**os.environ, "COLUMNS": "80"},
    )
    return json.loads(result.stdout)


@pytest.mark.parametrize("line", NOTHING)
def test_help_and_version_import_nothing(probed, line):
    assert probed[line] == [0, True, []]


@pytest.mark.parametrize("line", [*(f"{command} --help" for command in COMMANDS), *LISTINGS, *COMPLETIONS])
def test_help_listings_and_completion_import_no_torch(probed, line):
    code, _, imported = probed[line]
    assert code == 0
    assert "torch" not in imported


PROGRAM = """
import sys
import gancli
dir(gancli)
print({"torch", "typer", "rich", "pydantic"} & set(sys.modules))
from contextlib import suppress
with suppress(ModuleNotFoundError):
    import gancli_page
from gancli.data.mnist import Mnist
from gancli.plugins.registry import dataset_defaults
import gancli.checkpoint.store, gancli.data.source, gancli.storage.lock
Mnist.summary, dataset_defaults("mnist"), dataset_defaults("./x")
print({"torch", "numpy", "PIL", "safetensors"} & set(sys.modules))
"""


def test_importing_is_light_and_names_defaults_and_the_store_cost_neither_torch_nor_numpy():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\nset()\n"
