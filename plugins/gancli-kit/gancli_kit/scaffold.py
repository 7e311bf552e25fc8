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
from dataclasses import dataclass
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

_PREFIX = "gancli-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_USED = frozenset(
    {"ArchConfig", "Architecture", "ClassVar", "Config", "Defaults", "Discriminator", "Field", "Generator", "ImageSpec"}
    | {"Dataset", "ImageSet", "Networks", "Objective", "Tensor"}
)
"""Names that the generated code uses for something else."""
_KINDS = {"architecture": "--dataset mnist --arch", "objective": "--dataset mnist --objective", "dataset": "--dataset"}
"""Each kind, and the options of `train` that choose a plugin of it. Its class is ``template/KIND.py.txt``."""
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
    """The names of one plugin.

    Attributes:
        name: what users type, such as ``wobbly-net``.
        kind: ``architecture``, ``objective`` or ``dataset``.
    """

    name: str
    kind: str = "architecture"

    @classmethod
    def named(cls, text: str, kind: str = "architecture") -> Plugin:
        """The plugin that ``text``, with or without ``gancli-`` in front, asks for.

        Raises:
            UsageError: no distribution, module or class can be called so, the name is taken here, or there is no such kind.
        """
        if kind not in _KINDS:
            raise UsageError(f"'{kind}' is not a kind of plugin.", did_you_mean(kind, _KINDS))
        plugin = cls(text.removeprefix(_PREFIX), kind)
        if len(plugin.name) > _LONGEST_NAME or not _NAME.fullmatch(plugin.name):
            raise UsageError(
                f"'{text:.100}' cannot be the name of a plugin.",
                f"Use lower-case letters, digits and single dashes, a letter first, at most {_LONGEST_NAME}: wobbly-net.",
            )
        if keyword.iskeyword(plugin.title) or plugin.title in _USED:
            problem = f"'{plugin.name}' would make a class called {plugin.title}, which means something else."
            raise UsageError(problem, "Choose another name.")
        if taken := [entry for entry in installed(plugin.group) if entry.name == plugin.name]:
            raise UsageError(f"{taken[0].origin} already provides '{plugin.name}'.", "Choose another name.")
        return plugin

    @property
    def group(self) -> str:
        """Of its entry point."""
        return f"gancli.{self.kind}s"

    @property
    def distribution(self) -> str:
        """Of which users say ``pip install``."""
        return f"{_PREFIX}{self.name}"

    @property
    def package(self) -> str:
        """That Python imports."""
        return self.distribution.replace("-", "_")

    @property
    def title(self) -> str:
        """Name of the class."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    @property
    def train(self) -> str:
        """The command that trains with it."""
        return f"gancli train {_KINDS[self.kind]} {self.name}"

    def files(self) -> dict[str, str]:
        """Relative path -> content of every file."""
        names = {key: getattr(self, key) for key in ("name", "kind", "group", "distribution", "package", "title", "train")}
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
