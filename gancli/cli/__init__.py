"""The command line: one file per command or group of commands, with signatures, help and exit codes.

No module of this package imports torch or pydantic when it is imported; a command does so when it runs, if it must.
Annotations are read at run time here, hence no ``from __future__ import annotations``.
"""
