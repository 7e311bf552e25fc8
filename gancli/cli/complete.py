"""What the shell offers after a press of the Tab key. Never torch, never an error, never a plugin's own code but gancli's.

A callback gets the context, the words so far (always empty) and the word that was begun; Typer keeps what begins with it.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import typer

__all__ = ["architectures", "assignments", "datasets", "extractors", "loggers", "objectives", "plugins", "runs"]


def architectures(ctx: typer.Context, words: list[str], incomplete: str) -> list[str]:  # noqa: ARG001  (Typer's signature)
    """Names of installed architectures."""
    from gancli.plugins.registry import ARCHITECTURES

    return ARCHITECTURES.names()


def objectives(ctx: typer.Context, words: list[str], incomplete: str) -> list[str]:  # noqa: ARG001
    """Names of installed objectives."""
    from gancli.plugins.registry import OBJECTIVES

    return OBJECTIVES.names()


def loggers(ctx: typer.Context, words: list[str], incomplete: str) -> list[str]:  # noqa: ARG001
    """Names of installed loggers."""
    from gancli.plugins.registry import LOGGERS

    return LOGGERS.names()


def extractors(ctx: typer.Context, words: list[str], incomplete: str) -> list[str]:  # noqa: ARG001
    """Names of extractors."""
    from gancli.plugins.registry import EXTRACTORS

    return ["auto", "mnist", "random", *EXTRACTORS.names()]


def plugins(ctx: typer.Context, words: list[str], incomplete: str) -> list[str]:  # noqa: ARG001  (Typer's signature)
    """Names of installed plugins of every kind."""
    from gancli.plugins.listing import KINDS

    return sorted({name for registry in KINDS for name in registry.names()})


def datasets(ctx: typer.Context, words: list[str], incomplete: str) -> list[str]:  # noqa: ARG001
    """Names of installed data sets, and paths."""
    from gancli.plugins.registry import DATASETS

    return [*DATASETS.names(), *_paths(incomplete)]


def runs(ctx: typer.Context, words: list[str], incomplete: str) -> list[str]:  # noqa: ARG001
    """Names of runs, in ``--runs-dir`` if that was given before."""
    from gancli.runs import list_runs

    with suppress(OSError):
        return [run.name for run in list_runs(Path(ctx.params.get("runs_dir") or "runs"))]
    return []


def assignments(ctx: typer.Context, words: list[str], incomplete: str) -> list[str]:  # noqa: ARG001
    """Dotted keys of the configuration, with the options of the chosen architecture if it is gancli's own."""
    from gancli.config.resolve import known_keys
    from gancli.errors import GancliError
    from gancli.plugins.registry import ARCHITECTURES

    with suppress(GancliError):
        arch = ctx.params.get("arch") or "dense"
        own = ARCHITECTURES.find(arch).distribution == "gancli"
        return [f"{key}=" for key in known_keys(arch if own else "dense") if own or not key.startswith("arch.")]
    return []


def _paths(incomplete: str) -> Iterable[str]:
    parent, _ = os.path.split(incomplete)
    with suppress(OSError):
        return [str(path) + "/" * path.is_dir() for path in sorted(Path(parent or ".").iterdir())]
    return []
