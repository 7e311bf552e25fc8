"""How gancli was installed here, and so which command adds something to it.

pip, pipx and uv each keep an environment in a way of their own; a command for the wrong one installs into the wrong place, or
not at all.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

__all__ = ["command_for_extra", "command_for_folder", "command_for_plugin", "official_plugin"]

_OFFICIAL = {
    ("gancli.architectures", "dcgan"): "gancli-dcgan",
    ("gancli.architectures", "resnet"): "gancli-resnet",
    ("gancli.exporters", "html"): "gancli-page",
}


def official_plugin(group: str, name: str) -> str | None:
    """The distribution of the project's own that provides the plugin ``name`` of an entry-point group, installed or not."""
    return _OFFICIAL.get((group, name))


def command_for_plugin(distribution: str) -> str:
    """The command that installs ``distribution`` beside this gancli.

    Args:
        distribution: name of a distribution. The caller has made sure that it is one, if it comes from a file.
    """
    if _is_pipx():
        return f"pipx inject gancli {shlex.quote(distribution)}"
    if _is_uv_tool():
        return _uv_tool("gancli", [*_with(), distribution])
    return f"{_pip()} {shlex.quote(distribution)}"


def command_for_folder(folder: str) -> str:
    """The command that installs a plugin that is being written, so that changes of its files take effect at once."""
    if _is_pipx():
        return f"pipx inject gancli --editable {shlex.quote(folder)}"
    if _is_uv_tool():
        return f"{_uv_tool('gancli', _with())} --with-editable {shlex.quote(folder)}"
    return f"{_pip()} -e {shlex.quote(folder)}"


def command_for_extra(extra: str) -> str:
    """The command that installs an extra of gancli, such as ``onnx``, into this environment."""
    requirement = f"gancli[{extra}]"
    if _is_pipx():
        return f"pipx runpip gancli install {shlex.quote(requirement)}"
    if _is_uv_tool():
        return _uv_tool(requirement, _with())
    return f"{_pip()} {shlex.quote(requirement)}"


def _is_pipx() -> bool:
    return (Path(sys.prefix) / "pipx_metadata.json").is_file()


def _is_uv_tool() -> bool:
    return _receipt().is_file()


def _receipt() -> Path:
    """Where ``uv tool install`` writes down what a tool's environment consists of."""
    return Path(sys.prefix) / "uv-receipt.toml"


def _with() -> list[str]:
    """What was installed beside the tool: ``uv tool install`` forgets it unless it is told again."""
    import tomllib

    try:
        tool = tomllib.loads(_receipt().read_text(encoding="utf-8"))["tool"]
        return [row["name"] for row in tool["requirements"] if row["name"] != "gancli"]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _uv_tool(requirement: str, beside: list[str]) -> str:
    return shlex.join(["uv", "tool", "install", requirement, *(word for name in beside for word in ("--with", name))])


def _pip() -> str:
    """``uv pip install`` in an environment that uv has made, which has no pip, else ``pip install``."""
    try:
        made = (Path(sys.prefix) / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "pip install"
    by_uv = any(line.partition("=")[0].strip() == "uv" for line in made.splitlines())
    return "uv pip install" if by_uv else "pip install"
