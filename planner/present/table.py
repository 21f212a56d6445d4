"""Tables as text: Markdown, CSV and JSON, fit for whatever reads them.

What the marketplace or a demand file says never reaches a spreadsheet or a Markdown page as
anything but text.
"""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.text import csv_cell, visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import pandas as pd


def frame_json(frame: pd.DataFrame) -> str:
    """Return a frame as a JSON array, one object for each row."""
    from planner.schema import json_value, records  # noqa: PLC0415 -- pandas, only for a frame

    rows = [{key: json_value(cell) for key, cell in row.items()} for row in records(frame)]
    return json.dumps(rows, indent=2)


def frame_csv(frame: pd.DataFrame) -> str:
    """Return a frame as CSV, texts neutralised."""
    from planner.schema import records  # noqa: PLC0415 -- pandas, only for a frame

    return csv_text([*frame.columns], (row.values() for row in records(frame)))


def csv_text(headings: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as CSV, texts neutralised.

    Parameters
    ----------
    headings : sequence of str
        One for each column.
    rows : iterable of iterable
        Cells: text, a Decimal or another number (as it is, its sign too), a boolean, None
        (nothing), a list or tuple (parts with a space between), or a mapping (a JSON object).
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in headings])
    for row in rows:
        writer.writerow([_csv_value(cell) for cell in row])
    return out.getvalue()


def _csv_value(value: Any) -> str:  # noqa: ANN401 -- a cell
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


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str]) -> str:
    """Return a Markdown table, cells escaped.

    Parameters
    ----------
    headings : sequence of str
        One for each column.
    rows : iterable of sequence of str
        Cells as texts.
    right : collection of str
        Headings of columns that are aligned to the right.
    """
    lines = [
        [markdown_text(name) for name in headings],
        ["---:" if name in right else "---" for name in headings],
    ]
    lines += [[markdown_text(cell) for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown_text(text: str) -> str:
    r"""Return text that Markdown shows as it is.

    >>> markdown_text("a|b")
    'a\\|b'
    """
    cell = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\`*_[]|~!":
        cell = cell.replace(character, f"\\{character}")
    return _quiet(cell)


def html_text(text: str) -> str:
    """Return text for a piece of HTML within Markdown, where its own signs mean nothing.

    >>> html_text("a_b #1")
    'a_b &#35;1'
    """
    return _quiet(visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _quiet(text: str) -> str:
    """Return text in which nothing becomes a link, or calls a person, where it is rendered."""
    for written, shown in (
        ("#", "&#35;"),
        ("@", "&#64;"),
        ("://", "&#58;//"),
        ("www.", "www&#46;"),
    ):
        text = text.replace(written, shown)
    return text
