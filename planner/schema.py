"""Frames with declared columns.

A table that planner hands out or takes in has its columns declared once, with type, unit and what
null means; ``conform`` holds a caller's frame against the declaration and never changes it. What
is handed out is a `Table`: a DataFrame that a notebook shows well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from planner.errors import FrameError
from planner.present.html import to_html
from planner.present.table import UNKNOWN, Section, TableColumn, counted
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from planner.present.table import Kind


@dataclass(frozen=True)
class Column:
    """One column: its name (with the unit), its pandas type, and what it means."""

    name: str
    dtype: str
    meaning: str


TEXT, WHOLE, YES_NO, EXACT = "string", "Int64", "boolean", "object"
"""Nullable text, whole numbers, booleans; and objects: Decimal amounts or tuples."""
_KINDS: dict[str, tuple[type, ...]] = {
    TEXT: (str,),
    WHOLE: (int, float, np.integer, np.floating),
    YES_NO: (int, float, np.bool_, np.integer, np.floating),
    EXACT: (Decimal, tuple),
}


class Table(pd.DataFrame):
    """A DataFrame that a notebook shows well; in every other way as any DataFrame.

    Filtering, sorting and selecting give a `Table` again. A notebook shows it with text from
    outside made visible, amounts shortened (in full when pointed at), tuples as lists and nulls as
    a dash; headings say what their columns mean. The values themselves stay as they are, and so
    does ``repr``. Of pandas' options it heeds ``display.max_rows`` and
    ``display.notebook_repr_html``.
    """

    _metadata: ClassVar[list[str]] = ["_declared"]
    _declared: tuple[Column, ...] = ()

    @classmethod
    def of(cls, data: Mapping[str, pd.Series[Any]], columns: Sequence[Column]) -> Table:
        """Return data as a frame whose headings say what the columns mean."""
        table = cls(data)
        table._declared = tuple(columns)
        return table

    @property
    def _constructor(self) -> type[Table]:
        return Table

    def _repr_html_(self) -> str | None:
        if not pd.get_option("display.notebook_repr_html"):
            return None
        return frame_html(self)


_MOST_COLUMNS = 60
"""Columns that are shown at most, the rest are counted: a pivot may have thousands."""


def frame_html(frame: pd.DataFrame) -> str:
    """Return a frame as a notebook shows a `Table`, at most ``display.max_rows`` rows of it."""
    shown = frame.iloc[: pd.get_option("display.max_rows") or None, :_MOST_COLUMNS]
    return to_html([replace(frame_section(shown), caption=_caption(frame, shown))], None)


def frame_section(frame: pd.DataFrame) -> Section:
    """Return a frame as a section: exact values under the frame's own column names."""
    columns = _read(frame)
    declared: tuple[Column, ...] = getattr(frame, "_declared", ())
    meanings = {column.name: column.meaning for column in declared}
    return Section(
        "rows",
        columns=tuple(
            TableColumn(name, name, _kind(name, values), UNKNOWN, meanings.get(name, ""))
            for name, values in columns
        ),
        rows=tuple(zip(*(values for _, values in columns), strict=True)),
    )


