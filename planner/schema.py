"""Frames with declared columns.

A table that planner hands out or takes in has its columns declared once, with type, unit and what
null means; ``conform`` holds a caller's frame against the declaration and never changes it. What
is handed out is a `Table`: a DataFrame that a notebook shows well.

Inside planner amounts are exact decimals. Two doors turn them into what pandas computes with and
back: `handed_out` gives floats, ``conform`` takes a float as the shortest decimal that reads so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import pandas as pd

from planner.errors import FrameError, InputError
from planner.present.table import UNKNOWN, Section, TableColumn, View, counted, getter
from planner.present.writers import to_html
from planner.units import HOURS_PER_MONTH, plain, usd_month

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from planner.present.table import Kind


@dataclass(frozen=True)
class Column:
    """One column: its name (with the unit), its pandas type, and what it means."""

    name: str
    dtype: str
    meaning: str

    @property
    def stored(self) -> str | pd.StringDtype[Any]:
        """Return the pandas type that it has inside planner: a name or an extension type."""
        if self.dtype == TEXT:
            return _STORED_TEXT
        return EXACT if self.dtype == AMOUNT else self.dtype


TEXT, WHOLE, YES_NO, EXACT = "string", "Int64", "boolean", "object"
"""Nullable text, whole numbers, booleans; and objects: tuples, mappings."""
_STORED_TEXT = pd.StringDtype("python")
"""With pyarrow installed, pandas' own choice refuses half characters, which an API can send."""
AMOUNT = "amount"
"""Exact Decimals, which `handed_out` gives as float64."""
_KINDS: dict[str, tuple[type, ...]] = {
    TEXT: (str,),
    WHOLE: (int, float, np.integer, np.floating),
    YES_NO: (int, float, np.bool_, np.integer, np.floating),
    EXACT: (tuple, list),
    AMOUNT: (Decimal, int, float, np.integer, np.floating),
}


class Table(pd.DataFrame):
    """A DataFrame that a notebook shows well; in every other way as any DataFrame.

    Filtering, sorting and selecting give a `Table` again. A notebook shows it with text from
    outside made visible, amounts shortened (in full when pointed at), tuples as lists and nulls as
    a dash; headings say what their columns mean. The values themselves stay as they are, and so
    does ``repr``. Of pandas' options it heeds ``display.max_rows`` and
    ``display.notebook_repr_html``.
    """

    _metadata: ClassVar[list[str]] = ["_declared", "_exact"]
    _declared: tuple[Column, ...] = ()
    _exact: Mapping[float, Decimal] | None = None
    """Amounts of more digits than a float has, by the float that stands for each."""

    @classmethod
    def of(
        cls,
        data: Mapping[str, Any] | pd.DataFrame,
        columns: Iterable[Column],
        exact: Mapping[float, Decimal] | None = None,
        index: pd.Index[Any] | None = None,
    ) -> Table:
        """Return arrays, or a frame, as a frame whose headings say what the columns mean."""
        table = cls(data, index=index)
        table._declared, table._exact = tuple(columns), exact
        if isinstance(data, pd.DataFrame):
            table.attrs = dict(data.attrs)
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
    kinds = [_kind(name, values) for name, values in columns]
    cells = [
        [_money(value) for value in values] if kind.startswith("usd") else values
        for kind, (_, values) in zip(kinds, columns, strict=True)
    ]
    return Section(
        "rows",
        columns=tuple(
            TableColumn(name, name, kind, UNKNOWN, meanings.get(name, ""))
            for kind, (name, _) in zip(kinds, columns, strict=True)
        ),
        rows=tuple(zip(*cells, strict=True)),
    )


def _money(value: Any) -> Any:  # noqa: ANN401 -- a cell
    """Return a float as the amount that it stands for, to be written as amounts are."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def frame_view(frame: pd.DataFrame, sections: Callable[[], Iterable[Section]]) -> View:
    """Return a frame as what a command answers: its rows as JSON and CSV, and what people read."""
    return View(sections, lambda: frame_document(frame), lambda: frame_section(frame))


def frame_document(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame as JSON values, one object for each row."""
    return [*frame_rows(frame)]


_ROWS = 4096


