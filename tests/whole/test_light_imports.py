"""What describes, finds and stores imports no torch."""

from __future__ import annotations

import subprocess
import sys


def test_describing_mnist_imports_neither_torch_nor_numpy():
    code = "import sys; from gancli.data.mnist import Mnist; Mnist.summary; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_names_and_defaults_cost_neither_torch_nor_numpy():
    code = (
        "import sys; from gancli.plugins.registry import dataset_defaults; dataset_defaults('mnist'), dataset_defaults('./x');"
        "import gancli.data.source; print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_store_needs_no_torch():
    program = (
        "import sys, gancli.checkpoint.store, gancli.storage.lock; assert not {'torch', 'safetensors'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
