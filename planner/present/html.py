"""HTML for notebooks: tables, lists and sentences, escaped, and never read as mathematics.

An amount opens with the sign that formulas do. Nothing is coloured, for a notebook may be dark, and
every style is a cell's own, for a notebook that is not trusted drops style sheets.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from planner.present.table import Reading, counted
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from planner.present.table import Section, TableColumn

MOST_ROWS = 60
"""Rows of a table that are shown at most, as in pandas; the rest are counted."""
_SHORT = 32
"""Characters that stay on one line."""
_QUIET = "opacity:.75"
_NO_MATH = "tex2jax_ignore mathjax_ignore"
"""Classes of what MathJax leaves alone, in its second and in its later versions."""
_MATH = re.compile(r"[$\\]")


def text_html(text: str) -> str:
    """Return text that a page shows as it is.

    >>> text_html("<b>$5</b>")
    '&lt;b&gt;<span>$</span>5&lt;/b&gt;'
    """
    # A host may drop the classes that say so: signs that stand alone open no formula anyway.
    return _MATH.sub(r"<span>\g<0></span>", escape(visible(text)))


def to_html(sections: Iterable[Section], most: int | None = MOST_ROWS) -> str:
    """Return sections as a piece of HTML without scripts; long tables are cut and counted."""
    return "".join(
        (title_html(section.title) if section.title else "")
        + (_table(section, most) if section.columns or section.caption else "")
        + list_html((*section.notes, *section.commands))
        for section in sections
    )


def _table(section: Section, most: int | None) -> str:
    """Return a table that scrolls in itself where the page is too narrow."""
    section = section.filled()
    columns = section.columns
    head = "".join(_cell("th", Reading(c.heading, c.meaning), c, _heading) for c in columns)
    lines = [*section.readings(most)]

    def drawn(tag: str, line: tuple[Reading, ...]) -> str:
        cells = (_cell(tag, *pair, text_html) for pair in zip(line, columns, strict=True))
        return f"<tr>{''.join(cells)}</tr>"

    foot = "" if section.footer is None else f"<tfoot>{drawn('th', lines.pop())}</tfoot>"
    body = "".join(drawn("td", line) for line in lines)
    caption = section.caption
    if not caption and most is not None and len(section.rows) > most:
        caption = counted(len(section.rows), section.noun, most)
    below = (
        f'<caption style="caption-side:bottom;text-align:left;{_QUIET}">'
        f"{text_html(caption)}</caption>"
        if caption
        else ""
    )
    return (
        f'<div class="{_NO_MATH}" style="overflow-x:auto">'
        f'<table class="dataframe" style="margin-left:0">{below}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        f"{foot}</table></div>"
    )


def _cell(tag: str, cell: Reading, column: TableColumn, shown: Callable[[str], str]) -> str:
    style = f"text-align:{'right' if column.is_right else 'left'}"
    if tag != "th":
        style += ";white-space:nowrap" if len(cell.text) <= _SHORT else ";min-width:18em"
    full = f' title="{escape(visible(cell.full))}"' if cell.full else ""
    return f'<{tag} style="{style}"{full}>{shown(cell.text)}</{tag}>'


def _heading(name: str) -> str:
    """Return a heading that may be broken between its words."""
    return text_html(name).replace("_", "_<wbr>")


def title_html(text: str) -> str:
    """Return what a value is about, to stand above its tables."""
    return f'<div class="{_NO_MATH}"><strong>{text_html(text)}</strong></div>'


def list_html(lines: Iterable[str]) -> str:
    """Return sentences as a list; nothing where there are none."""
    items = "".join(f"<li>{paragraph_html(line)}</li>" for line in lines)
    return f'<ul class="{_NO_MATH}">{items}</ul>' if items else ""


def paragraph_html(text: str) -> str:
    """Return text with the lines and the indentation that it has."""
    lines = "\n".join(text_html(line) for line in text.split("\n"))
    return f'<div class="{_NO_MATH}" style="white-space:pre-wrap">{lines}</div>'
