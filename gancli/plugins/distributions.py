"""Installed plugins: the entry points of gancli's groups, read from the metadata of distributions. Nothing is imported."""

import os
from dataclasses import dataclass
from functools import cache
from itertools import chain

from packaging.utils import canonicalize_name

OWN = "gancli"


@dataclass(frozen=True, slots=True)
class Entry:
    """One plugin, as far as it is known without importing it: its name and group, and the distribution's one-line summary.

    The target is ``module:attribute``, of a file ``path:attribute``; the distribution's name is normalised, of a file empty;
    its version, of a file ``sha256:...`` of its bytes.
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

    @property
    def is_file(self) -> bool:
        """Whether it is a file of the user's, not an installed distribution's."""
        return not self.distribution

    @property
    def origin(self) -> str:
        """Where it comes from, for messages."""
        return f"the file {self.target.rpartition(':')[0]}" if self.is_file else f"{self.distribution} {self.version}"

    def spelled(self, typed: str) -> str:
        """The name as it is stored in a configuration, for one that was typed in any case."""
        if self.is_file:
            return typed
        return self.qualified if "/" in typed else self.name


@cache
def read() -> tuple[tuple[Entry, ...], dict[str, str]]:
    """Every plugin of every kind; and where metadata cannot be read, and why. Read once, since every read scans the disk.

    Of a distribution that is installed in several places, the first one on the path counts, as it does for imports.
    """
    from importlib.metadata import distributions

    found: dict[str, list[Entry]] = {}
    damaged: dict[str, str] = {}
    for dist in distributions():
        try:
            if points := [point for point in dist.entry_points if point.group.startswith("gancli.")]:
                about = dist.metadata
                for key in ("Name", "Version"):
                    if key not in about or not about[key]:
                        raise ValueError(f"METADATA has no {key}")  # noqa: TRY301  (damaged like the others)
                origin = canonicalize_name(about["Name"]), about["Version"], about["Summary"] or ""
                found.setdefault(origin[0], [Entry(point.name, point.group, point.value, *origin) for point in points])
        except Exception as error:  # noqa: BLE001  (whatever importlib.metadata makes of somebody else's broken files)
            place = str(getattr(dist, "_path", dist))  # importlib.metadata has no public name for it
            damaged.setdefault(place, f"{type(error).__name__}: {error}")
    return tuple(chain.from_iterable(found.values())), damaged


def installed(group: str) -> list[Entry]:
    """The plugins of a group, sorted by name, those included that ``GANCLI_PLUGINS`` switches off."""
    found = [entry for entry in read()[0] if entry.group == group]
    return sorted(found, key=lambda entry: (entry.name, entry.distribution != OWN, entry.distribution))


def entries(group: str) -> list[Entry]:
    """Likewise, those only that may be used."""
    return [entry for entry in installed(group) if allowed(entry.distribution)]


def allowed(distribution: str) -> bool:
    """Whether ``GANCLI_PLUGINS`` lets a distribution in: unset all, empty none, ``a,b`` these two; and always gancli."""
    chosen = os.environ.get("GANCLI_PLUGINS")
    if chosen is None or distribution == OWN:
        return True
    return distribution in {canonicalize_name(name.strip()) for name in chosen.split(",") if name.strip()}
