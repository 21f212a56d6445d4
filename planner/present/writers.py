"""The writers of tables: HTML for notebooks, Markdown for pull requests, CSV and JSON.

Text is shown as it is: never as markup, mathematics (an amount opens with the sign that formulas
do) or a formula of a spreadsheet. Nothing in HTML is coloured, for a notebook may be dark, and a
style is a cell's own, for a notebook that is not trusted drops style sheets.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from planner.present.table import Cell, Reading, counted
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from planner.present.table import Section, TableColumn

MOST_ROWS = 60
"""Rows of a table that are shown at most, as in pandas; the rest are counted."""
_SHORT = 32
"""Characters that stay on one line."""
_QUIET = "opacity:.75"
_LIST = "list-style:disc;margin:.5em 0;padding-left:1.5em"
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
    return f'<ul class="{_NO_MATH}" style="{_LIST}">{items}</ul>' if items else ""


def paragraph_html(text: str) -> str:
    """Return text with the lines and the indentation that it has."""
    lines = "\n".join(text_html(line) for line in text.split("\n"))
    return f'<div class="{_NO_MATH}" style="white-space:pre-wrap">{lines}</div>'


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(section: Section) -> str:
    """Return a section as CSV: exact values under the columns' names, texts neutralised.

    A null is empty, a list has a space between its parts, and a mapping is a JSON object.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_cell(column.name) for column in section.columns])
    for row in section.rows:
        writer.writerow([_csv_value(cell) for cell in row])
    return out.getvalue()


def csv_cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula.

    >>> csv_cell("=1+1")
    "'=1+1"
    """
    return f"'{visible(text)}" if text.startswith(_FORMULA) else visible(text)


def _csv_value(cell: Any) -> str:  # noqa: ANN401 -- a cell
    value = cell.value if isinstance(cell, Cell) else cell
    match value:
        case None:
            text = ""
        case bool():
            text = str(value).lower()
        case Decimal():
            return plain(value)
        case int() | float():
            return str(value)
        case list() | tuple():
            text = " ".join(str(part) for part in value)
        case dict():
            text = json.dumps(value, separators=(",", ":")) if value else ""
        case _:
            text = str(value)
    return csv_cell(text)


def to_json(value: Any) -> str:  # noqa: ANN401 -- JSON values
    """Return JSON values as text; an amount is written as exact text, a section as its rows."""
    return "".join(json_blocks(value))


def json_blocks(value: Any, newline: str = "\n") -> Iterator[str]:  # noqa: ANN401 -- JSON values
    """Yield the text of JSON values in blocks: a list of many is never held as text.

    An iterator stands for a list of records, as in a plan file: each has a line, and is made when
    it is written.
    """
    deeper = f"{newline}  "
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for place, (key, part) in enumerate(value.items()):
            yield f"{',' if place else '{'}{deeper}{json.dumps(key)}: "
            yield from json_blocks(part, deeper)
        yield f"{newline}}}" if value else "{}"
    elif isinstance(value, Iterable) and not isinstance(value, str | dict):
        opening, records = "[", iter(value)
        while batch := [*islice(records, _LINES)]:
            if value is records:
                texts = [json.dumps(each, default=_json_value) for each in batch]
            else:
                texts = [_indented(each, deeper) for each in batch]
            yield f"{opening}{deeper}" + f",{deeper}".join(texts)
            opening = ","
        yield "[]" if opening == "[" else f"{newline}]"
    else:
        yield _indented(value, newline)


def _indented(value: Any, newline: str) -> str:  # noqa: ANN401 -- JSON values
    return json.dumps(value, indent=2, default=_json_value).replace("\n", newline)


_LINES = 1000
"""Records that are written together."""


def _json_value(value: Any) -> str:  # noqa: ANN401 -- what JSON does not know
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(type(value).__name__)


def to_markdown(sections: Iterable[Section]) -> str:
    """Return sections as Markdown: title, table, notes and commands of each."""
    return "\n".join(filter(None, map(_section, sections)))


def _section(section: Section) -> str:
    section = section.filled()
    parts = []
    if section.title and not section.is_folded:
        parts.append(f"**{markdown_text(section.title)}**\n")
    if section.is_table:
        lines = [
            [markdown_text(column.heading) for column in section.columns],
            ["---:" if column.is_right else "---" for column in section.columns],
        ]
        lines += [
            [markdown_text(cell.text) for cell in row] for row in section.readings(section.most)
        ]
        parts.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    if notes := (*section.rest, *section.notes):
        parts.append("".join(f"- {markdown_text(note)}\n" for note in notes))
    parts += [f"```\n{visible(command)}\n```\n" for command in section.commands]
    text = "\n".join(parts)
    if not section.is_folded:
        return text
    # Within an element of HTML, Markdown's own signs mean nothing.
    title = _inert(escape(visible(section.title), quote=False))
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"


def markdown_text(text: str) -> str:
    r"""Return text that Markdown shows as it is.

    >>> markdown_text("a|b")
    'a\\|b'
    """
    cell = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\`*_[]|~!":
        cell = cell.replace(character, f"\\{character}")
    return _inert(cell)


def _inert(text: str) -> str:
    """Return text in which nothing becomes a link, or calls a person, where it is rendered."""
    for written, shown in (
        ("#", "&#35;"),
        ("@", "&#64;"),
        ("://", "&#58;//"),
        ("www.", "www&#46;"),
    ):
        text = text.replace(written, shown)
    return text
