"""``gancli env``: what to paste into a bug report. Imports torch when called, guarded: it may be what is broken."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import typer

from gancli.cli.options import Json
from gancli.cli.output import Output
from gancli.storage.system import usable_cores
from gancli.version import __version__

__all__ = ["env"]

PACKAGES = ("torch", "numpy", "pillow", "safetensors", "pydantic", "typer", "rich", "matplotlib")
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""What decides about the speed of float32 and bfloat16 products."""

LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
"""Variables that decide among how many processes a training is divided, and how they find each other."""


def _environment() -> dict[str, Any]:
    """Versions, system, devices, plugins, paths and variables."""
    from gancli.plugins.listing import health

    return {
        "versions": {"gancli": __version__, "python": platform.python_version(), **_versions()},
        "system": _system(),
        "torch": _torch(),
        "plugins": health(),
        "paths": {
            "python": sys.executable,
            "gancli": str(Path(__file__).parents[1]),
            "working directory": str(Path.cwd()),
        },
        "variables": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith("GANCLI_") or name in LAUNCHER
        },
    }


def _versions() -> dict[str, str]:
    def found(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "missing"

    return {package: found(package) for package in PACKAGES}


def _system() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": usable_cores(),
        "cpu features": _cpu_features(),
        "locale": f"{sys.stdout.encoding}, {sys.getfilesystemencoding()}",
    }


def _cpu_features() -> list[str]:
    """Those of :data:`CPU_FEATURES` that Linux reports; empty elsewhere."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    flags = {flag for line in info.splitlines() if line.startswith(("flags", "Features")) for flag in line.split()}
    return [feature for feature in CPU_FEATURES if feature in flags]


def _torch() -> dict[str, Any]:
    try:
        import torch
    except Exception as error:  # noqa: BLE001  (a broken installation may raise anything)
        return {"error": f"{type(error).__name__}: {error}"}
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "cuda build": torch.version.cuda,
        "cuda devices": devices,
        "mps": torch.backends.mps.is_available(),
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "several processes": _collectives(),
    }


def _collectives() -> list[str]:
    """What connects the processes of a training: gloo on CPUs, nccl between GPUs."""
    from torch import distributed

    if not distributed.is_available():
        return []
    return [name for name in ("gloo", "nccl") if distributed.is_backend_available(name)]


def env(context: typer.Context, *, json: Json = False) -> None:
    """Show versions, devices, plugins and paths, to paste into a bug report."""
    output = Output.of(context)
    found = _environment()
    if json:
        output.document(found)
        return
    for title, value in found.items():
        output.line(title)
        output.pairs([(f"  {name}", _text(content)) for name, content in _named(value)])


def _named(value: dict[str, Any] | list[dict[str, Any]]) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return list(value.items()) or [("none", "")]
    return [(f"{p['kind']} {p['name']}", f"{p['distribution']} {p['version']}, {p['error'] or 'ok'}") for p in value]


def _text(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
