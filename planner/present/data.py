"""CSV and JSON: exact values, and no text that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.present.table import Cell
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from planner.present.table import Section

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
    return json.dumps(value, indent=2, default=_json_value)


def _json_value(value: Any) -> str:  # noqa: ANN401 -- what JSON does not know
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(type(value).__name__)
