"""The command that adds something to this very environment: pip, pipx and uv each keep theirs in a way of their own."""

from __future__ import annotations

import sys
from pathlib import Path

from gancli.text import shell

OFFICIAL = {
    ("gancli.architectures", "dcgan"): "gancli-dcgan",
    ("gancli.architectures", "projected"): "gancli-projected",
    ("gancli.extractors", "lite"): "gancli-projected",
    ("gancli.architectures", "resnet"): "gancli-resnet",
    ("gancli.architectures", "style"): "gancli-style",
    **{("gancli.architectures", name): "gancli-translate" for name in ("cut", "cyclegan", "pix2pix")},
    ("gancli.exporters", "html"): "gancli-page",
}
"""The project's own distribution for an entry-point group and a plugin's name, installed or not."""


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
