"""Plugins by kind: find them, load the one that is chosen, explain what went wrong.

Finding imports nothing, so that a broken plugin cannot break a listing, a completion or another plugin. A plugin is named
by its entry point, by ``dist/name`` (when two distributions claim one name), or by ``FILE.py:CLASS`` (one file, no package).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from hashlib import file_digest, sha256
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from packaging.utils import canonicalize_name

from gancli.errors import DatasetError, GancliError, PluginError, UsageError, did_you_mean, nearest
from gancli.plugin import API, ArchConfig, Architecture, Dataset, Exporter, FeatureExtractor, Logger, Objective, Optimizer
from gancli.plugins.distributions import Entry, allowed, entries, installed
from gancli.plugins.installation import OFFICIAL, install_plugin

if TYPE_CHECKING:
    from gancli.plugin import Asset

_DISTRIBUTION = re.compile(r"[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?")
ChosenT = TypeVar("ChosenT")
PluginT = TypeVar("PluginT", Architecture[Any], Dataset, Exporter[Any], FeatureExtractor, Objective, Optimizer, Logger)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[ChosenT]):
    """A plugin that was chosen, an instance, and its validated options; those of an objective are the objective itself."""

    entry: Entry
    plugin: ChosenT
    options: ArchConfig


def understood(api: object) -> bool:
    """Whether a plugin that was written for version ``api`` of the contract works here: today's, and the one before.

    >>> [understood(api) for api in (0, 1, 2, 3, True, "1", None)]
    [False, True, True, False, False, False, False]
    """
    return type(api) is int and max(1, API - 1) <= api <= API


class Registry(Generic[PluginT]):
    """The plugins of one kind: its name in messages, its entry-point group, and the class that a plugin derives from.

    ``missing`` is what is raised for a name that nobody provides.
    """

    def __init__(self, kind: str, group: str, base: type[PluginT], missing: type[GancliError] = PluginError) -> None:
        self.kind, self.group, self._missing = kind, group, missing
        self.base: type[PluginT] = base
        self.expected = f"a subclass of gancli.plugin.{base.__name__}"  # what an entry point of this group has to name

    def is_kind_of(self, plugin: object) -> bool:
        """Whether an object is a plugin of this kind."""
        return isinstance(plugin, type) and issubclass(plugin, self.base)

    def entries(self) -> list[Entry]:
        """Every plugin of this kind that may be used, sorted by name; nothing is imported."""
        return entries(self.group)

    def names(self) -> list[str]:
        """The names that users may type, sorted, each once."""
        return sorted({entry.name for entry in self.entries()})

    def matches(self, name: str) -> list[Entry]:
        """The plugins of a name, exactly or else in another case."""
        known = self.entries()
        exact = [entry for entry in known if name in (entry.name, entry.qualified)]
        return exact or [entry for entry in known if name.lower() in (entry.name.lower(), entry.qualified.lower())]

    def find(self, name: str) -> Entry:
        """The plugin that ``name`` means, in any case.

        Raises:
            PluginError: there is none (naming the nearest), or more than one distribution claims the name.
        """
        if is_file(name):
            return _file_entry(name, self.group, self.base.__name__)
        matches = self.matches(name)
        if not matches:
            failure = PluginError if (self.group, name) in OFFICIAL else self._missing
            path = ", and no file or folder of that name" if self.group == DATASETS.group else ""
            shown = name.replace(".", " ") if self.group == COMMANDS.group else name  # as it is typed
            raise failure(f"There is no {self.kind} '{shown}'{path}.", self._remedy(name))
        if len(matches) > 1:
            problem = f"The {self.kind} '{name}' is claimed by {' and '.join(m.distribution for m in matches)}."
            raise PluginError(problem, f"Say which: {' or '.join(m.qualified for m in matches)}.")
        return matches[0]

    def _remedy(self, name: str) -> str:
        restricted = _restricted()
        if provider := OFFICIAL.get((self.group, name)):
            return f"{restricted}{provider} provides it. In a clone of gancli: {install_plugin(provider)}"
        if self.group == DATASETS.group:
            here: list[str] = [path for path in os.listdir() if not path.startswith(".")]  # noqa: PTH208  (names, not paths)
            near = nearest(name, [*self.names(), *here])
            return f"Did you mean '{near}'?" if near else f"Give a path, or one of {', '.join(self.names())}."
        hint = f"{did_you_mean(name, self.names())} {restricted}".strip()
        return f"{hint} Choose a known one, or install the plugin that provides it.".strip()

    def spelled(self, name: str) -> str:
        """``name`` as the plugin writes it; see :meth:`find`."""
        return self.find(name).spelled(name)

    def find_maker(self, name: str, distribution: str, version: str) -> Entry:
        """The plugin of this name and no other that has made something which is stored, with a distribution of that version.

        Raises:
            PluginError: it is not installed, or switched off; with the command that installs it.
        """
        distribution = canonicalize_name(distribution)
        wanted = f"{distribution}/{name.rpartition('/')[2]}"
        for entry in installed(self.group):
            if entry.qualified == wanted and allowed(entry.distribution):
                return entry
            if entry.qualified == wanted:
                problem = f"The {self.kind} '{wanted}' {version}, which made this model, is switched off by GANCLI_PLUGINS."
                raise PluginError(problem, f"Add {entry.distribution} to GANCLI_PLUGINS, or unset it.")
        how = f"Install it: {install_plugin(distribution)}" if _DISTRIBUTION.fullmatch(distribution) else "Install it."
        raise PluginError(f"The {self.kind} '{wanted}' {version}, which made this model, is not installed.", how)

    def load(self, name: str) -> type[PluginT]:
        """The class behind ``name``; see :meth:`find` and :meth:`load_entry`."""
        return self.load_entry(self.find(name))

    def load_entry(self, entry: Entry) -> type[PluginT]:
        """Import one plugin and check that it is one, of a version of the contract that is understood; else a PluginError."""
        plugin = self.import_entry(entry)
        api = getattr(plugin, "api", None)
        if not understood(api):
            newer = isinstance(api, int) and api > API
            problem = f"The {self.kind} '{entry.name}' has api = {api!r}; this gancli speaks api {API}."
            raise PluginError(problem, f"Update {'gancli' if newer else entry.origin}.")
        if flaw := _flaw(plugin):
            problem = f"The {self.kind} '{entry.name}' {flaw}."
            raise PluginError(problem, f"It comes from {entry.origin}; its author has to keep the contract of gancli.plugin.")
        return plugin

    def import_entry(self, entry: Entry) -> type[PluginT]:
        """Import one plugin, whatever version of the contract it was written for; a PluginError if it is something else."""
        plugin: Any = _imported(entry, f"The {self.kind} '{entry.name}'")
        if not self.is_kind_of(plugin):
            raise PluginError(
                f"'{entry.name}' is not of the kind {self.kind}: it is {plugin!r:.200}, not {self.expected}.",
                "Derive the class from that, or choose another."
                if entry.is_file
                else f"It comes from {entry.origin}; its author has to name that in the entry point.",
            )
        found: type[PluginT] = plugin
        return found


def _imported(entry: Entry, what: str) -> object:
    try:
        with redirect_stdout(sys.stderr):  # stdout carries results only
            return _import_file(entry) if entry.is_file else EntryPoint(entry.name, entry.target, entry.group).load()
    except (KeyboardInterrupt, PluginError):
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit included, and must not take gancli with it
        remedy = "Correct the file" if entry.is_file else f"It comes from {entry.origin}; update or uninstall that"
        problem = f"{what} cannot be loaded: {type(error).__name__}: {error}".rstrip(".: ") + "."
        raise PluginError(problem, f"{remedy}, or see the traceback with --debug.") from error


def _flaw(plugin: type) -> str | None:
    """What a class lacks that its kind of plugin must have, as the rest of a sentence about it."""
    if abstract := sorted(getattr(plugin, "__abstractmethods__", ())):
        return f"does not define {', '.join(abstract)}"
    if not isinstance(getattr(plugin, "summary", None), str):
        return "has no summary"
    if not isinstance(getattr(plugin, "defaults", {}), Mapping):
        return "has defaults that are not a mapping"
    config = getattr(plugin, "Config", None)
    if issubclass(plugin, Architecture) and not (isinstance(config, type) and issubclass(config, ArchConfig)):
        return "has no Config that derives from gancli.plugin.ArchConfig"
    return None


# -- plugins in a file --


def is_file(name: str) -> bool:
    """Whether a plugin is named by a file of the user's: ``FILE.py:CLASS``, or ``FILE.py``, which lacks the class."""
    return ".py:" in name or name.endswith(".py")


