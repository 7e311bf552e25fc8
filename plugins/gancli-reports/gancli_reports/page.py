"""One self-contained HTML page: text, tables and images, no script and nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from gancli.text import printable
from gancli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-size: .9rem; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
td { overflow-wrap: anywhere; } pre { overflow-x: auto; padding: .7rem; background: #8882; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } figcaption { font-size: .85rem; }
img { max-width: 100%; height: auto; } img.pixels { image-rendering: pixelated; width: 17rem; background: #fff; }
"""


def page(title: str, sections: Mapping[str, str]) -> bytes:
    """A page of sections: HTML by heading; empty ones are left out."""
    body = "".join(f"<h2>{escape(heading)}</h2>\n{content}\n" for heading, content in sections.items() if content)
    title = escape(printable(title))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="generator" content="gancli {__version__}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}</body></html>\n"
    ).encode()
