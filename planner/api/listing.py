"""Pages into a listing: complete, or known not to be.

The order between pages is not promised, so a market that changes while it is read can show a row
twice and hide another. A scan that shows any sign of it is flawed and is never used in part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner import exact_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

PAGE_SIZE = 100
MAX_PAGES = 1000


@dataclass(frozen=True)
class Listing:
    """All rows of one availability listing.

    Attributes
    ----------
    rows : list
        The rows as sent, in the order of the pages. A row is normally a dict; one that is not is
        kept, for whoever builds the frame to report. Numbers with a point are exact decimals.
    fetched_at : datetime
        When the last page was in hand, UTC.
    source : str
        The URL, without the page.
    """

    rows: list[Any]
    fetched_at: datetime
    source: str


@dataclass(frozen=True)
class Page:
    """One answer of an availability endpoint.

    Attributes
    ----------
    rows : list
        The rows as sent.
    total : int | None
        How many rows the whole listing is said to have; None where the answer is a bare list.
    """

    rows: list[Any]
    total: int | None


@dataclass(frozen=True)
class Scan:
    """One reading of all pages.

    Attributes
    ----------
    rows : list
        What was read.
    total : int | None
        How many rows the first page claimed.
    flaw : str | None
        Why the rows cannot be the whole listing; None where they are.
    """

    rows: list[Any]
    total: int | None
    flaw: str | None


def read_page(document: Any) -> Page:  # noqa: ANN401 -- whatever JSON says
    """Return the page a JSON answer holds, in either documented shape.

    Raises
    ------
    JsonError
        When it is neither a list nor ``{items, totalCount}`` with a list and a whole number.
    """
    if isinstance(document, list):
        return Page(document, None)
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise exact_json.JsonError("neither a list nor an object with a list of items")
    total = document.get("totalCount")
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise exact_json.JsonError("a list of items whose totalCount is not a whole number")
    return Page(document["items"], total)


def scan(read: Callable[[int], Page]) -> Scan:
    """Read pages until the listing is complete or known not to be.

    With a total, pages are read until that many rows are in hand. Without one, until a page is
    empty, twice, and the one after it too: the API is reported to be empty in passing. Or until
    the second page repeats the first, which is how a server that does not page answers; a first
    page of exactly `PAGE_SIZE` rows is no such proof, for a server that pages and is stuck looks
    the same.

    Parameters
    ----------
    read : callable
        Return the page of a number, from 1.
    """
    first = read(1)
    rows: list[Any] = []
    seen: set[str] = set()
    for number in range(1, MAX_PAGES + 1):
        page = read(number) if number > 1 else first
        identities = {exact_json.identity(row) for row in page.rows}
        if number == 2 and len(first.rows) != PAGE_SIZE and _is_same(first, page):  # noqa: PLR2004 -- the second
            return Scan(rows, None, None)
        flaw = _flaw(first, page, repeated=not seen.isdisjoint(identities), read=len(rows))
        if first.total is None and page.rows and len(rows) < (number - 1) * len(first.rows):
            flaw = flaw or "follows a page that is shorter than the first"
        if flaw:
            return Scan(rows, first.total, f"page {number} {flaw}")
        rows += page.rows
        seen |= identities
        if len(rows) == first.total:
            return Scan(rows, first.total, None)
        if first.total is None and not page.rows:
            more = rows and (read(number).rows or read(number + 1).rows)
            return Scan(rows, None, f"page {number} was empty in passing" if more else None)
    return Scan(rows, first.total, f"there is no end to it after {MAX_PAGES} pages")


def _flaw(first: Page, page: Page, *, repeated: bool, read: int) -> str | None:
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


def _is_same(first: Page, page: Page) -> bool:
    """Return whether two bare lists hold the same rows, in any order."""
    if first.total is not None or page.total is not None or len(first.rows) != len(page.rows):
        return False
    return Counter(map(exact_json.identity, first.rows)) == Counter(
        map(exact_json.identity, page.rows)
    )