def imported(name: str) -> object:
    """What ``FILE.py:CLASS`` names, of whatever kind; a PluginError if there is no such file or class."""
    return _imported(_file_entry(name, ""), f"'{name}'")


def _file_entry(name: str, group: str, base: str = "") -> Entry:
    text, _, attribute = name.rpartition(":") if ".py:" in name else (name, "", "")
    path = Path(os.path.expanduser(text))  # noqa: PTH111  (Path.expanduser raises RuntimeError for an unknown user)
    if not path.is_file():
        raise PluginError(f"There is no file '{path}'.", "A plugin in a file is given as FILE.py:CLASS.")
    source = _source(path)
    if not attribute:
        classes = re.findall(r"^class (\w+)(.*)", source.decode(errors="replace"), re.MULTILINE) or [("CLASS", "")]
        likeliest = max(classes, key=lambda pair: base in pair[1])  # the first that derives from the base, if one does
        given = f"such as '{text}:{likeliest[0]}'"
        raise PluginError(f"'{name}' does not name a class.", f"Give the class too, {given}.")
    return Entry(name, group, f"{path.resolve()}:{attribute}", "", f"sha256:{sha256(source).hexdigest()}")


def _source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = f"'{path}' cannot be read: {error.strerror}."
        raise PluginError(problem, "Check its mode (ls -l), or give another file.") from error


