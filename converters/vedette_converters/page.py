"""Small pieces of a self-contained HTML page: no script, no network, pictures as data URIs. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from vedette_converters.charts import Chart

__all__ = ["chart", "facts", "folded", "page", "paragraph", "section", "table", "tiles"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --back: #ffffff;
  --raised: #f6f8fa; --accent: #2f6f4f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9da7b1; --line: #3d444d; --back: #0f1419; --raised: #181f26;
    --accent: #6cc299; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 2.5rem 1.25rem 4rem; background: var(--back);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -0.01em; line-height: 1.2; }
h1 + p { margin: 0.35rem 0 1.75rem; color: var(--soft); }
h2 { margin: 2.75rem 0 0.5rem; font-size: 1.2rem; border-top: 3px solid var(--accent);
  padding-top: 0.5rem; display: inline-block; }
h3 { margin: 1.5rem 0 0.5rem; font-size: 1rem; }
p { max-width: 46rem; margin: 0.4rem 0 0.9rem; }
.note, figcaption, th { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; }
th, td { padding: 0.45rem 0.9rem 0.45rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  white-space: pre-line; }
td:first-child { font-weight: 600; white-space: nowrap; }
img { max-width: 100%; height: auto; display: block; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem; }
figure { margin: 0; }
.tiles img { width: 100%; border-radius: 6px; }
figcaption { font-size: 0.8rem; line-height: 1.4; padding-top: 0.35rem; white-space: pre-line; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.3rem 1.5rem; margin: 0.5rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 0.9rem;
  overflow: auto; max-height: 26rem; font-size: 0.8rem; line-height: 1.45; }
summary { cursor: pointer; margin: 0.6rem 0; }
"""


def page(title: str, subtitle: str, sections: Iterable[str]) -> str:
    """Return a whole page.

    Args:
        title: plain text, and so is all other text here.
        subtitle: a line below it.
        sections: from `section`.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(subtitle)}</p>\n{''.join(sections)}</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """Return a part of the page with its heading."""
    return f"<section>\n<h2>{escape(title)}</h2>\n{''.join(parts)}</section>\n"


def paragraph(text: str, *, note: bool = False) -> str:
    """Return a paragraph; a note stands back."""
    opening = '<p class="note">' if note else "<p>"
    return f"{opening}{escape(text)}</p>\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table that scrolls where the window is narrow; line breaks in the texts are kept."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>\n" for row in rows)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table></div>\n"
    )


def chart(drawn: Chart, alt: str) -> str:
    """Return a chart; `alt` says in words what it shows."""
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_uri(drawn.dark, "png")}">'
        f'<img src="{_uri(drawn.light, "png")}" alt="{escape(alt)}"></picture>\n'
    )


def tiles(pictures: Iterable[tuple[bytes, str, str]]) -> str:
    """Return pictures side by side: JPEG, what stands below, and what it shows in words."""
    figures = (
        f'<figure><img src="{_uri(picture, "jpeg")}" alt="{escape(alt)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>\n"
        for picture, caption, alt in pictures
    )
    return f'<div class="tiles">\n{"".join(figures)}</div>\n'


def facts(entries: Mapping[str, str]) -> str:
    """Return names and what is known of each."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>\n" for name, text in entries.items())
    return f"<dl>\n{items}</dl>\n"


def folded(title: str, text: str) -> str:
    """Return preformatted text that opens on a click."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>\n"


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
