"""Moving pictures as bytes, one format per file, each frame written as it comes.

Pillow can write all of these but MP4, and keeps every frame in memory until the last (GIF, APNG) or first makes a list of
them (WebP). So the containers, which are simple, are written here, and Pillow compresses one frame at a time.
"""