def _import_file(entry: Entry) -> object:
    """Run the very bytes that ``entry.version`` is the hash of (Python's bytecode cache may be of others), once."""
    path, _, attribute = entry.target.rpartition(":")
    source = _source(Path(path))
    if f"sha256:{sha256(source).hexdigest()}" != entry.version:
        raise PluginError(f"'{path}' was changed while it was read.", "Start gancli again.")
    name = f"gancli_file_{sha256(path.encode(errors='surrogateescape') + source).hexdigest()[:16]}"
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


# -- the kinds --


class _Commands(Registry[Any]):
    """Commands are functions or Typer apps: they derive from no class, and state no version of the contract."""

    def __init__(self) -> None:
        super().__init__("command", "gancli.commands", object)
        self.expected = "a function or a typer.Typer"

    def is_kind_of(self, plugin: object) -> bool:
        return callable(plugin) and not isinstance(plugin, type)

    def load_entry(self, entry: Entry) -> Any:  # noqa: ANN401  (a function or a typer.Typer)
        return self.import_entry(entry)


ARCHITECTURES: Registry[Architecture[Any]] = Registry("architecture", "gancli.architectures", Architecture)  # type: ignore[type-abstract]
OBJECTIVES: Registry[Objective] = Registry("objective", "gancli.objectives", Objective)  # type: ignore[type-abstract]
LOGGERS: Registry[Logger] = Registry("logger", "gancli.loggers", Logger)  # type: ignore[type-abstract]
OPTIMIZERS: Registry[Optimizer] = Registry("optimiser", "gancli.optimizers", Optimizer)  # type: ignore[type-abstract]
DATASETS: Registry[Dataset] = Registry("data set", "gancli.datasets", Dataset, missing=DatasetError)  # type: ignore[type-abstract]
EXTRACTORS: Registry[FeatureExtractor] = Registry("extractor", "gancli.extractors", FeatureExtractor)  # type: ignore[type-abstract]
EXPORTERS: Registry[Exporter[Any]] = Registry("exporter", "gancli.exporters", Exporter, missing=UsageError)  # type: ignore[type-abstract]
COMMANDS = _Commands()

PARTS = "gancli.parts"


def part(name: str, wanted_by: str) -> Any:  # noqa: ANN401  (a class or a function)
    """What another distribution of the project lends the core, by its entry point in the group ``gancli.parts``.

    Raises:
        PluginError: what is ``wanted_by`` the user needs a distribution that is not installed, or does not work.
    """
    provider = OFFICIAL[PARTS, name]
    entry = next((entry for entry in entries(PARTS) if entry.qualified == f"{provider}/{name}"), None)
    if entry is None:
        how = f"{_restricted()}In a clone of gancli: {install_plugin(provider)}"
        raise PluginError(f"{wanted_by} needs {provider}, which is not installed.", how)
    return _imported(entry, provider)


def _restricted() -> str:
    return "Plugins are restricted by GANCLI_PLUGINS. " if "GANCLI_PLUGINS" in os.environ else ""


FILES = (".npz", ".npy", ".zip", ".tar", ".gz", ".tgz", ".xz", ".parquet", ".arrow")
"""Suffixes that no named data set has: a missing file is a missing file, not an unknown plugin."""


def is_path(dataset: str) -> bool:
    """Whether a data set is given by its path, not by the name of a plugin. A registered name wins."""
    if is_file(dataset) or any(dataset in (entry.name, entry.qualified) for entry in DATASETS.entries()):
        return False
    looks_like_one = os.sep in dataset or dataset.startswith((".", "~", "hf:")) or dataset.lower().endswith(FILES)
    return looks_like_one or os.path.lexists(dataset)


def dataset_defaults(dataset: str) -> Mapping[str, Any]:
    """The settings that a named data set prefers; none for a path. Loads neither images nor torch."""
    return {} if is_path(dataset) else DATASETS.load(dataset).defaults


# -- pretrained weights --


def check_asset(asset: Asset) -> None:
    """Raise a PluginError for a file of pretrained weights that is missing or another one."""
    try:
        with asset.path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        what = f"The pretrained weights '{asset.name}' are missing: '{asset.path}' cannot be read."
        raise PluginError(what, asset.origin) from error
    if found != asset.sha256:
        what = f"'{asset.path}' is not the file '{asset.name}': its SHA-256 is {found}, not {asset.sha256}."
        raise PluginError(what, asset.origin)


def installed_extractor(name: str) -> FeatureExtractor:
    """The extractor of that name; a PluginError that says how to install it, if it or a file that it needs is missing."""
    plugin = EXTRACTORS.load(name)()
    for asset in plugin.assets():
        if not asset.path.is_file():
            raise PluginError(f"The extractor '{name}' needs {asset.name}, which is not installed.", asset.origin)
    return plugin


def for_colour() -> str | None:
    """Name of the installed extractor that suits images in colour, the first by name; None if there is none."""
    for entry in EXTRACTORS.entries():
        try:
            if EXTRACTORS.load_entry(entry).for_colour:
                installed_extractor(entry.qualified)
                return entry.name
        except GancliError:
            continue  # broken, or without its files
    return None
