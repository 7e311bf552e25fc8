"""gancli: train, sample, explore and export generative adversarial networks.

Importing this package costs nothing; each name below is imported when it is first used.

    import gancli
    model = gancli.load("runs/20261123-120431-mnist-dense")
    images = model.sample(64, seed=0)          # float32 tensor (64, c, h, w) in [-1, 1]
"""

from __future__ import annotations

from gancli.version import __version__

TYPE_CHECKING = False  # what typing calls so, without the 5 ms that importing typing costs every start

if TYPE_CHECKING:
    from gancli.config.resolve import resolve
    from gancli.config.schema import RunConfig
    from gancli.errors import GancliError
    from gancli.models.loading import load
    from gancli.models.model import Model
    from gancli.plugin import Architecture, ImageSpec, Networks
    from gancli.training.run import train

_HOME = {
    "Architecture": "gancli.plugin",
    "GancliError": "gancli.errors",
    "ImageSpec": "gancli.plugin",
    "Model": "gancli.models.model",
    "Networks": "gancli.plugin",
    "RunConfig": "gancli.config.schema",
    "load": "gancli.models.loading",
    "resolve": "gancli.config.resolve",
    "train": "gancli.training.run",
}

__all__ = [
    "Architecture",
    "GancliError",
    "ImageSpec",
    "Model",
    "Networks",
    "RunConfig",
    "__version__",
    "load",
    "resolve",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'gancli' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
