"""A trained generator in a file of its own, for other programs and other people.

Each export is loaded again and compared with the generator before anybody sees it (:mod:`gancli.export.parity`). What the
formats have in common is in :mod:`gancli.export.formats`; each has a module of its own.
"""
