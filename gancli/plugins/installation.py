"""The command that adds something to this very environment: pip, pipx and uv each keep theirs in a way of their own."""

from __future__ import annotations

import sys
from pathlib import Path

from gancli.text import shell

OFFICIAL = {
    "dcgan": "gancli-dcgan",
    "resnet": "gancli-resnet",
    "style": "gancli-style",
    **dict.fromkeys(("cut", "cyclegan", "pix2pix"), "gancli-translate"),
}
"""The project's own distributions by the architecture that they provide, installed or not."""


def install_command(*requirement: str) -> str:
    """The command that installs a requirement, such as ``gancli[onnx]`` or ``-e FOLDER``, beside this gancli."""
    prefix = Path(sys.prefix)
    configuration = prefix / "pyvenv.cfg"
    if (prefix / "pipx_metadata.json").is_file():
        return shell("pipx", "runpip", "gancli", "install", *requirement)
    if (prefix / "uv-receipt.toml").is_file():
        return shell("uv", "pip", "install", "--python", sys.executable, *requirement)
    by_uv = configuration.is_file() and "\nuv = " in configuration.read_text(encoding="utf-8", errors="replace")
    return shell(*(("uv", "pip") if by_uv else ("pip",)), "install", *requirement)  # uv's environments have no pip
