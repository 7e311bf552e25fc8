"""Animations as bytes. Pillow writes all but MP4; GIF is written here, for its one palette (see :mod:`.gif`)."""
