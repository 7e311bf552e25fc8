"""gancli: train, sample, explore and export generative adversarial networks.

Importing this package costs nothing; each name below is imported when it is first used.

    import gancli
    run = gancli.train(dataset="mnist", epochs=2)
    run.model.grid(64).save("grid.png")
    model = gancli.load("runs/20261123-120431-mnist-dense")
    images = model.sample(64, seed=0)          # float32 tensor (64, c, h, w) in [-1, 1]
"""

from __future__ import annotations

from gancli.version import __version__

TYPE_CHECKING = False  # what typing calls so, without the 5 ms that importing typing costs every start

if TYPE_CHECKING:
    from gancli.api import From, Run, Settings, evaluate, export, interpolate, project, resume, train
    from gancli.config.resolve import resolve
    from gancli.config.schema import RunConfig
    from gancli.errors import GancliError
    from gancli.models.loading import load
    from gancli.models.model import Model
    from gancli.plugin import Architecture, ImageSpec, Networks

_HOMES = {
    "gancli.api": ("From", "Run", "Settings", "evaluate", "export", "interpolate", "project", "resume", "train"),
    "gancli.config.resolve": ("resolve",),
    "gancli.config.schema": ("RunConfig",),
    "gancli.errors": ("GancliError",),
    "gancli.models.loading": ("load",),
    "gancli.models.model": ("Model",),
    "gancli.plugin": ("Architecture", "ImageSpec", "Networks"),
}

__all__ = [
    "Architecture",
    "From",
    "GancliError",
    "ImageSpec",
    "Model",
    "Networks",
    "Run",
    "RunConfig",
    "Settings",
    "__version__",
    "evaluate",
    "export",
    "interpolate",
    "load",
    "project",
    "resolve",
    "resume",
    "train",
]


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            globals()[name] = value = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module 'gancli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
