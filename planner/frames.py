"""Frames with declared columns.

A table that planner hands out or takes in has its columns declared once, with type, unit and what
null means; ``conform`` holds a caller's frame against the declaration and never changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from planner.errors import FrameError
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


def build(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """Return a frame with the declared columns, one row for each mapping."""
    data = {
        column.name: pd.Series([row[column.name] for row in rows], dtype=column.dtype)
        for column in columns
    }
    return pd.DataFrame(data)


def conform(frame: pd.DataFrame, columns: Sequence[Column], *, what: str) -> pd.DataFrame:
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
    result = pd.DataFrame(data).reset_index(drop=True)
    result.attrs = dict(frame.attrs)
    return result


def _as_declared(values: pd.Series[Any], dtype: str) -> pd.Series[Any]:
    """Return values in a declared type, where pandas alone would make text of anything."""
    if values.ndim != 1:
        raise ValueError("there are several columns of this name")
    known = [None if null else value for value, null in zip(values, values.isna(), strict=True)]
    if not all(value is None or isinstance(value, _KINDS[dtype]) for value in known):
        raise TypeError(dtype)
    return pd.Series(known, index=values.index, dtype=dtype)


def json_value(value: Any) -> Any:  # noqa: ANN401 -- a cell of a frame
    """Return a cell as a JSON value: amounts as plain text, tuples as lists."""
    if isinstance(value, Decimal):
        return plain(value)
    return list(value) if isinstance(value, tuple) else value


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain Python values, every kind of null as None."""
    columns = {
        name: [
            None if value is pd.NA or value is pd.NaT or value != value else value  # noqa: PLR0124 -- NaN
            for value in frame[name].astype(object)
        ]
        for name in frame.columns
    }
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
