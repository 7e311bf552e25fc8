"""Colour emoji as images: one PNG with transparency per emoji, in one folder per group.

    python examples/emoji/render.py emoji/

draws every emoji of the bitmap font Noto Color Emoji, at the size of its bitmaps, in the middle of a square. Groups: faces,
people (whatever comes in five skin tones, in all of them), animals, food, travel, objects, flags. Tones and flags are two
characters drawn as one image, for which Pillow needs Raqm (`python -m PIL.report`); without it they are left out.
"""

from __future__ import annotations

import argparse
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, features

if TYPE_CHECKING:
    from collections.abc import Iterator

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
BITMAP_SIZE = 109
"""The one size, in pixels per em, of the font's bitmaps."""

BLOCKS = [range(0x2300, 0x2C00), range(0x1F300, 0x1FB00)]
GROUPS = {
    "faces": [
        range(0x1F600, 0x1F638),
        range(0x1F641, 0x1F645),
        range(0x1F910, 0x1F918),
        range(0x1F920, 0x1F930),
        range(0x1F970, 0x1F97B),
        range(0x1FAE0, 0x1FAE6),
    ],
    "animals": [
        range(0x1F400, 0x1F43E),
        range(0x1F43F, 0x1F440),
        range(0x1F638, 0x1F641),
        range(0x1F648, 0x1F64B),
        range(0x1F980, 0x1F9AF),
        range(0x1FAB0, 0x1FAB4),
    ],
    "food": [
        range(0x1F32D, 0x1F331),
        range(0x1F33D, 0x1F33E),
        range(0x1F344, 0x1F380),
        range(0x1F950, 0x1F970),
        range(0x1F9C0, 0x1F9CC),
        range(0x1FAD0, 0x1FADA),
    ],
    "travel": [range(0x1F3D4, 0x1F3E1), range(0x1F680, 0x1F700)],
}
"""Code points of the groups that Unicode keeps more or less together."""

TONES = [chr(code) for code in range(0x1F3FB, 0x1F400)]
LETTERS = [chr(code) for code in range(0x1F1E6, 0x1F200)]
"""Regional indicators: two of them are the flag of a country."""

UNKNOWN_FLAG = 2 * LETTERS[0]
"""No country is called AA: this is what the font draws instead of a flag that it does not have."""


class Drawer:
    """Draws text in the font's own colours, each on a transparent square."""

    def __init__(self, font: Path) -> None:
        self._font = ImageFont.truetype(font, BITMAP_SIZE)
        self._advance = self._font.getlength("\N{GRINNING FACE}")

    def knows(self, text: str) -> bool:
        """Whether the font draws the whole text as one image."""
        return self._font.getlength(text) == self._advance and self._font.getmask(text).getbbox() is not None

    def draw(self, text: str) -> Image.Image:
        """RGBA, as wide as the font's step from one emoji to the next, and as high."""
        side = round(self._advance)
        image = Image.new("RGBA", (side, side))
        top = (side - self._font.getbbox(text)[3]) / 2
        ImageDraw.Draw(image).text((0, top), text, font=self._font, embedded_color=True)
        return image


def emoji(drawer: Drawer) -> Iterator[tuple[str, str]]:
    """Group and text of every emoji that the font draws."""
    for block in BLOCKS:
        for text in map(chr, block):
            if unicodedata.category(text) == "So" and drawer.knows(text):
                toned = [text + tone for tone in TONES if drawer.knows(text + tone)]
                group = "people" if toned else group_of(ord(text))
                yield from ((group, variant) for variant in [text, *toned])
    yield from (("flags", a + b) for a in LETTERS for b in LETTERS if drawer.knows(a + b))


def group_of(code: int) -> str:
    """The group whose ranges hold the code point; ``objects`` are the rest."""
    return next((name for name, ranges in GROUPS.items() if any(code in part for part in ranges)), "objects")


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description="Draw colour emoji, one PNG each, into a folder per group.")
    parser.add_argument("folder", type=Path, help="new folder")
    parser.add_argument("--font", type=Path, default=FONT, help="NotoColorEmoji.ttf (Debian: fonts-noto-color-emoji)")
    options = parser.parse_args()
    if not options.font.is_file():
        sys.exit(f"There is no font {options.font}. On Debian: apt install fonts-noto-color-emoji; elsewhere: --font FILE.")
    if options.folder.exists():
        sys.exit(f"{options.folder} exists. Name a new folder, or remove it first.")
    if not features.check("raqm"):
        sys.stderr.write("Pillow has no Raqm here: no skin tones, no flags.\n")
    drawer = Drawer(options.font)
    seen = {drawer.draw(UNKNOWN_FLAG).tobytes()}
    for group, text in emoji(drawer):
        image = drawer.draw(text)
        if image.tobytes() not in seen:
            seen.add(image.tobytes())
            target = options.folder / group / f"{'-'.join(f'{ord(character):x}' for character in text)}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            image.save(target)
    sys.stdout.write(f"{options.folder}\n")


if __name__ == "__main__":
    main()
