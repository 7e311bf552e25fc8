"""What is missing, and the command that installs it into this very environment: pip, pipx and uv each have their own."""

import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from gancli.errors import PluginError
from gancli.text import shell

OFFICIAL = {
    ("gancli.architectures", "aided"): "gancli-dcgan",
    ("gancli.architectures", "dcgan"): "gancli-dcgan",
    ("gancli.architectures", "projected"): "gancli-projected",
    ("gancli.commands", "translate"): "gancli-translate",
    ("gancli.parts", "translation"): "gancli-translate",
    **{("gancli.commands", name): "gancli-evaluate" for name in ("directions", "evaluate", "project")},
    **{("gancli.parts", name): "gancli-evaluate" for name in ("evaluate", "project")},
    **{("gancli.extractors", name): "gancli-evaluate" for name in ("dinov2", "inception")},
    ("gancli.extractors", "lite"): "gancli-projected",
    ("gancli.architectures", "resnet"): "gancli-resnet",
    ("gancli.architectures", "style"): "gancli-style",
    **{("gancli.architectures", name): "gancli-translate" for name in ("cut", "cyclegan", "pix2pix")},
    ("gancli.exporters", "html"): "gancli-page",
    **{("gancli.exporters", name): "gancli-onnx" for name in ("onnx", "pt2")},
    **{("gancli.datasets", name): "gancli-hub" for name in ("fashion-mnist", "kmnist")},
    **{("gancli.commands", name): "gancli-reports" for name in ("dataset.show", "runs")},
    **{("gancli.loggers", name): "gancli-loggers" for name in ("mlflow", "tensorboard", "trackio", "wandb")},
    **{("gancli.parts", name): "gancli-hub" for name in ("cifar", "folder", "hub-dataset", "hub-model", "tables")},
    **{("gancli.commands", name): "gancli-kit" for name in ("plugin.check", "plugin.new", "selfcheck")},
}
"""The project's own distribution for an entry-point group and a plugin's name, installed or not."""


def install_command(*requirement: str) -> str:
    """The command that installs a requirement, such as ``gancli[video]`` or ``-e FOLDER``, beside this gancli."""
    prefix = Path(sys.prefix)
    configuration = prefix / "pyvenv.cfg"
    if os.path.isfile(prefix / "pipx_metadata.json"):  # noqa: PTH113  (Path.is_file fails where nothing may be looked up)
        return shell("pipx", "runpip", "gancli", "install", *requirement)
    if os.path.isfile(prefix / "uv-receipt.toml"):  # noqa: PTH113  (likewise)
        return shell("uv", "pip", "install", "--python", sys.executable, *requirement)
    by_uv = False
    with suppress(OSError):  # it is not there, or not for this user
        by_uv = "\nuv = " in configuration.read_text(encoding="utf-8", errors="replace")
    return shell(*(("uv", "pip") if by_uv else ("pip",)), "install", *requirement)  # uv's environments have no pip


def install_plugin(distribution: str) -> str:
    """The command that installs a distribution of plugins; one of the project's own lies in a clone of gancli."""
    return install_command(f"./plugins/{distribution}" if distribution in OFFICIAL.values() else distribution)


def require(extra: str, *modules: str, of: str = "gancli") -> None:
    """Raise a PluginError that says how to install the extra of a distribution, if one of its top-level modules is missing.

    Nothing is imported here.
    """
    place = "./plugins/" if of in OFFICIAL.values() else ""
    _refuse_missing(modules, f"The extra '{extra}' brings it: {install_command(f'{place}{of}[{extra}]')}")


def require_packages(distribution: str, *modules: str) -> None:
    """The same for what a distribution of plugins depends on; empty for a plugin in a file."""
    _refuse_missing(modules, f"{distribution} brings it: {install_plugin(distribution)}" if distribution else "Install it.")


def _refuse_missing(modules: tuple[str, ...], remedy: str) -> None:
    missing = [name for name in modules if (sys.modules[name] is None if name in sys.modules else find_spec(name) is None)]
    if missing:
        raise PluginError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed.", remedy)
