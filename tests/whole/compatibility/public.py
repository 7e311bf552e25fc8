"""Write the public names and signatures: python tests/compatibility/public.py

What is in public.txt is promised to users and plugin authors. A line may be added in any release; changing or removing one
needs a new version of the contract, or a 2.0.
"""

import dataclasses
import inspect
import re
import tomllib
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import ForwardRef

from pydantic import BaseModel

HERE = Path(__file__).parent
MODULES = ("gancli", "gancli.plugin", "gancli.errors", *(["gancli_kit"] if find_spec("gancli_kit") else []))


def lines():
    """One line per name, member, field and entry point."""
    for name in MODULES:
        module = import_module(name)
        for public in sorted(getattr(module, "__all__", None) or _classes(module)):
            yield from _described(f"{name}.{public}", getattr(module, public))
    project = tomllib.loads((HERE.parents[2] / "pyproject.toml").read_text())["project"]
    for group, points in sorted(project["entry-points"].items()):
        yield from (f"entry point {group} {name}" for name in sorted(points))


def _classes(module):
    return [name for name, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module.__name__]


def _described(name, value):
    if inspect.isclass(value):
        yield f"class {name}({', '.join(base.__name__ for base in value.__bases__)})"
        yield from _members(name, value)
    elif inspect.isfunction(value):
        yield f"{name}{_signature(value)}"
    elif not name.endswith("__version__"):
        yield f"{name} = {value}"


def _signature(function):
    return re.sub(r" at 0x[0-9a-f]+", "", str(inspect.signature(function)))


def _members(name, kind):
    fields = [(field.name, field.type) for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    if issubclass(kind, BaseModel):
        fields = [(field, kind.__annotations__.get(field, "inherited")) for field in kind.model_fields]
    yield from (f"    {name}.{field}: {text}" for field, text in fields if not field.startswith("_"))
    if issubclass(kind, BaseException) and "exit_code" in vars(kind):
        yield f"    {name}.exit_code = {kind.exit_code}"
    for member, value in sorted(_own_and_inherited(kind).items()):
        if member.startswith(("_", "test_", "model_")):
            continue
        if isinstance(value, property | cached_property):
            yield f"    {name}.{member} (property)"
        elif isinstance(value, classmethod | staticmethod) or inspect.isfunction(value):
            yield f"    {name}.{member}{_signature(getattr(kind, member))}"
    for member in sorted(vars(kind).get("__annotations__", {})):
        if not member.startswith("_") and member not in dict(fields):
            text = kind.__annotations__[member]
            yield f"    {name}.{member}: {text.__forward_arg__ if isinstance(text, ForwardRef) else text}"


def _own_and_inherited(kind):
    """The members that gancli gives a class, and not Python, Pydantic or torch."""
    classes = [one for one in reversed(kind.__mro__) if one.__module__.startswith("gancli")]
    return {name: value for one in classes for name, value in vars(one).items()}


if __name__ == "__main__":
    (HERE / "public.txt").write_text("\n".join(lines()) + "\n")
