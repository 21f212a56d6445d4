"""A scan of pages is whole or says why it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from planner.formats import JsonError, identity
from planner.marketplace import paging
from planner.marketplace.paging import Page, scan
from planner.marketplace.prime.wire import read_offers

Reading = tuple[list[Any], int | None, str | None]


def rows(start: int, stop: int) -> list[Any]:
    """Return distinct rows."""
    return [{"n": n} for n in range(start, stop)]


def page(listed: list[Any], total: int | None) -> Page[Any]:
    return Page(listed, [identity(row) for row in listed], total)


def scanned(*pages: Page[Any]) -> tuple[Reading, int]:
    """Return the scan of these pages (empty ones after them) and how many were read."""
    asked: list[int] = []

    def read(number: int, _received: int) -> Page[Any]:
        asked.append(number)
        return pages[number - 1] if number <= len(pages) else page([], pages[0].total)

    result = scan(read)
    return (result.rows, result.total, result.flaw), len(set(asked))


def test_counted_pages() -> None:
    """With a total, pages are read until that many rows are in hand and not one further."""
    pages = [page(rows(0, 100), 250), page(rows(100, 200), 250), page(rows(200, 250), 250)]
    assert scanned(*pages) == ((rows(0, 250), 250, None), 3)


def test_pages_smaller_than_asked_for() -> None:
    """A server that caps its pages lower is read to the end, in either shape."""
    assert scanned(page(rows(0, 2), 3), page(rows(2, 3), 3))[0] == (rows(0, 3), 3, None)
    bare = scanned(page(rows(0, 2), None), page(rows(2, 3), None))
    assert bare == ((rows(0, 3), None, None), 4)


def test_everything_on_one_page() -> None:
    """A server that does not page but counts is believed at once."""
    assert scanned(page(rows(0, 250), 250)) == ((rows(0, 250), 250, None), 1)


@pytest.mark.parametrize("total", [0, None])
def test_empty(total: int | None) -> None:
    """An empty first page is an empty listing, after one request."""
    assert scanned(page([], total)) == (([], total, None), 1)


@pytest.mark.parametrize("total", [4, None])
def test_equal_rows_on_one_page(total: int | None) -> None:
    """Equal rows on one page are two rows."""
    twice = [{"n": 1}, {"n": 1}, {"n": 2}]
    assert scanned(page(twice, total), page(rows(5, 6), total))[0][0] == [*twice, {"n": 5}]


def test_a_bare_page_that_is_short_before_another_is_a_flaw() -> None:
    """Rows are missing where a page after a short one still has rows."""
    pages = [page(rows(0, 3), None), page(rows(3, 4), None), page(rows(4, 5), None)]
    assert "shorter than the first" in str(scanned(*pages)[0][2])


def test_a_bare_page_that_is_empty_before_another_is_a_flaw() -> None:
    """An empty page is the end only where the next is empty too."""
    pages = [page(rows(0, 3), None), page([], None), page(rows(4, 5), None)]
    assert "was empty, and had rows" in str(scanned(*pages)[0][2])


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([page(rows(0, 2), 4), page(rows(1, 3), 4)], "page 2 repeats a row"),
        ([page(rows(0, 2), 4), page(rows(0, 2), 4)], "page 2 repeats a row"),
        ([page(rows(0, 2), 4)], "page 2 is empty"),
        ([page([], 4)], "page 1 is empty"),
        ([page(rows(0, 2), 1)], "page 1 has more rows"),
        ([page(rows(0, 2), 3), page(rows(2, 4), 3)], "page 2 has more rows"),
        ([page(rows(0, 2), 0)], "page 1 has more rows"),
        ([page(rows(0, 2), 4), page(rows(2, 4), 5)], "page 2 claims 5 rows"),
        ([page(rows(0, 2), 4), page(rows(2, 4), None)], "page 2 claims no total"),
        ([page(rows(0, 2), None), page(rows(2, 4), 4)], "page 2 claims 4 rows"),
        ([page(rows(0, 2), None), page(rows(1, 3), None)], "page 2 repeats a row"),
        ([page(rows(0, 2), None), page(rows(2, 3), None), page(rows(0, 2), None)], "page 3 rep"),
        ([page(rows(0, 100), None), page(rows(0, 100), None)], "page 2 repeats a row"),
    ],
)
def test_flaws(pages: list[Page[Any]], why: str) -> None:
    """Any sign that pages do not belong together is a flaw that says which page and what."""
    flaw = scanned(*pages)[0][2]
    assert flaw is not None
    assert flaw.startswith(why)


@pytest.mark.parametrize("count", [1, 99, 101, 250])
def test_bare_list_that_does_not_page(count: int) -> None:
    """A second page that repeats the first, in any order, proves that there is only one."""
    first, second = page(rows(0, count), None), page(rows(0, count)[::-1], None)
    assert scanned(first, second) == ((rows(0, count), None, None), 2)


def test_repeat_with_another_count_is_a_flaw() -> None:
    """A second page with the same rows but one of them twice is no repetition of the first."""
    first = page([{"n": 1}, {"n": 1}, {"n": 2}], None)
    assert scanned(first, page([{"n": 1}, {"n": 2}, {"n": 2}], None))[0][2]


def test_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing without end is given up after a fixed number of pages."""
    monkeypatch.setattr(paging, "MAX_PAGES", 3)
    result, asked = scanned(*(page(rows(n, n + 1), None) for n in range(9)))
    assert asked == 3
    assert "does not end within 3 pages" in str(result[2])


def test_rows_that_are_no_objects_are_kept() -> None:
    """What is not an object stays in its place, for the frame to report."""
    odd: list[Any] = [None, 5, "x", [1], {"n": 1}]
    assert scanned(page(odd, 5))[0][0] == odd


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], page([], None)),
        ([{"n": 1}], page([{"n": 1}], None)),
        ({"items": [1], "totalCount": 7, "extra": 0}, page([1], 7)),
    ],
)
def test_both_shapes(document: object, expected: Page[Any]) -> None:
    """A bare list and an object with a total are both pages."""
    assert read_offers(json.dumps(document).encode()) == expected


@pytest.mark.parametrize(
    "document",
    [
        None,
        "items",
        5,
        {},
        {"items": None, "totalCount": 0},
        {"items": {}, "totalCount": 0},
        {"items": []},
        {"items": [], "totalCount": None},
        {"items": [], "totalCount": "1"},
        {"items": [], "totalCount": -1},
        {"items": [], "totalCount": 1.0},
        {"items": [], "totalCount": True},
    ],
)
def test_other_shapes(document: object) -> None:
    """Anything else is not a page, least of all one whose total is not a whole number."""
    with pytest.raises(JsonError):
        read_offers(json.dumps(document).encode())
