"""Tables as values: cells with meaning, which every format writes in its own way.

A view is a sequence of sections. A cell holds the exact value; what a person reads of it follows
from the kind of its column, and is worked out here alone. Texts stay as they came: each writer
(`terminal`, `markdown`, `html`, `data`) makes them safe for what it writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Context, Decimal
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from planner.units import money, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Kind = Literal[
    "text",
    "id",
    "action",
    "status",
    "usd",
    "usd_hr",
    "usd_month",
    "usd_gb_hr",
    "difference",
    "size_gb",
    "count",
    "percent",
    "days",
    "hours",
    "date",
    "number",
]
"""What a column holds: texts and ids; USD, in an hour, a month, or per GB and hour, and as a signed
difference; GB; and other numbers."""
_NUMERIC = frozenset(
    {
        *("usd", "usd_hr", "usd_month", "usd_gb_hr", "difference"),
        *("size_gb", "count", "percent", "days", "hours", "number"),
    }
)
_PLACES = {
    "usd": 2,
    "usd_hr": 4,
    "usd_month": 2,
    "difference": 2,
    "percent": 1,
    "days": 1,
    "hours": 1,
}
"""Decimal places that a person reads."""
MANY = 60
"""Rows that people read one by one; of a longer table they are shown the first."""
FIRST = 20
_PRICE_PLACES = 8
"""Decimal places of a price per GB that a person reads; the documented ones have up to twenty."""
_DIGITS = 60
"""Digits beyond which an amount is shown as Python writes it."""
SHORT_ID = 8
"""Characters of an id that tables show, more where two begin alike."""
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
UNKNOWN = "\N{EN DASH}"
"""What a person reads for null, where a column has no word of its own."""


@dataclass(frozen=True)
class TableColumn:
    """One column of a section.

    Attributes
    ----------
    name : str
        Its key in CSV and JSON, with the unit.
    kind : Kind
        What its cells hold, which says how they are aligned and rounded.
    null : str
        What a person reads for null.
    meaning : str
        A sentence for whoever points at the heading.
    """

    name: str
    heading: str
    kind: Kind = "text"
    null: str = ""
    meaning: str = ""

    @property
    def is_right(self) -> bool:
        """Return whether it is aligned to the right."""
        return self.kind in _NUMERIC


class Cell(NamedTuple):
    """A value for which a person reads something else than its column's kind says."""

    value: Any
    text: str


BLANK = Cell(None, "")
"""A cell with nothing to read, such as that of a total which adds nothing up."""


class Reading(NamedTuple):
    """What a person reads of a cell; ``full`` is the exact value where the text is shortened."""

    text: str
    full: str = ""


