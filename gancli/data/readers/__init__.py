"""Collections of encoded pictures: one small class per kind of container, all with the interface of :class:`Reader`.

They know names and bytes, and nothing of pixels: decoding is done in one place, :mod:`gancli.data.decoding`.
"""
