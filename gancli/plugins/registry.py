"""Plugins: find them, load the one that is asked for, explain what went wrong.

Finding reads the metadata of installed distributions and imports nothing, so that a broken plugin cannot break a listing, a
completion or another plugin. Loading imports one entry point and checks what comes out. gancli's own architectures,
objectives and data sets stand in the same groups and are found in the same way.

Besides the name of an entry point, an architecture may be asked for as ``dist/name`` (when two distributions claim one
name) or as ``FILE.py:CLASS`` (one file, no package).

``GANCLI_PLUGINS`` restricts what is seen: empty switches every third party off, ``a,b`` lets these distributions in.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from packaging.utils import canonicalize_name

from gancli.errors import DatasetError, GancliError, PluginError, UsageError, did_you_mean, nearest
from gancli.plugin import API, ArchConfig, Architecture, Dataset, Exporter, FeatureExtractor, Logger, Objective, Optimizer
from gancli.plugins.distributions import read
from gancli.plugins.installation import OFFICIAL, install_command

__all__ = [
    "ARCHITECTURES",
    "DATASETS",
    "EXPORTERS",
    "EXTRACTORS",
    "LOGGERS",
    "OBJECTIVES",
    "OPTIMIZERS",
    "Chosen",
    "Entry",
    "PluginT",
    "Registry",
    "dataset_defaults",
    "imported",
    "is_file",
    "is_path",
    "understood",
]

OWN = "gancli"
_DISTRIBUTION = re.compile(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?")
ChosenT = TypeVar("ChosenT")
PluginT = TypeVar("PluginT", Architecture[Any], Dataset, Exporter[Any], FeatureExtractor, Objective, Optimizer, Logger)


@dataclass(frozen=True, slots=True)
class Entry:
    """One plugin, as far as it is known without importing it.

    Attributes:
        name: what users type.
        group: the entry-point group.
        target: ``module:attribute``; for a file, ``path:attribute``.
        distribution: normalised name of the distribution that provides it; empty for a file.
        version: version of that distribution; for a file, ``sha256:...`` of its bytes.
        summary: the distribution's one-line description.
    """

    name: str
    group: str
    target: str
    distribution: str
    version: str
    summary: str = ""

    @property
    def qualified(self) -> str:
        """``dist/name``, which is unique."""
        return f"{self.distribution}/{self.name}"

    def spelled(self, typed: str) -> str:
        """The name as it is stored in a configuration, for one that was typed in any case."""
        if self.is_file:
            return typed
        return self.qualified if "/" in typed else self.name

    @property
    def is_file(self) -> bool:
        """Whether it is a file of the user's, not an installed distribution's."""
        return not self.distribution


@dataclass(frozen=True, slots=True)
class Chosen(Generic[ChosenT]):
    """A plugin that was chosen: where it comes from, an instance, and its validated options.

    The options of an objective are the objective itself.
    """

    entry: Entry
    plugin: ChosenT
    options: ArchConfig


def understood(api: object) -> bool:
    """Whether a plugin that was written for version ``api`` of the contract works here: today's, and the one before.

    >>> [understood(api) for api in (0, 1, 2, 3, True, "1", None)]
    [False, True, True, False, False, False, False]
    """
    return type(api) is int and max(1, API - 1) <= api <= API


def _allowed(distribution: str) -> bool:
    chosen = os.environ.get("GANCLI_PLUGINS")
    if chosen is None or distribution == OWN:
        return True
    return distribution in {canonicalize_name(name.strip()) for name in chosen.split(",") if name.strip()}


class Registry(Generic[PluginT]):
    """The plugins of one kind.

    Args:
        kind: what a plugin of this group is called in messages.
        group: the entry-point group.
        base: the class that a plugin must derive from.
        missing: what is raised for a name that nobody provides.
    """

    def __init__(self, kind: str, group: str, base: type[PluginT], missing: type[GancliError] = PluginError) -> None:
        self._missing = missing
        self.kind = kind
        self.group = group
        self._base: type[PluginT] = base

    def entries(self) -> list[Entry]:
        """Every plugin of this kind that may be used, sorted by name; nothing is imported."""
        return [entry for entry in self.installed() if _allowed(entry.distribution)]

    def installed(self) -> list[Entry]:
        """Likewise, those included that ``GANCLI_PLUGINS`` switches off."""
        found = [
            Entry(each.point.name, self.group, each.point.value, each.distribution, each.version, each.summary)
            for each in read()[0]
            if each.point.group == self.group
        ]
        return sorted(found, key=lambda entry: (entry.name, entry.distribution != OWN, entry.distribution))

    def names(self) -> list[str]:
        """The names that users may type, sorted, each once."""
        return sorted({entry.name for entry in self.entries()})

    @property
    def base_name(self) -> str:
        """Name of the class that a plugin of this kind derives from."""
        return self._base.__name__

    def is_kind_of(self, plugin: object) -> bool:
        """Whether an object is a class of this kind of plugin."""
        return isinstance(plugin, type) and issubclass(plugin, self._base)

    def find(self, name: str) -> Entry:
        """The plugin that ``name`` means, in any case.

        Raises:
            PluginError: there is none (naming the nearest), or more than one distribution claims the name.
        """
        if is_file(name):
            return _file_entry(name, self.group)
        entries = self.entries()
        matches = [entry for entry in entries if name in (entry.name, entry.qualified)]
        matches = matches or [entry for entry in entries if name.lower() in (entry.name.lower(), entry.qualified.lower())]
        if not matches:
            failure = PluginError if (self.group, name) in OFFICIAL else self._missing
            path = ", and no file or folder of that name" if self.group == DATASETS.group else ""
            raise failure(f"There is no {self.kind} '{name}'{path}.", self._remedy(name))
        if len(matches) > 1:
            raise PluginError(
                f"The {self.kind} '{name}' is claimed by {' and '.join(m.distribution for m in matches)}.",
                f"Say which: {' or '.join(m.qualified for m in matches)}.",
            )
        return matches[0]

    def spelled(self, name: str) -> str:
        """``name`` as the plugin writes it; see :meth:`find`."""
        return self.find(name).spelled(name)

    def find_maker(self, name: str, distribution: str, version: str) -> Entry:
        """The plugin that has made something which is stored: the one of this name and no other, whatever else has it.

        Args:
            name: of the plugin.
            distribution: that provided it. Both come from a file and may be anything.
            version: of the distribution, at that time.

        Raises:
            PluginError: it is not installed, or switched off; with the command that installs it.
        """
        wanted = f"{canonicalize_name(distribution)}/{name.rpartition('/')[2]}"
        for entry in self.installed():
            if entry.qualified == wanted and _allowed(entry.distribution):
                return entry
            if entry.qualified == wanted:
                raise PluginError(
                    f"The {self.kind} '{wanted}' {version}, which made this model, is switched off by GANCLI_PLUGINS.",
                    f"Add {entry.distribution} to GANCLI_PLUGINS, or unset it.",
                )
        honest = _DISTRIBUTION.fullmatch(canonicalize_name(distribution))
        how = f"Install it: {install_command(canonicalize_name(distribution))}" if honest else "Install it."
        raise PluginError(f"The {self.kind} '{wanted}' {version}, which made this model, is not installed.", how)

    def load(self, name: str) -> type[PluginT]:
        """The class behind ``name``; see :meth:`find` and :meth:`load_entry`."""
        return self.load_entry(self.find(name))

    def load_entry(self, entry: Entry) -> type[PluginT]:
        """Import one plugin and check that it is one.

        Raises:
            PluginError: it cannot be imported, is something else, or was written for another version of the contract.
        """
        return self._checked(self.import_entry(entry), entry)

    def import_entry(self, entry: Entry) -> type[PluginT]:
        """Import one plugin, whatever version of the contract it was written for.

        Raises:
            PluginError: it cannot be imported, or is something else.
        """
        try:
            with redirect_stdout(sys.stderr):  # stdout carries results only
                plugin = _import_file(entry) if entry.is_file else _import_installed(entry)
        except (KeyboardInterrupt, PluginError):
            raise
        except BaseException as error:  # a plugin may raise anything, SystemExit included, and must not take gancli with it
            raise PluginError(
                f"The {self.kind} '{entry.name}' cannot be loaded: {type(error).__name__}: {error}".rstrip(".: ") + ".",
                f"It comes from {_origin(entry)}; update or uninstall that, or see the traceback with --debug.",
            ) from error
        if not (isinstance(plugin, type) and issubclass(plugin, self._base)):
            raise PluginError(
                f"'{entry.name}' is not of the kind {self.kind}: it is {plugin!r:.200}, not a subclass of "
                f"gancli.plugin.{self.base_name}.",
                "Derive the class from that, or choose another."
                if entry.is_file
                else f"It comes from {_origin(entry)}; its author has to name the class in the entry point.",
            )
        return plugin

    def _checked(self, plugin: type[PluginT], entry: Entry) -> type[PluginT]:
        api = getattr(plugin, "api", None)
        if not understood(api):
            newer = isinstance(api, int) and api > API
            raise PluginError(
                f"The {self.kind} '{entry.name}' has api = {api!r}; this gancli speaks api {API}.",
                f"Update {'gancli' if newer else _origin(entry)}.",
            )
        flaw = _flaw(plugin)
        if flaw:
            raise PluginError(
                f"The {self.kind} '{entry.name}' {flaw}.",
                f"It comes from {_origin(entry)}; its author has to keep the contract of gancli.plugin.",
            )
        return plugin

    def _remedy(self, name: str) -> str:
        if self.group == DATASETS.group:
            here: list[str] = [path for path in os.listdir() if not path.startswith(".")]  # noqa: PTH208  (names, not paths)
            near = nearest(name, [*self.names(), *here])
            return f"Did you mean '{near}'?" if near else f"Give a path, or one of {', '.join(self.names())}."
        hint = did_you_mean(name, self.names())
        if os.environ.get("GANCLI_PLUGINS") is not None:
            hint += " Plugins are restricted by GANCLI_PLUGINS."
        if provider := OFFICIAL.get((self.group, name)):
            return f"{hint} {provider} provides it; install that: {install_command(provider)}".strip()
        return f"{hint} Choose a known one, or install the plugin that provides it.".strip()


def is_file(name: str) -> bool:
    """Whether a plugin is named by a file of the user's: ``FILE.py:CLASS``, or ``FILE.py``, which lacks the class."""
    return ".py:" in name or name.endswith(".py")


