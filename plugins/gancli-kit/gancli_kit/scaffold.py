"""A new plugin: a complete distribution, whose own tests pass at once.

gancli-wobbly/
    pyproject.toml  README.md  LICENSE  .gitignore  .github/workflows/test.yml
    gancli_wobbly/__init__.py      the light class: options, defaults, what its kind has to define
    gancli_wobbly/networks.py      the networks, of an architecture
    tests/test_contract.py         every rule of the contract
"""

from __future__ import annotations

import keyword
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from errno import EEXIST
from importlib.resources import files
from secrets import token_hex
from string import Template
from typing import TYPE_CHECKING

from gancli.errors import UsageError, did_you_mean
from gancli.plugins.distributions import read
from gancli.storage.disk import DISK, TEMPORARY, Storage, explain, explained, make_directories, remove, write_file
from gancli.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Plugin", "create"]

_PREFIX = "gancli-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 40
_USED = frozenset(
    {"ArchConfig", "Architecture", "ClassVar", "Config", "Defaults", "Discriminator", "Field", "Generator", "ImageSpec"}
    | {"Dataset", "ImageSet", "Networks", "Objective", "Tensor"}
)
"""Names that the generated code uses for something else."""

_FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "LICENSE": "LICENSE.txt",
    ".gitignore": "gitignore.txt",
    ".github/workflows/test.yml": "test.yml.txt",
    "{package}/__init__.py": "{kind}.py.txt",
    "{package}/py.typed": "",
    "tests/test_contract.py": "test_contract.py.txt",
}
_NETWORKS = {"{package}/networks.py": "networks.py.txt"}

_KINDS = {
    "architecture": {
        "kind": "architecture",
        "article": "an",
        "group": "gancli.architectures",
        "contract": "ArchitectureContract",
        "attribute": "architecture",
        "what": "one hidden layer in each network",
        "try": "gancli train --dataset mnist --arch $name",
        "options": "`gancli arch show $name` lists its options; set them with `-s arch.width=512`.",
        "networks": ", `$package/networks.py` holds the networks",
    },
    "objective": {
        "kind": "objective",
        "article": "an",
        "group": "gancli.objectives",
        "contract": "ObjectiveContract",
        "attribute": "objective",
        "what": "least squares towards a target",
        "try": "gancli train --dataset mnist --objective $name",
        "options": "Set its options with `-s objective.target=2`.",
        "networks": "",
    },
    "dataset": {
        "kind": "data set",
        "article": "a",
        "group": "gancli.datasets",
        "contract": "DatasetContract",
        "attribute": "dataset",
        "what": "squares and discs",
        "try": "gancli train --dataset $name",
        "options": "`gancli dataset show $name` describes its images.",
        "networks": "",
    },
}
"""What the files of each kind of plugin say."""


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
        name = text.removeprefix(_PREFIX)
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            raise UsageError(
                f"'{text:.100}' cannot be the name of a plugin.",
                f"Use lower-case letters, digits and single dashes, a letter first, at most {_LONGEST_NAME}: wobbly-net.",
            )
        plugin = cls(name, kind)
        if keyword.iskeyword(plugin.title) or plugin.title in _USED:
            raise UsageError(
                f"'{name}' would make a class called {plugin.title}, which means something else.", "Choose another name."
            )
        group = _KINDS[kind]["group"]
        taken = [entry for entry in read()[0] if (entry.group, entry.name) == (group, name)]
        if taken:
            raise UsageError(f"{taken[0].distribution} {taken[0].version} already provides '{name}'.", "Choose another name.")
        return plugin

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

    def files(self) -> dict[str, str]:
        """Relative path -> content of every file."""
        words = {
            "name": self.name,
            "distribution": self.distribution,
            "package": self.package,
            "title": self.title,
            "gancli": ".".join(__version__.split(".")[:2]),
            "year": time.strftime("%Y"),
        }
        words |= {key: Template(text).substitute(words) for key, text in _KINDS[self.kind].items()}
        home = files("gancli_kit") / "template"
        return {
            path.format(package=self.package): Template(
                (home / source.format(kind=self.kind)).read_text(encoding="utf-8")
            ).substitute(words)
            if source
            else ""
            for path, source in (_FILES | (_NETWORKS if self.kind == "architecture" else {})).items()
        }


def create(plugin: Plugin, parent: Path, storage: Storage = DISK) -> Path:
    """Write the distribution into a new folder of ``parent``, whole or not at all.

    Raises:
        StorageError: the folder is already there, or cannot be written.
    """
    target = parent / plugin.distribution
    with explained(target):
        if storage.lstat(target) is not None:
            raise explain(OSError(EEXIST, "File exists"), target)
        make_directories(parent, storage)
        scratch = parent / f"{TEMPORARY}{token_hex(8)}"
        try:
            for path, text in plugin.files().items():
                make_directories((scratch / path).parent, storage)
                write_file(scratch / path, text.encode(), storage, durable=False)
            storage.rename(scratch, target)
        except BaseException:
            with suppress(OSError):
                remove(scratch, storage)
            raise
    return target
