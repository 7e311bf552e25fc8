"""What describes, finds and stores imports nothing that computes, not even through another module."""

import subprocess
import sys

PROGRAM = """
import sys
from gancli.data.mnist import Mnist
from gancli.plugins.registry import dataset_defaults
import gancli.checkpoint.store, gancli.data.source, gancli.storage.lock
Mnist.summary, dataset_defaults("mnist"), dataset_defaults("./x")
print({"torch", "numpy", "PIL", "safetensors"} & set(sys.modules))
"""


def test_names_defaults_and_the_store_cost_neither_torch_nor_numpy():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