def imported(name: str) -> object:
    """What ``FILE.py:CLASS`` names, of whatever kind.

    Raises:
        PluginError: there is no such file or class in it, or the file cannot be imported.
    """
    entry = _file_entry(name, "")
    try:
        with redirect_stdout(sys.stderr):  # stdout carries results only
            return _import_file(entry)
    except (KeyboardInterrupt, PluginError):
        raise
    except BaseException as error:  # a file may raise anything, SystemExit included
        raise PluginError(
            f"'{name}' cannot be loaded: {type(error).__name__}: {error}".rstrip(".: ") + ".",
            "Correct the file, or see the traceback with --debug.",
        ) from error


def _file_entry(name: str, group: str) -> Entry:
    text, _, attribute = name.rpartition(":") if ".py:" in name else (name, "", "")
    path = Path(os.path.expanduser(text))  # noqa: PTH111  (Path.expanduser raises RuntimeError for an unknown user)
    if not path.is_file():
        raise PluginError(f"There is no file '{path}'.", "A plugin in a file is given as FILE.py:CLASS.")
    source = _source(path)
    try:
        classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    except (SyntaxError, ValueError):
        classes = []  # importing it says what is wrong with it
    if not attribute:
        example = f"'{text}:{classes[-1]}'" if classes else f"'{text}:CLASS'"
        raise PluginError(f"'{name}' does not name a class.", f"Give the class too, such as {example}.")
    return Entry(name, group, f"{path.resolve()}:{attribute}", "", _version_of(source))


