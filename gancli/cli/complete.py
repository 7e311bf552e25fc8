"""What the shell offers after a press of the Tab key. Never torch, never an error, never a plugin's own code but gancli's.

Typer keeps of the names that a function returns those that begin with the word typed so far.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import typer

Callback = Callable[..., list[str]]


def _installed(kind: str = "") -> Callback:
    def names() -> list[str]:
        from gancli.plugins.listing import KINDS

        return sorted({name for registry in KINDS if kind in {"", registry.kind} for name in registry.names()})

    return names


architectures, objectives, loggers, plugins = map(_installed, ("architecture", "objective", "logger", ""))


def extractors() -> list[str]:
    """Names of extractors, those of gancli's own that depend on the data included."""
    return ["auto", "mnist", "random", *_installed("extractor")()]


def datasets(incomplete: str) -> list[str]:
    """Names of installed data sets, and paths."""
    paths: list[Path] = []
    with suppress(OSError):
        paths = sorted(Path(os.path.dirname(incomplete) or ".").iterdir())  # noqa: PTH120  (of a/ it is a)
    return [*_installed("data set")(), *(f"{path}{'/' * path.is_dir()}" for path in paths)]


def runs(ctx: typer.Context) -> list[str]:
    """Names of runs, in ``--runs-dir`` if that was given before."""
    from gancli.runs import list_runs

    with suppress(OSError):
        return [run.name for run in list_runs(Path(ctx.params.get("runs_dir") or "runs"))]
    return []


def assignments(ctx: typer.Context) -> list[str]:
    """Dotted keys of the configuration, with the options of the architecture if that is gancli's own."""
    from gancli.config.resolve import known_keys

    own = (ctx.params.get("arch") or "dense") == "dense"
    return [f"{key}=" for key in known_keys() if own or not key.startswith("arch.")]
