"""A new plugin: a complete distribution, whose own tests pass at once.

gancli-wobbly/
    pyproject.toml  README.md  LICENSE  .gitignore  .github/workflows/test.yml
    gancli_wobbly/__init__.py      the light class: options, defaults, what its kind has to define
    gancli_wobbly/networks.py      the networks, of an architecture
    tests/test_contract.py         every rule of the contract
"""

from __future__ import annotations

import keyword
import os
import re
import time
from dataclasses import asdict, dataclass
from errno import EEXIST
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from gancli.errors import UsageError, did_you_mean
from gancli.plugins.distributions import installed
from gancli.storage.disk import explain, explained, make_directories, replacing
from gancli.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_USED = frozenset(  # names that the generated code uses for something else
    {"ArchConfig", "Architecture", "ClassVar", "Config", "Dataset", "Defaults", "Discriminator", "Field", "Generator"}
    | {"ImageSet", "ImageSpec", "Networks", "Objective", "Tensor"}
)
# each kind, and the options of `train` that choose a plugin of it; its class is template/KIND.py.txt
_KINDS = {"architecture": "--dataset mnist --arch", "objective": "--dataset mnist --objective", "dataset": "--dataset"}
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    ".gitignore": "gitignore",
    ".github/workflows/test.yml": "test.yml",
    "{package}/__init__.py": "{kind}.py",
    "{package}/py.typed": "empty",
    "tests/test_contract.py": "test_contract.py",
}


@dataclass(frozen=True, slots=True)
class Plugin:
    """The names of one plugin."""

    name: str  # what users type, such as wobbly-net
    kind: str  # architecture, objective or dataset
    group: str  # of its entry point
    distribution: str  # what users install by pip
    package: str  # what Python imports
    title: str  # of its class
    train: str  # the command that trains with it

    @classmethod
    def named(cls, text: str, kind: str = "architecture") -> Plugin:
        """The plugin that ``text``, with or without ``gancli-`` in front, asks for.

        Raises:
            UsageError: no distribution, module or class can be called so, the name is taken here, or there is no such kind.
        """
        if kind not in _KINDS:
            raise UsageError(f"'{kind}' is not a kind of plugin.", did_you_mean(kind, _KINDS))
        name, group = text.removeprefix("gancli-"), f"gancli.{kind}s"
        title = "".join(word.capitalize() for word in name.split("-"))
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise UsageError(
                f"'{text:.100}' cannot be the name of a plugin.",
                f"Use lower-case letters, digits and single dashes, a letter first, at most {_LONGEST_NAME}: wobbly-net.",
            )
        if keyword.iskeyword(title) or title in _USED:
            raise UsageError(f"'{name}' would make a class called {title}, which means something else.", "Choose another name.")
        if taken := [entry for entry in installed(group) if entry.name == name]:
            raise UsageError(f"{taken[0].origin} already provides '{name}'.", "Choose another name.")
        package = f"gancli_{name.replace('-', '_')}"
        return cls(name, kind, group, f"gancli-{name}", package, title, f"gancli train {_KINDS[kind]} {name}")

    def files(self) -> dict[str, str]:
        """Relative path -> content of every file."""
        names = asdict(self)
        version, contract = ".".join(__version__.split(".")[:2]), self.kind.capitalize()
        words = names | {"gancli": version, "contract": contract, "year": time.strftime("%Y")}
        home, sources = files("gancli_kit") / "template", dict(_FILES)
        if self.kind == "architecture":
            sources["{package}/networks.py"] = "networks.py"
        texts = {path: (home / f"{source}.txt".format(**names)).read_text("utf-8") for path, source in sources.items()}
        return {path.format(**names): Template(text).substitute(words) for path, text in texts.items()}


def create(plugin: Plugin, parent: Path) -> Path:
    """Write the distribution into a new folder of ``parent``, whole or not at all.

    Raises:
        StorageError: the folder is already there, or cannot be written.
    """
    target = parent / plugin.distribution
    if os.path.lexists(target):
        raise explain(OSError(EEXIST, "File exists"), target)
    with explained(parent):
        make_directories(parent)
    with replacing(target) as scratch:
        for path, text in plugin.files().items():
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            (scratch / path).write_text(text, encoding="utf-8")
    return target
