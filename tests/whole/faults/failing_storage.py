"""A real disk on which the n-th operation fails."""

from __future__ import annotations

import os

from gancli.storage.disk import Storage

OPERATIONS = [name for name in vars(Storage) if not name.startswith("_")]


class UnsyncedStorage(Storage):
    """A real disk, quick because nothing is really synced, which nobody can see before a power cut."""

    def fsync(self, descriptor):
        pass

    def fsync_dir(self, path):
        pass


class ProcessExit(BaseException):
    """The process ends here: nothing else happens on the disk, clean-up included."""


class FailingStorage(UnsyncedStorage):
    """Fails at operation number ``at`` (from 1) with ``fault``, an error number or :class:`ProcessExit`.

    ``forever``: so does every later one.
    """

    def __init__(self, at, fault, *, forever=False):
        self.at = at
        self.fault = fault
        self.forever = forever or fault is ProcessExit
        self.log = []

    @property
    def fired(self):
        return len(self.log) >= self.at

    def step(self, name):
        self.log.append(name)
        if len(self.log) == self.at or (self.forever and self.fired):
            raise ProcessExit if self.fault is ProcessExit else OSError(self.fault, os.strerror(self.fault))


def _failing(name):
    def operation(self, *arguments):
        if name == "close":  # whatever it reports, the descriptor is gone afterwards
            super(FailingStorage, self).close(*arguments)
            self.step(name)
            return None
        self.step(name)
        return getattr(super(FailingStorage, self), name)(*arguments)

    return operation


for _name in OPERATIONS:
    setattr(FailingStorage, _name, _failing(_name))
