"""Numbers and names as a person reads them."""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST_FIXED = 1000
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_SPECIAL = re.compile(r"""["$`!\n]|\\\\|\\$""")  # what means something within double quotes


def duration(seconds: float) -> str:
    """Minutes and seconds, and hours if there are any.

    >>> duration(41), duration(3725.4), duration(float("inf"))
    ('00:41', '1:02:05', '--:--')
    """
    if not math.isfinite(seconds):
        return "--:--"
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def about(seconds: float) -> str:
    """An expected time in words, as exact as it is worth.

    >>> about(41), about(75), about(1000), about(9000), about(400_000)
    ('1 minute', '1 minute', '17 minutes', '2.5 hours', '4.6 days')
    """
    minutes = max(1, round(seconds / 60))
    if minutes < 100:  # noqa: PLR2004  (then hours say enough)
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    hours = seconds / 3600
    return f"{hours:.1f} hours" if hours < 72 else f"{hours / 24:.1f} days"  # noqa: PLR2004  (likewise)


def loss(value: float) -> str:
    """Three decimals, or an exponent where that would be long.

    >>> loss(1.3204), loss(-123456.0)
    ('1.320', '-1.23e+05')
    """
    return f"{value:.3f}" if abs(value) < _LONGEST_FIXED else f"{value:.2e}"


def score(value: float | None) -> str:
    """A probability with two decimals.

    >>> score(0.618), score(None)
    ('0.62', '-')
    """
    return "-" if value is None else f"{value:.2f}"


def distance(value: float | None) -> str:
    """A distance between generated images and data, with as many decimals as are worth reading.

    >>> distance(7.4123), distance(1266.13), distance(None)
    ('7.41', '1266', '-')
    """
    if value is None:
        return "-"
    return f"{value:.2f}" if abs(value) < _LONGEST_FIXED else f"{value:.0f}"


def printable(text: object) -> str:
    r"""``text`` on one line, with every character escaped that could steer a terminal: names come from files.

    >>> print(printable("a\x1b[31m\nb"))
    a\x1b[31m b
    """
    return visible(" ".join(str(text).splitlines()))


def visible(text: str) -> str:
    r"""``text`` with every character escaped that could move the cursor, hide what follows or break the line.

    >>> print(visible("a\nb\x1b[31m"))
    a\nb\x1b[31m
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def shell(*words: object) -> str:
    """A command as it is pasted into a shell: in double quotes, which cmd.exe understands too, wherever they will do.

    >>> print(shell("pip", "install", "gancli[video]"), shell("a b"), shell("a'b"), shell("$HOME"))
    pip install "gancli[video]" "a b" "a'b" '$HOME'
    """
    return " ".join(
        word if _PLAIN.fullmatch(word) else shlex.quote(word) if _SPECIAL.search(word) else f'"{word}"'
        for word in map(str, words)
    )


def first_line(error: BaseException) -> str:
    r"""What a library says went wrong, as part of a sentence: its first line, or its kind where it says nothing.

    >>> first_line(RuntimeError("no kernel for float16.\nTraceback ...")), first_line(KeyError())
    ('no kernel for float16', 'KeyError')
    """
    return printable(next(iter(str(error).strip().splitlines()), type(error).__name__))[:200].rstrip(".")


def html_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in HTML; empty if there are no rows.

    >>> html_table(["a"], [["<b>"]])
    '<table><tr><th>a</th></tr><tr><td>&lt;b&gt;</td></tr></table>'
    """
    from html import escape

    def line(tag: str, cells: Sequence[object]) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(printable(cell))}</{tag}>' for cell in cells)}</tr>"

    lines = [line("td", row) for row in rows]
    return f"<table>{line('th', titles)}{''.join(lines)}</table>" if lines else ""


def html_image(png: bytes, caption: str = "", *, pixels: bool = False) -> str:
    """A PNG with its caption, in HTML; what are ``pixels`` a page's style enlarges without blur."""
    from base64 import b64encode
    from html import escape

    kind = ' class="pixels"' if pixels else ""
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    text = escape(printable(caption))
    return f'<figure><img{kind} alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>'
