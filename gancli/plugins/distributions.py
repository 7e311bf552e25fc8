"""What is installed: the entry points of gancli's groups, read from the metadata of distributions. Nothing is imported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

__all__ = ["Damaged", "Provided", "read"]


@dataclass(frozen=True, slots=True)
class Provided:
    """One entry point, and the distribution that it belongs to: its normalised name, version and one-line description."""

    point: EntryPoint
    distribution: str
    version: str
    summary: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """A distribution whose metadata cannot be read, so that its plugins, if it has any, are not seen.

    Attributes:
        place: where its metadata are.
        reason: what is wrong with them, as the rest of a sentence about them.
    """

    place: str
    reason: str


@cache
def read() -> tuple[tuple[Provided, ...], tuple[Damaged, ...]]:
    """Every entry point of gancli's groups, and what cannot be read. Read once, since every read scans the disk."""
    from importlib.metadata import distributions

    found: dict[tuple[str, str, str], Provided] = {}
    broken: dict[str, Damaged] = {}
    for dist in distributions():
        try:
            for provided in _provided_by(dist):
                found.setdefault((provided.point.group, provided.distribution, provided.point.name), provided)
        except Exception as error:  # noqa: BLE001  (whatever importlib.metadata makes of somebody else's broken files)
            place = str(getattr(dist, "_path", dist))  # importlib.metadata has no public name for it
            broken.setdefault(place, Damaged(place, f"{type(error).__name__}: {error}"))
    return tuple(found.values()), tuple(broken.values())


def _provided_by(dist: Distribution) -> list[Provided]:
    """What one distribution adds.

    Raises:
        Exception: its metadata are damaged, for which no other plugin is to blame.
    """
    points = [point for point in dist.entry_points if point.group.startswith("gancli.")]
    if not points:
        return []
    about = dist.metadata
    for key in ("Name", "Version"):
        if key not in about or not about[key]:
            raise ValueError(f"METADATA has no {key}")
    return [Provided(point, canonicalize_name(about["Name"]), about["Version"], about["Summary"] or "") for point in points]