def _flaw(plugin: type) -> str | None:
    """What a class lacks that its kind of plugin must have, as the rest of a sentence about it."""
    abstract = sorted(getattr(plugin, "__abstractmethods__", ()))
    if abstract:
        return f"does not define {', '.join(abstract)}"
    if not isinstance(getattr(plugin, "summary", None), str):
        return "has no summary"
    if not isinstance(getattr(plugin, "defaults", {}), Mapping):
        return "has defaults that are no mapping"
    if issubclass(plugin, Architecture):
        config = getattr(plugin, "Config", None)
        if not (isinstance(config, type) and issubclass(config, ArchConfig)):
            return "has no Config that derives from gancli.plugin.ArchConfig"
    return None


def _source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PluginError(
            f"'{path}' cannot be read: {error.strerror}.", "Check its mode (ls -l), or give another file."
        ) from error


def _version_of(source: bytes) -> str:
    from hashlib import sha256

    return f"sha256:{sha256(source).hexdigest()}"


def _origin(entry: Entry) -> str:
    return f"the file {entry.target.rpartition(':')[0]}" if entry.is_file else f"{entry.distribution} {entry.version}"


def _import_installed(entry: Entry) -> object:
    for each in read()[0]:
        if (each.point.group, each.distribution, each.point.name) == (entry.group, entry.distribution, entry.name):
            return each.point.load()
    raise PluginError(f"{entry.qualified} is not installed any more.", "Start gancli again.")