def frame_document(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame as JSON values, one object for each row."""
    return [{key: json_value(cell) for key, cell in row.items()} for row in records(frame)]


def _kind(name: str, values: Sequence[Any]) -> Kind:
    """Return what a column holds, by the unit in its name."""
    if not _is_numeric(values):
        return "text"
    if "usd" not in name:
        return "number"
    return "usd_gb_hr" if "usd_gb" in name else "usd_month" if "month" in name else "usd_hr"


def _read(frame: pd.DataFrame) -> list[tuple[str, list[Any]]]:
    """Return names and values of the columns, after those of an index that is not just 0, 1, 2."""
    index = frame.index
    is_counted = index.name is None and index.equals(pd.RangeIndex(len(index)))
    levels = [] if is_counted else [index.get_level_values(n) for n in range(index.nlevels)]
    read = [("" if level.name is None else level.name, level.to_series()) for level in levels]
    read += [(name, frame.iloc[:, at]) for at, name in enumerate(frame.columns)]
    return [(_label(name), _plain(values)) for name, values in read]


def _label(name: Any) -> str:  # noqa: ANN401 -- whatever a caller's column is called
    return ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _plain(values: pd.Series[Any]) -> list[Any]:
    """Return values as Python has them, every kind of null as None."""
    listed, nulls = values.tolist(), values.isna().tolist()
    return [None if null else value for value, null in zip(listed, nulls, strict=True)]


def _is_numeric(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, Decimal | Real) and not isinstance(value, bool) for value in known
    )


def _caption(frame: pd.DataFrame, shown: pd.DataFrame) -> str:
    """Return how much of a frame there is, and where it is from as far as it says so."""
    parts = [counted(len(frame), "row", len(shown))]
    if len(frame.columns) > len(shown.columns):
        parts.append(counted(len(frame.columns), "column", len(shown.columns)))
    for label, name in (("from", "source"), ("fetched", "fetched_at")):
        if isinstance(value := frame.attrs.get(name), str):
            parts.append(f"{label} {value}")
    return "; ".join(parts)


def build(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Table:
    """Return a frame with the declared columns, one row for each mapping."""
    data = {
        column.name: pd.Series([row[column.name] for row in rows], dtype=column.dtype)
        for column in columns
    }
    return Table.of(data, columns)


def conform(frame: pd.DataFrame, columns: Sequence[Column], *, what: str) -> Table:
    """Return a copy with the declared columns in their types; other columns are left out.

    Raises
    ------
    FrameError
        When a column is missing or holds values of another type; ``failures`` names each.
    """
    failures = []
    data: dict[str, pd.Series[Any]] = {}
    for column in columns:
        if column.name not in frame:
            failures.append(f"column {column.name} is missing")
            continue
        try:
            data[column.name] = _as_declared(frame[column.name], column.dtype)
        except (TypeError, ValueError, OverflowError):
            expected = "exact (Decimal or tuple)" if column.dtype == EXACT else column.dtype
            failures.append(f"column {column.name} is not {expected}")
    if failures:
        raise FrameError(what, failures)
    result = Table.of(data, columns).reset_index(drop=True)
    result.attrs = dict(frame.attrs)
    return result


def _as_declared(values: pd.Series[Any], dtype: str) -> pd.Series[Any]:
    """Return values in a declared type, where pandas alone would make text of anything."""
    if values.ndim != 1:
        raise ValueError("there are several columns of this name")
    if dtype != EXACT and values.dtype == pd.api.types.pandas_dtype(dtype):
        return values
    known = _plain(values)
    if not all(value is None or isinstance(value, _KINDS[dtype]) for value in known):
        raise TypeError(dtype)
    return pd.Series(known, index=values.index, dtype=dtype)


def json_value(value: Any) -> Any:  # noqa: ANN401 -- a cell of a frame
    """Return a cell as a JSON value: amounts as plain text, tuples as lists."""
    if isinstance(value, Decimal):
        return plain(value)
    return list(value) if isinstance(value, tuple) else value


def json_rows(rows: Iterable[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return these fields of rows as JSON values, see `json_value`."""
    return [{name: json_value(row[name]) for name in names} for row in rows]


def stored_amount(text: Any) -> Decimal | None:  # noqa: ANN401 -- any JSON value
    """Return an amount that `json_value` wrote, None where there is none.

    Raises
    ------
    TypeError, ValueError, decimal.InvalidOperation
        When it is no amount.
    """
    amount = None if text is None else Decimal(text)
    if amount is not None and not amount.is_finite():
        raise ValueError("not an amount")
    return amount


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain Python values, every kind of null as None."""
    names = list(frame.columns)
    columns = [_plain(frame[name]) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