@dataclass(frozen=True)
class Section:
    """A table with its title and what is said below it; without columns, paragraphs alone.

    Attributes
    ----------
    name : str
        What it is called in options and links: lower case, hyphens.
    title : str
        What a person reads above it; empty where the table speaks for itself.
    rows : tuple of tuple
        Cells: exact values, or `Cell`.
    commands : tuple of str
        Commands to copy, each on a line of its own.
    expendable : tuple of str
        Names of columns that a narrow terminal can do without, the first to go first.
    caption : str
        What the table is, where it stands in a page.
    noun : str
        What a row is, where a long table is cut and counted.
    first : int | None
        How many rows people are shown where there are more than ``MANY``, most important first.
    is_folded : bool
        Whether a page shows the title alone until a reader opens it.
    """

    name: str
    title: str = ""
    columns: tuple[TableColumn, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    footer: tuple[Any, ...] | None = None
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    expendable: tuple[str, ...] = ()
    caption: str = ""
    noun: str = "row"
    first: int | None = None
    is_folded: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        title: str,
        columns: Iterable[TableColumn],
        rows: Iterable[Any],
        more: Mapping[str, Any] | None = None,
        footer: Mapping[str, Any] | None = None,
        **about: Any,  # noqa: ANN401 -- the other attributes
    ) -> Section:
        """Return a table of rows that have a cell for each column under the column's name.

        Parameters
        ----------
        rows : iterable
            Mappings, or objects with attributes.
        more, footer : mapping | None
            A last row, for all that are not shown, and the total; what they lack stays empty.
        """
        columns = tuple(columns)
        names = [column.name for column in columns]
        cells = [tuple(map(getter(row), names)) for row in rows]
        last, total = (
            None if sums is None else tuple(sums.get(name, BLANK) for name in names)
            for sums in (more, footer)
        )
        cells += [] if last is None else [last]
        return cls(name, title, columns, tuple(cells), total, **about)

    @property
    def most(self) -> int | None:
        """Return how many rows people are shown; None: all."""
        return self.first if len(self.rows) > MANY else None

    @property
    def rest(self) -> tuple[str, ...]:
        """Return a sentence about the rows that people are not shown."""
        left = 0 if self.most is None else len(self.rows) - self.most
        return (f"{left:,} more {self.noun}s; -o csv lists all of them.",) if left else ()

    def filled(self) -> Section:
        """Return the same without columns that have nothing to read, for people."""
        lines = [*self.readings(self.most)]
        empty = [
            lines and not any(line[at].text for line in lines) for at in range(len(self.columns))
        ]
        if not any(empty):
            return self

        def kept(row: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(cell for cell, gone in zip(row, empty, strict=True) if not gone)

        footer = None if self.footer is None else kept(self.footer)
        rows = tuple(map(kept, self.rows))
        return replace(self, columns=kept(self.columns), rows=rows, footer=footer)

    @property
    def is_table(self) -> bool:
        """Return whether people are shown a table: not where a note says why it has no rows."""
        return bool(self.columns) and bool(self.rows or not self.notes)

    def readings(self, most: int | None = None) -> Iterator[tuple[Reading, ...]]:
        """Yield what a person reads of each row, and of the footer last; ``most`` rows at most."""
        lengths = [_id_length(self, at) for at in range(len(self.columns))]
        for row in (*self.rows[:most], *(() if self.footer is None else (self.footer,))):
            yield tuple(
                _reading(cell, column, length)
                for cell, column, length in zip(row, self.columns, lengths, strict=True)
            )


def getter(row: Any) -> Callable[[str], Any]:  # noqa: ANN401 -- a mapping or an object
    """Return what gives the cells of a row by name: the values of a mapping, or attributes."""
    return row.__getitem__ if isinstance(row, Mapping) else partial(getattr, row)


def _id_length(section: Section, at: int) -> int:
    """Return how many characters tell the ids of a column apart, at least eight."""
    if section.columns[at].kind != "id":
        return 0
    cells = (row[at] for row in section.rows)
    ids = {
        text
        for cell in cells
        for value in (cell.value if isinstance(cell, Cell) else cell,)
        for text in (value if isinstance(value, (tuple, list)) else (value,))
        if isinstance(text, str)
    }
    longest = max(map(len, ids), default=0)
    lengths = range(SHORT_ID, longest)
    return next((n for n in lengths if len({full[:n] for full in ids}) == len(ids)), longest)


def _reading(cell: Any, column: TableColumn, id_length: int) -> Reading:  # noqa: ANN401 -- a cell
    if isinstance(cell, Cell):
        return Reading(cell.text, "" if cell.value is None else _exact(cell.value, column))
    if cell is None:
        return Reading(column.null)
    if column.kind == "id":
        ids = cell if isinstance(cell, (tuple, list)) else (cell,)
        text, full = (", ".join(str(value)[:n] for value in ids) for n in (id_length, None))
        return Reading(text, "" if text == full else full)
    return reading(cell, column.kind)


def _exact(value: Any, column: TableColumn) -> str:  # noqa: ANN401 -- a cell
    return plain(value) if isinstance(value, Decimal) and column.is_right else ""


def reading(value: Any, kind: Kind = "number") -> Reading:  # noqa: ANN401 -- a cell
    """Return what a person reads of a value.

    Parameters
    ----------
    value : Any
        None is null. Texts, numbers and booleans, tuples, lists and mappings are written for
        people, anything else as Python writes it.
    kind : Kind
        How an amount is rounded: USD to the cent, an hourly price to four decimal places, a price
        per GB cut at eight. What would read as nothing is exact.

    Examples
    --------
    >>> reading(Decimal("0.00012328767123287671"), "usd_gb_hr")
    Reading(text='0.00012328…', full='0.00012328767123287671')
    >>> reading(("country", "stock")).text
    'country, stock'
    """
    match value:
        case None:
            return Reading(UNKNOWN)
        case Decimal():
            return _amount(value, kind)
        case tuple() | list():
            text = ", ".join(_part(each) for each in value)
        case dict():
            text = ", ".join(f"{key}={_part(each)}" for key, each in value.items())
        case Real():
            text = _number(value)
        case str() if kind == "date":
            text = value[:10]
        case _:
            text = str(value)
    return Reading(text)


def _number(value: Real) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    number = float(value)
    if number and not 1e-4 <= abs(number) < 1e15:  # noqa: PLR2004 -- read without an exponent
        return f"{number:.6g}"
    return f"{number:,.6f}".rstrip("0").rstrip(".")


def _part(value: Any) -> str:  # noqa: ANN401 -- a part of a cell
    if isinstance(value, Decimal):
        return _amount(value, "number").text
    return UNKNOWN if value is None else str(value)


def _amount(value: Decimal, kind: Kind) -> Reading:
    if not value.is_finite() or (value and abs(value.adjusted()) > _DIGITS):
        return Reading(str(value))
    exact = plain(value)
    places = _PLACES.get(kind)
    if places is None:
        whole, _, decimals = exact.partition(".")
        if kind == "usd_gb_hr":
            decimals = decimals.ljust(_PRICE_PLACES, "0")
        cut = _ELLIPSIS if len(decimals) > _PRICE_PLACES else ""
        short = f"{whole}.{decimals[:_PRICE_PLACES]}{cut}" if decimals else whole
    else:
        short = money(value, places)
    if value and not any(digit in short for digit in "123456789"):
        short = plain(Context(prec=2).plus(value))
    rounded = Decimal(short.rstrip(_ELLIPSIS).replace(",", ""))
    sign = "+" if kind == "difference" and value >= 0 else ""
    return Reading(sign + short, "" if rounded == value else exact)


def ranged(least: Decimal | None, most: Decimal | None, kind: Kind) -> Any:  # noqa: ANN401 -- a cell
    """Return an amount that lies between two, of which one may be unknown, as a cell."""
    if least is None or most is None:
        known = least if most is None else most
        word = "at least" if most is None else "at most"
        return None if known is None else Cell(known, f"{word} {reading(known, kind).text}")
    texts = [reading(value, kind).text for value in (least, most)]
    is_same = texts[0] == texts[1] or not (round(least, 2) or round(most, 2) or "gb" in kind)
    return most if is_same else Cell(most, " to ".join(texts))


def counted(count: int, noun: str, shown: int | None = None) -> str:
    """Return how many of something there are, and how many of them are shown.

    >>> counted(2000, "row", 60)
    '2,000 rows, the first 60 shown'
    """
    text = f"{count:,} {noun}{'' if count == 1 else 's'}" if count else f"no {noun}s"
    return text if shown is None or shown >= count else f"{text}, the first {shown:,} shown"


def moment(text: str) -> str:
    """Return a time as people read it; what is no time in ISO 8601 stays as it is.

    >>> moment("2026-11-26T14:05:09.120000+00:00")
    '2026-11-26 14:05 UTC'
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{time if time.tzinfo is None else time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def split(items: Sequence[Any], most: int | None) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the items that a table shows, and those that it sums; never one alone."""
    if most is None or len(items) <= most + 1:
        return items, ()
    return items[:most], items[most:]


@dataclass(frozen=True)
class View:
    """What a command answers, for every format; each part is made when a format asks for it.

    Attributes
    ----------
    sections : callable
        Returns what people read, in their order.
    document : callable
        Returns JSON values, exact, under their documented keys; or the text of a file of planner.
    rows : callable | None
        Returns what CSV writes; None takes the first section.
    page : callable | None
        Returns what Markdown shows, where a page has room for more than a terminal.
    """

    sections: Callable[[], Iterable[Section]]
    document: Callable[[], Any]
    rows: Callable[[], Section] | None = None
    page: Callable[[], Iterable[Section]] | None = None