def frame_rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of a frame as JSON values, each made when it is asked for."""
    names = [*frame.columns]
    for start in range(0, len(frame), _ROWS):
        part = frame.iloc[start : start + _ROWS]
        columns = [[*map(json_value, _plain(part[name]))] for name in names]
        yield from (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


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
    listed, nulls = values.tolist(), pd.isna(values.array).tolist()
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


def build(rows: Iterable[Any], columns: Sequence[Column]) -> Table:
    """Return a frame with the declared columns, one row for each mapping or object."""
    taken = [getter(row) for row in rows]
    return from_columns({each.name: [get(each.name) for get in taken] for each in columns}, columns)


def from_columns(data: Mapping[str, Any], columns: Sequence[Column]) -> Table:
    """Return a frame with the declared columns, from the values of each."""
    made = {each.name: pd.Series(data[each.name], dtype=each.stored).array for each in columns}
    return Table.of(made, columns)


def joined(frames: Iterable[pd.DataFrame], columns: Sequence[Column]) -> Table:
    """Return frames with the declared columns below each other."""
    return Table.of(pd.concat([build([], columns), *frames], ignore_index=True), columns)


def with_columns(
    frame: pd.DataFrame, more: Mapping[Column, Iterable[Any]], after: str | None = None
) -> Table:
    """Return a frame with declared columns more: at its end, or after another column."""
    result = frame.copy()
    at = len(result.columns) if after is None else [*result.columns].index(after) + 1
    for place, (column, values) in enumerate(more.items(), at):
        stored = pd.Series([*values], index=frame.index, dtype=column.stored)
        result.insert(place, column.name, stored)
    return Table.of(result, (*getattr(frame, "_declared", ()), *more))


def handed_out(
    frame: pd.DataFrame, *, exact: bool, hours_per_month: int = HOURS_PER_MONTH
) -> Table:
    """Return a frame as a caller gets it: amounts as floats, months beside hours.

    Where there is ``usd_hr`` and no ``usd_month``, that follows it. The exact values of amounts
    that have more digits than a float stay with the frame: taken in again, they are what they were.

    Parameters
    ----------
    frame : DataFrame
        Amounts are Decimals, in the columns declared so.
    hours_per_month : int
        Hours of ``usd_month``.
    """
    frame = _with_month(frame, hours_per_month)
    declared = {column.name: column for column in getattr(frame, "_declared", ())}
    data, amounts = dict[Any, Any](), list[Decimal]()
    for name, values in frame.items():
        dtype, made = declared[name].dtype if name in declared else "", values
        if dtype == AMOUNT:
            usd = _amounts(_plain(made), frame)
            amounts += (each for each in usd if each is not None)
            floats = usd if exact else [None if each is None else float(each) for each in usd]
            made = pd.Series(floats, dtype=EXACT if exact else "float64")
        elif dtype == EXACT:
            made = pd.Series([*map(_hashable, _plain(made))], dtype=EXACT)
        data[name] = made.array
    table = Table.of(data, declared.values(), _Longer(amounts), frame.index)
    table.attrs = dict(frame.attrs)
    return table


class _Longer(Mapping[float, Decimal]):
    """The amounts that have more digits than a float, by the float that stands for each.

    They are looked for when a frame is taken in again, which few are.
    """

    def __init__(self, amounts: Sequence[Decimal]) -> None:
        self._amounts = amounts

    @cached_property
    def _known(self) -> dict[float, Decimal]:
        known = {float(amount): amount for amount in self._amounts}
        return {usd: amount for usd, amount in known.items() if _amount(usd) != amount}

    def __getitem__(self, usd: float) -> Decimal:
        return self._known[usd]

    def __iter__(self) -> Iterator[float]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _hashable(value: Any) -> Any:  # noqa: ANN401 -- a cell
    """Return a cell that pandas can group by: a tuple for a list, `Tags` for a mapping."""
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    return Tags(value) if isinstance(value, dict) else value


def _amounts(values: Iterable[Any], frame: pd.DataFrame) -> list[Decimal | None]:
    """Return values of a frame as exact amounts, see `_amount`."""
    exact: Mapping[float, Decimal] | None = getattr(frame, "_exact", None)
    known = _NONE if exact is None else exact
    return [
        value if value is None or type(value) is Decimal else _amount(value, known)
        for value in values
    ]


def _with_month(frame: pd.DataFrame, hours_per_month: int) -> pd.DataFrame:
    """Return a frame with a month's cost after an hourly cost that has none."""
    if "usd_hr" not in frame or "usd_month" in frame:
        return frame
    amounts = [
        None if usd is None else usd_month(usd, hours_per_month)
        for usd in _amounts(_plain(frame["usd_hr"]), frame)
    ]
    month = Column("usd_month", AMOUNT, f"usd_hr in a month of {hours_per_month} hours")
    return with_columns(frame, {month: amounts}, after="usd_hr")


