"""Options that several commands share are written once, as a dataclass; a command takes it as one parameter.

    @dataclass(frozen=True)
    class Where:
        runs_dir: Annotated[Path, typer.Option(help="where runs live")] = Path("runs")

    @app.command()
    @expand
    def show(name: str, where: Where) -> None: ...

makes a command ``show NAME [--runs-dir PATH]``.
"""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

__all__ = ["expand"]


def expand(function: Callable[..., None]) -> Callable[..., None]:
    """The same command with the fields of its dataclasses in its signature, each where the dataclass stood."""
    signature = inspect.signature(function, eval_str=True)
    bundles: dict[str, Any] = {p.name: p.annotation for p in signature.parameters.values() if is_dataclass(p.annotation)}

    @wraps(function)
    def command(**values: Any) -> None:  # noqa: ANN401  (Typer has checked them)
        for name, bundle in bundles.items():
            values[name] = bundle(**{field.name: values.pop(field.name) for field in fields(bundle)})
        function(**values)

    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        bundle = bundles.get(parameter.name)
        parameters += _parameters(bundle) if bundle else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
    setattr(command, "__signature__", signature.replace(parameters=parameters))  # noqa: B010  (unknown to mypy)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameters(bundle: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(bundle, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(f.name, kind, default=f.default, annotation=hints[f.name]) for f in fields(bundle)]
