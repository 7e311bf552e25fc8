"""Run gancli as if this were Windows: ``python stand_in.py ROOT ARGUMENT ...``.

Modules of gancli and of its plugins see stand-ins of ``os``, ``signal`` and others without the names that Windows lacks, and
cannot import ``fcntl`` and its like; the libraries below them see the real ones. Within ROOT, as on Windows,

- ``os.open`` without ``O_BINARY`` opens text: line ends are translated, and Ctrl-Z is the end of the file;
- a directory cannot be opened;
- what this process has open or mapped, or what lies above it, cannot be renamed, replaced or removed.
"""

from __future__ import annotations

import builtins
import ctypes
import mmap
import os
import re
import shutil
import signal
import socket
import stat
import sys
import time
import warnings
from pathlib import Path
from types import ModuleType

MISSING_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
MISSING = {
    os: (
        "O_(?!RDONLY|WRONLY|RDWR|APPEND|CREAT|EXCL|TRUNC).*|[RT]TLD_.*|SCHED_.*|W[A-Z]+|P_(ALL|PID|PGID)|EX_.*|SEEK_(DATA|HOLE)|"
        "f?chown|lchown|chroot|confstr|ctermid|fork(pty)?|f?pathconf|fdatasync|fstatvfs|statvfs|get(e|res)?[ug]id|"
        "get(groups|loadavg|pgid|pgrp|priority|sid)|killpg|lockf|major|minor|makedev|mkfifo|mknod|nice|openpty|"
        "posix_.*|p(read|write)v?|readv|writev|register_at_fork|sched_.*|sendfile|set(e|re|res)?[ug]id|set(groups|pgid|priority|sid)|"
        "sync|sysconf.*|tc[gs]etpgrp|ttyname|uname|wait|wait3|wait4|waitid|memfd_create|eventfd.*|splice|copy_file_range|"
        "pidfd_open|f?chflags|lchflags|lchmod|fchdir|getrandom|[gs]et?xattr|listxattr|removexattr"
    ),
    signal: (
        "SIG(?!INT|TERM|ABRT|FPE|ILL|SEGV|_DFL|_IGN|nals).*|alarm|[gs]etitimer|ITIMER_.*|pause|pthread_.*|sig(pending|wait.*|interrupt)"
    ),
    socket: "AF_UNIX|socketpair|SO_REUSEPORT",
    mmap: "PROT_.*|MAP_.*|MADV_.*",
    time: "tzset|clock_[gs]ettime.*|pthread_.*",
}
BINARY = 0x8000


def become_windows(root: Path) -> None:
    """From now on gancli, and a script that calls this, see what Windows has."""
    text = set()
    stand_ins = {module.__name__: stripped(module, pattern) for module, pattern in MISSING.items()}
    stand_ins["os"].__dict__.update(text_mode(text), name="nt", O_BINARY=BINARY, stat=without_blocks)
    stand_ins["ctypes"] = stripped(ctypes, "")
    stand_ins["ctypes"].CDLL = no_library
    refuse_names_in_use(root)
    shutil._use_fd_functions = False
    warnings.filterwarnings("error", category=EncodingWarning, module="gancli")  # whose default is another on Windows
    import_ = builtins.__import__

    def windows_import(name, globals=None, locals=None, fromlist=(), level=0):  # noqa: A002  (Python's signature)
        asks = str((globals or {}).get("__name__", "")).partition(".")[0]
        if level == 0 and (asks.startswith("gancli") or asks == "__main__"):
            if name.partition(".")[0] in MISSING_MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in stand_ins:
                return stand_ins[name]
        return import_(name, globals, locals, fromlist, level)

    builtins.__import__ = windows_import


def stripped(module: ModuleType, pattern: str) -> ModuleType:
    """A copy without the names that match."""
    copy = ModuleType(module.__name__, module.__doc__)
    missing = re.compile(pattern)
    copy.__dict__.update({name: value for name, value in vars(module).items() if not missing.fullmatch(name)})
    return copy


def text_mode(text: set[int]) -> dict[str, object]:
    """``os.open`` and what works on its descriptors."""

    def open_(path, flags, mode=0o777, **_):
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        descriptor = os.open(path, flags & ~BINARY, mode)
        (text.discard if flags & BINARY else text.add)(descriptor)
        return descriptor

    def write(descriptor, data):
        if descriptor not in text:
            return os.write(descriptor, data)
        os.write(descriptor, bytes(data).replace(b"\n", b"\r\n"))
        return len(data)

    def read(descriptor, count):
        data = os.read(descriptor, count)
        return data.replace(b"\r\n", b"\n").partition(b"\x1a")[0] if descriptor in text else data

    return {"open": open_, "write": write, "read": read}


def without_blocks(*arguments, **options):
    """``os.stat`` as Windows fills it in."""
    return os.stat_result(tuple(os.stat(*arguments, **options))[:10])


def no_library(name=None, *_, **__):
    """``ctypes.CDLL``, which needs a name on Windows."""
    raise TypeError(f"bad argument type {name!r}") if name is None else OSError(f"{name} not found")


def refuse_names_in_use(root: Path) -> None:
    """Let renaming and removing fail as they do on Windows."""

    def guarded(operation, change_target):
        def guard(source, *targets, **options):
            names = [source, *targets] if change_target else [source]
            for name in names if not options else ():
                path = Path(os.path.abspath(os.fspath(name)))  # noqa: PTH100  (what os.path does is tested)
                if path.is_relative_to(root) and path in in_use(root):
                    error = PermissionError(13, f"{operation.__name__}: it is used by another process", str(path))
                    error.winerror = 32
                    raise error
            if operation.__name__ == "rename" and Path(targets[0]).exists():
                raise FileExistsError(17, "Cannot create a file when that file already exists", str(targets[0]))
            return operation(source, *targets, **options)

        return guard

    for name in ("rename", "replace", "unlink", "remove", "rmdir"):
        setattr(os, name, guarded(getattr(os, name), name in {"rename", "replace"}))


def in_use(root: Path) -> set[Path]:
    """What this process has open or mapped below ``root``, and the folders that hold it."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(entry.readlink())
        except OSError:
            continue
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    found |= {Path(line.split(maxsplit=5)[5]) for line in maps if str(root) in line}
    found = {path for path in found if path.is_relative_to(root) and not stat.S_ISDIR(mode_of(path))}
    return found | {folder for path in found for folder in path.parents if folder != root and folder.is_relative_to(root)}


def mode_of(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return stat.S_IFDIR


if __name__ == "__main__":
    become_windows(Path(sys.argv.pop(1)).resolve())
    from gancli.__main__ import main

    main()
