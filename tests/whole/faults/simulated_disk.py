"""A disk in memory that can lose its power.

It works like a disk with a cache that nobody can see: what was written is there for every reader. But only what was
synced must survive a power cut. Of the rest the disk keeps what it likes: file contents are kept, lost, zeroed or torn,
and names in directories are kept or lost, each by itself and in any order.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from dataclasses import dataclass, field
from itertools import product
from random import Random

from gancli.storage.disk import Storage

ROOT = 0
DAMAGES = {
    "kept": lambda data: data,
    "lost": lambda _data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "torn": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
}


class Killed(BaseException):
    """The process ends here: nothing else happens on the disk, clean-up included."""


@dataclass
class Write:
    """A file has a new content."""

    inode: int
    data: bytes


@dataclass
class Rename:
    """Names in a directory stand for other inodes, or for none: all of them or none of them."""

    inode: int
    names: dict[str, int | None]


@dataclass
class Sync:
    """What was done to an inode before is durable."""

    inode: int


@dataclass
class Acknowledge:
    """The user was told that this is safe."""

    what: object


@dataclass
class SimulatedDisk(Storage):
    """Holds ``nodes`` (directories are dicts from names to inodes) and the ``log`` of what was done to them.

    Args:
        ignored_sync: the place in the code whose syncs do nothing, as named in ``sync_places``.
        operations_left: the process is killed after so many operations.
    """

    ignored_sync: str | None = None
    operations_left: float = float("inf")
    nodes: dict[int, dict[str, int] | bytes] = field(default_factory=lambda: {ROOT: {}})
    log: list[Write | Rename | Sync | Acknowledge] = field(default_factory=list)
    sync_places: set[str] = field(default_factory=set)

    def __post_init__(self):
        self._before = {number: _copy(node) for number, node in self.nodes.items()}
        self._descriptors = {}

    # -- what happens to it --

    def acknowledge(self, what):
        self.log.append(Acknowledge(what))

    def acknowledged(self, moment=None):
        return [entry.what for entry in self.log[:moment] if isinstance(entry, Acknowledge)]

    def restart(self):
        """The killed process is gone; the disk itself noticed nothing."""
        self.operations_left = float("inf")
        self._descriptors = {}

    def flip_bit(self, path, position):
        """Change a file behind everybody's back, for good."""
        inode = self._at(path)
        data = bytearray(self.nodes[inode])
        data[position // 8 % len(data)] ^= 1 << position % 8
        self._apply(Write(inode, bytes(data)))
        self.log.append(Sync(inode))

    def tree(self, inode=ROOT):
        """Everything that can be reached, to compare; the names of what is unfinished are random and left out."""
        node = self.nodes[inode]
        if not isinstance(node, dict):
            return node
        return tuple(sorted((name[: 4 if name[0] == "." else None], hash(self.tree(number))) for name, number in node.items()))

    def power_cuts(self, moment, random_cuts=0):
        """Disks as they may be found after the power failed when ``moment`` entries of the log had been written."""
        unsynced = self._unsynced(moment)
        for names_kept, damage in product((False, True), DAMAGES):
            yield self._found(moment, {i: _fate(self.log[i], names_kept, damage) for i in unsynced})
        for one in unsynced:
            for others_kept in (False, True):
                fates = {i: _fate(self.log[i], others_kept, "kept" if others_kept else "lost") for i in unsynced}
                yield self._found(
                    moment, {**fates, one: _fate(self.log[one], not others_kept, "lost" if others_kept else "kept")}
                )
        random = Random(moment)
        for _ in range(random_cuts):
            yield self._found(
                moment, {i: _fate(self.log[i], random.random() < 0.5, random.choice([*DAMAGES])) for i in unsynced}
            )

    def _unsynced(self, moment):
        waiting = {}
        for i, entry in enumerate(self.log[:moment]):
            if isinstance(entry, Sync):
                waiting.pop(entry.inode, None)
            elif not isinstance(entry, Acknowledge):
                waiting.setdefault(entry.inode, []).append(i)
        return sorted(i for entries in waiting.values() for i in entries)

    def _found(self, moment, fates):
        found = SimulatedDisk(nodes={number: _copy(node) for number, node in self._before.items()})
        for i, entry in enumerate(self.log[:moment]):
            if isinstance(entry, Write):
                found.nodes[entry.inode] = DAMAGES[fates.get(i, "kept")](entry.data)
            elif isinstance(entry, Rename) and fates.get(i, "kept") == "kept":
                found._apply(entry)
        for number, node in self.nodes.items():
            found.nodes.setdefault(number, {} if isinstance(node, dict) else b"")
        found.log.clear()  # whatever is found is durable
        found.__post_init__()
        return found

    # -- the operations --

    def mkdir(self, path):
        self._spend()
        self._add(path, {})

    def create(self, path):
        self._spend()
        return self._open(self._add(path, b""))

    def write(self, descriptor, data):
        self._spend()
        inode = self._descriptors[descriptor][0]
        self._apply(Write(inode, self.nodes[inode] + bytes(data)))

    def fsync(self, descriptor):
        self._spend()
        inode = self._descriptors[descriptor][0]
        name = next(name for node in self.nodes.values() if isinstance(node, dict) for name, n in node.items() if n == inode)
        self._sync(inode, name)

    def fsync_dir(self, path):
        self._spend()
        self._sync(self._directory(path), path.name)

    def close(self, descriptor):
        self._descriptors.pop(descriptor, None)
        self._spend()

    def rename(self, source, target):
        self._spend()
        assert source.parent == target.parent
        parent, inode = self._directory(source.parent), self._at(source)
        replaced = self.nodes[parent].get(target.name)
        if replaced is not None and self.nodes[replaced] and isinstance(self.nodes[replaced], dict):
            raise _error(errno.ENOTEMPTY)
        self._apply(Rename(parent, {source.name: None, target.name: inode}))

    def unlink(self, path):
        self._spend()
        self._remove(path, bytes, errno.EISDIR)

    def rmdir(self, path):
        self._spend()
        if self.nodes[self._at(path)]:
            raise _error(errno.ENOTEMPTY)
        self._remove(path, dict, errno.ENOTDIR)

    def listdir(self, path):
        self._spend()
        return sorted(self.nodes[self._directory(path)])

    def lstat(self, path):
        self._spend()
        try:
            return self._status(self._at(path))
        except FileNotFoundError:
            return None

    def open(self, path):
        self._spend()
        return self._open(self._at(path))

    def fstat(self, descriptor):
        self._spend()
        return self._status(self._descriptors[descriptor][0])

    def read(self, descriptor, count):
        self._spend()
        inode, offset = self._descriptors[descriptor]
        self._descriptors[descriptor] = inode, offset + count
        return self.nodes[inode][offset : offset + count]

    def free_bytes(self, path):
        self._spend()
        self._at(path)
        return 1 << 30

    # -- how they work --

    def _spend(self):
        self.operations_left -= 1
        if self.operations_left < 0:
            raise Killed

    def _apply(self, entry):
        self.log.append(entry)
        if isinstance(entry, Write):
            self.nodes[entry.inode] = entry.data
            return
        names = self.nodes.setdefault(entry.inode, {})
        for name, inode in entry.names.items():
            names.pop(name, None)
            if inode is not None:
                names[name] = inode

    def _sync(self, inode, name):
        caller = sys._getframe(2)
        line = caller.f_lineno - caller.f_code.co_firstlineno
        place = f"{caller.f_code.co_name}+{line} {'.tmp' if name.startswith('.tmp') else name or '/'}"
        self.sync_places.add(place)
        if place != self.ignored_sync:
            self.log.append(Sync(inode))

    def _at(self, path):
        inode = ROOT
        for name in path.parts[1:]:
            names = self.nodes[inode]
            if not isinstance(names, dict):
                raise _error(errno.ENOTDIR)
            if name not in names:
                raise _error(errno.ENOENT)
            inode = names[name]
        return inode

    def _directory(self, path):
        inode = self._at(path)
        if not isinstance(self.nodes[inode], dict):
            raise _error(errno.ENOTDIR)
        return inode

    def _add(self, path, node):
        parent = self._directory(path.parent)
        if path.name in self.nodes[parent]:
            raise _error(errno.EEXIST)
        inode = len(self.nodes)
        self.nodes[inode] = node
        self._apply(Rename(parent, {path.name: inode}))
        return inode

    def _remove(self, path, kind, number):
        if not isinstance(self.nodes[self._at(path)], kind):
            raise _error(number)
        self._apply(Rename(self._directory(path.parent), {path.name: None}))

    def _open(self, inode):
        descriptor = max(self._descriptors, default=2) + 1
        self._descriptors[descriptor] = inode, 0
        return descriptor

    def _status(self, inode):
        node = self.nodes[inode]
        mode = stat.S_IFDIR if isinstance(node, dict) else stat.S_IFREG
        return os.stat_result((mode | 0o755, inode, 0, 1, 0, 0, len(node), 0, 0, 0))


def _copy(node):
    return dict(node) if isinstance(node, dict) else node


def _fate(entry, names_kept, damage):
    return damage if isinstance(entry, Write) else "kept" if names_kept else "lost"


def _error(number):
    return OSError(number, os.strerror(number))