def _import_file(entry: Entry) -> object:
    """Run the very bytes that ``entry.version`` is the hash of (Python's bytecode cache may be of others), once."""
    path, _, attribute = entry.target.rpartition(":")
    source = _source(Path(path))
    if _version_of(source) != entry.version:
        raise PluginError(f"'{path}' was changed while it was read.", "Start gancli again.")
    name = f"gancli_file_{_version_of(path.encode(errors='surrogateescape') + source)[7:23]}"
    if name not in sys.modules:
        module = sys.modules[name] = ModuleType(name)
        module.__file__ = path
        try:
            exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  (the user's own file)
        except BaseException:
            del sys.modules[name]
            raise
    found: object = getattr(sys.modules[name], attribute, None)
    if found is None:
        classes = [key for key, value in vars(sys.modules[name]).items() if getattr(value, "__module__", "") == name]
        raise PluginError(f"There is no class '{attribute}' in '{path}'.", did_you_mean(attribute, classes))
    return found


ARCHITECTURES: Registry[Architecture[Any]] = Registry("architecture", "gancli.architectures", Architecture)  # type: ignore[type-abstract]
OBJECTIVES: Registry[Objective] = Registry("objective", "gancli.objectives", Objective)  # type: ignore[type-abstract]
LOGGERS: Registry[Logger] = Registry("logger", "gancli.loggers", Logger)  # type: ignore[type-abstract]
OPTIMIZERS: Registry[Optimizer] = Registry("optimiser", "gancli.optimizers", Optimizer)  # type: ignore[type-abstract]
DATASETS: Registry[Dataset] = Registry("data set", "gancli.datasets", Dataset, missing=DatasetError)  # type: ignore[type-abstract]
EXTRACTORS: Registry[FeatureExtractor] = Registry("extractor", "gancli.extractors", FeatureExtractor)  # type: ignore[type-abstract]
EXPORTERS: Registry[Exporter[Any]] = Registry("exporter", "gancli.exporters", Exporter, missing=UsageError)  # type: ignore[type-abstract]


FILES = (".npz", ".npy", ".zip", ".tar", ".gz", ".tgz", ".xz", ".parquet", ".arrow")
"""Suffixes that no named data set has: a missing file is a missing file, not an unknown plugin."""


def is_path(dataset: str) -> bool:
    """Whether a data set is given by its path, not by the name of a plugin. A registered name wins."""
    if is_file(dataset) or any(dataset in (entry.name, entry.qualified) for entry in DATASETS.entries()):
        return False
    return (
        os.sep in dataset
        or dataset.startswith((".", "~", "hf:"))
        or dataset.lower().endswith(FILES)
        or os.path.lexists(dataset)
    )


def dataset_defaults(dataset: str) -> Mapping[str, Any]:
    """The settings that a named data set prefers; none for a path. Loads neither images nor torch.

    Raises:
        PluginError: there is no data set of that name, or it is broken.
    """
    return {} if is_path(dataset) else DATASETS.load(dataset).defaults