class Tags(dict[str, str]):
    """Tags that pandas can group by."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def as_pandas(frame: Any) -> pd.DataFrame:  # noqa: ANN401 -- a frame of any library
    """Return a polars frame as a DataFrame; a DataFrame is returned as it is.

    Raises
    ------
    InputError
        When it is neither.
    """
    if isinstance(frame, pd.DataFrame):
        return frame
    if not (hasattr(frame, "columns") and hasattr(frame, "iter_columns")):
        raise InputError(
            f"a frame is needed, not {type(frame).__name__}",
            hint='read one, such as planner.read_offers("shipped:disk-offers")',
        )
    columns = {column.name: column.to_list() for column in frame.iter_columns()}
    return pd.DataFrame({name: pd.Series(each, dtype=EXACT) for name, each in columns.items()})


def conform(frame: pd.DataFrame, columns: Sequence[Column], *, what: str) -> Table:
    """Return a copy with the declared columns in their types; other columns are left out.

    Amounts may be Decimals, whole numbers or floats.

    Raises
    ------
    FrameError
        When a column is missing or holds values of another type; ``failures`` names each.
    """
    frame, failures = as_pandas(frame), []
    data: dict[str, Any] = {}
    for column in columns:
        if column.name not in frame:
            failures.append(f"column {column.name} is missing")
            continue
        try:
            data[column.name] = _as_declared(frame, column).array
        except (TypeError, ValueError, OverflowError):
            expected = {EXACT: "of tuples", AMOUNT: "of numbers"}.get(column.dtype, column.dtype)
            failures.append(f"column {column.name} is not {expected}")
    if failures:
        raise FrameError(what, failures)
    result = Table.of(data, columns)
    result.attrs = dict(frame.attrs)
    return result


def _as_declared(frame: pd.DataFrame, column: Column) -> pd.Series[Any]:
    """Return a column in its declared type, where pandas alone would make text of anything."""
    values, dtype, stored = frame[column.name], column.dtype, column.stored
    if values.ndim != 1:
        raise ValueError("there are several columns of this name")
    if stored != EXACT and values.dtype == pd.api.types.pandas_dtype(stored):
        return values
    if values.dtype == np.float32:
        values = values.astype(str).astype("float64")  # 0.1 of half the digits is 0.1 too
    known = _plain(values)
    if not all(value is None or isinstance(value, _KINDS[dtype]) for value in known):
        raise TypeError(dtype)
    if dtype == AMOUNT:
        known = _amounts(known, frame)
    elif dtype == EXACT:
        known = [tuple(value) if isinstance(value, list) else value for value in known]
    return pd.Series(known, index=values.index, dtype=stored)


_NONE: Mapping[float, Decimal] = {}


def _amount(value: Any, exact: Mapping[float, Decimal] = _NONE) -> Decimal:  # noqa: ANN401 -- a number
    """Return a number as the amount that it stands for: 0.1 is a tenth."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool):
        raise TypeError("a yes or no is no amount")
    number = value.item() if isinstance(value, np.generic) else value
    return exact.get(number) or Decimal(repr(number))


def exactly(frame: pd.DataFrame, columns: Sequence[Column], *, what: str) -> pd.DataFrame:
    """Return a frame as it is where its amounts are exact, else what ``conform`` makes of it."""
    amounts = [column.name for column in columns if column.dtype == AMOUNT]
    is_exact = isinstance(frame, pd.DataFrame) and all(
        name in frame and frame[name].dtype == EXACT for name in amounts
    )
    return frame if is_exact else conform(frame, columns, what=what)


def conformed(frame: pd.DataFrame, declared: Table) -> Table:
    """Return a caller's frame with what ``conform`` made of it; its other columns are kept."""
    columns = {column.name: column for column in getattr(frame, "_declared", ())}
    columns |= {column.name: column for column in declared._declared}  # noqa: SLF001 -- a Table's
    kept = frame.assign(**declared.set_axis(frame.index))
    return Table.of(kept, columns.values(), getattr(frame, "_exact", None))


def json_value(value: Any) -> Any:  # noqa: ANN401 -- a cell of a frame
    """Return a cell as a JSON value: amounts as plain text, tuples as lists."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, dict):
        return json_values(value)
    return [json_value(each) for each in value] if isinstance(value, tuple) else value


def json_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as JSON values, see `json_value`."""
    return {name: json_value(value) for name, value in row.items()}


def json_rows(rows: Iterable[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return these fields of mappings or objects as JSON values, see `json_value`."""
    return [{name: json_value(get(name)) for name in names} for get in map(getter, rows)]


def stored(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], names: Sequence[str]
) -> Table:
    """Return rows that `json_rows` wrote as a frame, unchecked, numbered as they stand there.

    Parameters
    ----------
    names : sequence of str
        The fields that were written; one that an earlier version did not write is null.

    Raises
    ------
    KeyError, TypeError, ValueError, decimal.InvalidOperation
        When a row is not one of those.
    """
    written = [column for column in columns if column.name in names]
    null = dict.fromkeys(column.name for column in columns)
    read = [
        {**null, "row": place, **{column.name: _as_stored(row, column) for column in written}}
        for place, row in enumerate(rows, 1)
    ]
    return build(read, columns)


def _as_stored(row: Mapping[str, Any], column: Column) -> Any:  # noqa: ANN401 -- a cell
    """Return the cell that `json_value` wrote."""
    if column.dtype not in {AMOUNT, EXACT}:
        return row.get(column.name)
    value = row[column.name]
    if column.dtype == AMOUNT:
        return stored_amount(value)
    return None if value is None else tuple(value)


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


def require(frame: Table, what: str, sound: Mapping[str, pd.Series[Any]], noun: str) -> Table:
    """Return a conformed frame whose columns hold what they should, row by row.

    Raises
    ------
    FrameError
        When a column does not; ``failures`` names each.
    """
    failures = [
        f"column {name} has a value that no {noun} has"
        for name, holds in sound.items()
        if not holds.fillna(value=False).all()
    ]
    if failures:
        raise FrameError(what, failures)
    return frame


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain Python values, every kind of null as None."""
    names, null = list(frame.columns), cast("Any", None)
    rows = frame.to_numpy(dtype=object, na_value=null).tolist()
    return [dict(zip(names, row, strict=True)) for row in rows]
