"""One reading of all pages of a listing: complete, or the reason why it cannot be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


PAGE_SIZE = 100
MAX_PAGES = 1000

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of a listing.

    Attributes
    ----------
    rows : list
        The rows.
    keys : list of str
        What tells each row from others: an id, or the canonical text of the row.
    total : int | None
        How many rows the whole listing is said to have; None where the answer has no total.
    """

    rows: list[Row]
    keys: list[str]
    total: int | None
    date: datetime | None = None


@dataclass(frozen=True)
class Scan(Generic[Row]):
    """One reading of all pages.

    Attributes
    ----------
    total : int | None
        How many rows the first page claimed.
    flaw : str | None
        Why the rows cannot be the whole listing; None where they are.
    date : datetime | None
        The server's time at the first page.
    """

    rows: list[Row]
    keys: list[str]
    total: int | None
    flaw: str | None
    date: datetime | None = None


def scan(read: Callable[[int, int], Page[Row]]) -> Scan[Row]:
    """Read pages until the listing is complete or known not to be.

    With a total, pages are read until that many rows are in hand. Without one, until a page is
    empty, twice, and the one after it too: endpoints are reported to be empty in passing. Or until
    the second page repeats the first, which is how a server that does not page answers; a first
    page of exactly `PAGE_SIZE` rows does not prove that, for a server that pages and is stuck looks
    the same.

    Parameters
    ----------
    read : callable
        Return a page, given its number (from 1) and how many rows were read before it.
    """
    first = read(1, 0)
    rows: list[Row] = []
    keys: list[str] = []
    seen: set[str] = set()

    def result(flaw: str | None) -> Scan[Row]:
        return Scan(rows, keys, first.total, flaw, first.date)

    for number in range(1, MAX_PAGES + 1):
        page = read(number, len(rows)) if number > 1 else first
        if number == 2 and len(first.rows) != PAGE_SIZE and _is_same(first, page):  # noqa: PLR2004 -- the second
            return result(None)
        flaw = _flaw(first, page, repeated=not seen.isdisjoint(page.keys), read=len(rows))
        if first.total is None and page.rows and len(rows) < (number - 1) * len(first.rows):
            flaw = flaw or "follows a page that is shorter than the first"
        if flaw:
            return result(f"page {number} {flaw}")
        rows += page.rows
        keys += page.keys
        seen |= set(page.keys)
        if len(rows) == first.total:
            return result(None)
        if first.total is None and not page.rows:
            more = rows and (read(number, len(rows)).rows or read(number + 1, len(rows)).rows)
            return result(
                f"page {number} was empty, and had rows when read again" if more else None
            )
    return result(f"it does not end within {MAX_PAGES} pages")


def _flaw(first: Page[Row], page: Page[Row], *, repeated: bool, read: int) -> str | None:
    """Return what shows that a page does not belong to one complete reading."""
    if page.total != first.total:
        return f"claims {_claim(page.total)} where the first claimed {_claim(first.total)}"
    if repeated:
        return "repeats a row of an earlier page"
    if page.total is None:
        return None
    if read + len(page.rows) > page.total:
        return "has more rows than the listing claims"
    return "is empty" if not page.rows and read < page.total else None


def _claim(total: int | None) -> str:
    return "no total" if total is None else f"{total} rows"


def _is_same(first: Page[Row], page: Page[Row]) -> bool:
    """Return whether two pages without totals hold the same rows, in any order."""
    return first.total is None is page.total and Counter(first.keys) == Counter(page.keys)
