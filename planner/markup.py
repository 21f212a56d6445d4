"""What a notebook shows of a value: tables, lists and sentences as pieces of HTML.

Everything is made visible and escaped, and is never read as mathematics: an amount opens with the
sign that formulas do. Nothing is coloured, for a notebook may be dark, and every style is a cell's
own, for a notebook that is not trusted drops style sheets.
"""

from __future__ import annotations

import re
from decimal import Decimal
from html import escape
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

from planner.text import visible
from planner.units import money, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

MOST_ROWS = 60
"""Rows of a table that are shown at most, as in pandas; the rest are counted."""
_PLACES = 8
"""Decimal places of a price that are shown; the documented ones have up to twenty."""
_SHORT = 32
"""Characters that stay on one line."""
_DIGITS = 60
"""Digits beyond which an amount is none, and is shown as Python writes it."""
_QUIET = "opacity:.75"
_NO_MATH = "tex2jax_ignore mathjax_ignore"
"""Classes of what MathJax leaves alone, in its second and in its later versions."""
_MATH = re.compile(r"[$\\]")


class Cell(NamedTuple):
    """What a cell says, and what it says in full when it is pointed at."""

    text: str
    full: str = ""


UNKNOWN = Cell("\N{EN DASH}")
"""What stands for null."""


def cell(value: Any, column: str = "") -> Cell:  # noqa: ANN401 -- whatever a table holds
    """Return what a cell says of a value.

    Parameters
    ----------
    value : Any
        None is null. Texts, numbers and booleans, tuples, lists and mappings are read by people;
        whatever else as Python writes it.
    column : str
        Its column, whose unit says how an amount is shortened: a price per GB to eight decimal
        places, cut with an ellipsis, an amount per hour rounded to four, one per month to cents.

    Examples
    --------
    >>> cell(Decimal("0.00012328767123287671"), "usd_gb_hr")
    Cell(text='0.00012328…', full='0.00012328767123287671')
    >>> cell(("country", "stock")).text
    'country, stock'
    """
    match value:
        case None:
            return UNKNOWN
        case Decimal():
            return _amount(value, column)
        case tuple() | list():
            text = ", ".join(_part(one) for one in value)
        case dict():
            text = ", ".join(f"{key}={_part(one)}" for key, one in value.items())
        case Real():
            text = _number(value)
        case _:
            text = str(value)
    return Cell(text)


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
        return _amount(value, "").text
    return UNKNOWN.text if value is None else str(value)


def _amount(value: Decimal, column: str) -> Cell:
    if not value.is_finite() or (value and abs(value.adjusted()) > _DIGITS):
        return Cell(str(value))
    exact = plain(value)
    if "usd" not in column or "usd_gb" in column:
        whole, _, places = exact.partition(".")
        if "usd" in column:
            places = places.ljust(_PLACES, "0")
        cut = "\N{HORIZONTAL ELLIPSIS}" if len(places) > _PLACES else ""
        short = f"{whole}.{places[:_PLACES]}{cut}" if places else whole
    else:
        short = money(value, 2 if "month" in column else 4)
    if value and not any(digit in short for digit in "123456789"):
        return Cell(exact)
    rounded = Decimal(short.rstrip("\N{HORIZONTAL ELLIPSIS}").replace(",", ""))
    return Cell(short, "" if rounded == value else exact)


def text_html(text: str) -> str:
    """Return text that a page shows as it is.

    >>> text_html("<b>$5</b>")
    '&lt;b&gt;<span>$</span>5&lt;/b&gt;'
    """
    # A host may drop the classes that say so: signs that stand alone open no formula anyway.
    return _MATH.sub(r"<span>\g<0></span>", escape(visible(text)))


def table_html(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell | str]],
    right: Collection[int],
    *,
    footer: Sequence[str] = (),
    caption: str = "",
    meanings: Mapping[str, str] | None = None,
) -> str:
    """Return a table that scrolls in itself where the page is too narrow.

    Parameters
    ----------
    headings : sequence of str
        One for each column.
    rows : iterable of sequence of Cell or str
        Texts; they are made visible and escaped here.
    right : collection of int
        Places of the columns that are aligned to the right.
    footer : sequence of str
        The row of totals.
    caption : str
        A sentence below.
    meanings : mapping of str
        Heading → what a column means, shown when it is pointed at.
    """
    told = meanings or {}
    head = "".join(
        _cell("th", Cell(name, told.get(name, "")), at in right, _heading)
        for at, name in enumerate(headings)
    )
    body = "".join(f"<tr>{_cells('td', row, right)}</tr>" for row in rows)
    foot = f"<tfoot><tr>{_cells('th', footer, right)}</tr></tfoot>" if footer else ""
    below = (
        f'<caption style="caption-side:bottom;text-align:left;{_QUIET}">'
        f"{text_html(caption)}</caption>"
        if caption
        else ""
    )
    return (
        f'<div class="{_NO_MATH}" style="overflow-x:auto">'
        f'<table class="dataframe" style="margin-left:0">{below}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table></div>"
    )


def _cells(tag: str, row: Sequence[Cell | str], right: Collection[int]) -> str:
    return "".join(
        _cell(tag, Cell(one) if isinstance(one, str) else one, at in right, text_html)
        for at, one in enumerate(row)
    )


def _cell(tag: str, one: Cell, is_right: bool, shown: Callable[[str], str]) -> str:
    style = f"text-align:{'right' if is_right else 'left'}"
    if tag != "th":
        style += ";white-space:nowrap" if len(one.text) <= _SHORT else ";min-width:18em"
    full = f' title="{escape(visible(one.full))}"' if one.full else ""
    return f'<{tag} style="{style}"{full}>{shown(one.text)}</{tag}>'


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


def failure_html(message: str, ways: object, advice: Iterable[str | None]) -> str:
    """Return an error as it is read: what is wrong, what there is to choose from, what to change.

    Parameters
    ----------
    message : str
        What is wrong; where it ends with ``ways`` as text, they are shown once, as they show
        themselves.
    ways : object
        What can be done, maybe with ``_repr_html_``.
    advice : iterable of str | None
        Sentences below.
    """
    drawn = getattr(ways, "_repr_html_", None)
    if drawn is None:
        return paragraph_html(message) + list_html(filter(None, advice))
    told = message.removesuffix(str(ways)).rstrip()
    return paragraph_html(told) + str(drawn()) + list_html(filter(None, advice))


def with_count(count: int, what: str, shown: int | None = None) -> str:
    """Return how many of something there are, and how many of them are shown.

    >>> with_count(2000, "row", 60)
    '2,000 rows, the first 60 shown'
    """
    told = f"{count:,} {what}{'' if count == 1 else 's'}" if count else f"no {what}s"
    return told if shown is None or shown >= count else f"{told}, the first {shown:,} shown"
