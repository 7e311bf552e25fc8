"""``gancli env``: what to paste into a bug report. Imports torch when called, guarded: it may be what is broken."""

import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gancli.cli.output import Output
from gancli.storage.system import usable_cores
from gancli.version import __version__

PACKAGES = ("torch", "numpy", "pillow", "safetensors", "pydantic", "typer", "rich", "matplotlib")
# variables that decide among how many processes a training is divided, and how they find each other
LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def env(output: Output) -> None:
    """Show versions, devices, plugins and paths, to paste into a bug report."""
    from gancli.plugins.listing import overview

    versions = {"gancli": __version__, "python": platform.python_version(), **dict.fromkeys(PACKAGES, "missing")}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    system = {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": usable_cores(),
        "locale": f"{sys.stdout.encoding}, {sys.getfilesystemencoding()}",
    }
    plugins = [
        {key: row[key] for key in ("kind", "name", "distribution", "version")}
        | {"error": row["problem"] if row["status"] == "broken" else None}
        for row in overview(verify=True)
        if row["status"] not in {"off", "damaged"}
    ]
    paths = {"python": sys.executable, "gancli": str(Path(__file__).parents[1]), "working directory": str(Path.cwd())}
    names = sorted(name for name in os.environ if name.startswith("GANCLI_") or name in LAUNCHER)
    variables = {name: os.environ[name] for name in names}
    sections: dict[str, Any] = {"versions": versions, "system": system, "torch": _torch(), "plugins": plugins}
    sections |= {"paths": paths, "variables": variables}
    if output.as_json:
        output.document(sections)
        return
    sections["plugins"] = {
        f"{p['kind']} {p['name']}": f"{p['distribution']} {p['version']}, {p['error'] or 'ok'}" for p in plugins
    }
    for title, section in sections.items():
        output.line(title)
        values = {k: (", ".join(map(str, v)) or "none") if isinstance(v, list) else v for k, v in section.items()}
        output.pairs([(f"  {name}", value) for name, value in (values or {"none": ""}).items()])


def _torch() -> dict[str, Any]:
    try:
        import torch

        from gancli.runtime.device import cpu_has_fast_bf16
    except Exception as error:  # noqa: BLE001  (a broken installation may raise anything)
        return {"error": f"{type(error).__name__}: {error}"}
    several = torch.distributed.is_available()
    return {
        "cuda build": torch.version.cuda,
        "cuda devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
        "cpu has fast bf16": cpu_has_fast_bf16(),
        "threads": torch.get_num_threads(),
        "several processes": [name for name in ("gloo", "nccl") if several and torch.distributed.is_backend_available(name)],
    }
