"""A scan of pages is whole or says why it is not."""

from __future__ import annotations

from typing import Any

import pytest

from planner.formats import JsonError
from planner.marketplace.prime import client as listing
from planner.marketplace.prime.client import Page, Scan, read_page, scan


def rows(start: int, stop: int) -> list[Any]:
    """Return distinct rows."""
    return [{"n": n} for n in range(start, stop)]


def scanned(*pages: Page) -> tuple[Scan, int]:
    """Return the scan of these pages (empty ones after them) and how many were read."""
    asked: list[int] = []

    def read(number: int) -> Page:
        asked.append(number)
        if number <= len(pages):
            return pages[number - 1]
        return Page([], pages[0].total)

    result = scan(read)
    return result, len(set(asked))


def test_counted_pages() -> None:
    """With a total, pages are read until that many rows are in hand and not one further."""
    pages = [Page(rows(0, 100), 250), Page(rows(100, 200), 250), Page(rows(200, 250), 250)]
    assert scanned(*pages) == (Scan(rows(0, 250), 250, None), 3)


def test_pages_smaller_than_asked_for() -> None:
    """A server that caps its pages lower is read to the end, in either shape."""
    assert scanned(Page(rows(0, 2), 3), Page(rows(2, 3), 3))[0] == Scan(rows(0, 3), 3, None)
    bare = scanned(Page(rows(0, 2), None), Page(rows(2, 3), None))
    assert bare == (Scan(rows(0, 3), None, None), 4)


def test_everything_on_one_page() -> None:
    """A server that does not page but counts is believed at once."""
    assert scanned(Page(rows(0, 250), 250)) == (Scan(rows(0, 250), 250, None), 1)


@pytest.mark.parametrize("total", [0, None])
def test_empty(total: int | None) -> None:
    """An empty first page is an empty listing, after one request."""
    assert scanned(Page([], total)) == (Scan([], total, None), 1)


@pytest.mark.parametrize("total", [4, None])
def test_equal_rows_on_one_page(total: int | None) -> None:
    """Equal rows on one page are two rows."""
    twice = [{"n": 1}, {"n": 1}, {"n": 2}]
    assert scanned(Page(twice, total), Page(rows(5, 6), total))[0].rows == [*twice, {"n": 5}]


def test_a_bare_page_that_is_short_before_another_is_a_flaw() -> None:
    """Rows are missing where a page after a short one still has rows."""
    pages = [Page(rows(0, 3), None), Page(rows(3, 4), None), Page(rows(4, 5), None)]
    assert "shorter than the first" in str(scanned(*pages)[0].flaw)


def test_a_bare_page_that_is_empty_before_another_is_a_flaw() -> None:
    """An empty page is the end only where the next is empty too."""
    pages = [Page(rows(0, 3), None), Page([], None), Page(rows(4, 5), None)]
    assert "empty in passing" in str(scanned(*pages)[0].flaw)


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([Page(rows(0, 2), 4), Page(rows(1, 3), 4)], "page 2 repeats a row"),
        ([Page(rows(0, 2), 4), Page(rows(0, 2), 4)], "page 2 repeats a row"),
        ([Page(rows(0, 2), 4)], "page 2 is empty"),
        ([Page([], 4)], "page 1 is empty"),
        ([Page(rows(0, 2), 1)], "page 1 has more rows"),
        ([Page(rows(0, 2), 3), Page(rows(2, 4), 3)], "page 2 has more rows"),
        ([Page(rows(0, 2), 0)], "page 1 has more rows"),
        ([Page(rows(0, 2), 4), Page(rows(2, 4), 5)], "page 2 claims 5 rows"),
        ([Page(rows(0, 2), 4), Page(rows(2, 4), None)], "page 2 claims no total"),
        ([Page(rows(0, 2), None), Page(rows(2, 4), 4)], "page 2 claims 4 rows"),
        ([Page(rows(0, 2), None), Page(rows(1, 3), None)], "page 2 repeats a row"),
        ([Page(rows(0, 2), None), Page(rows(2, 3), None), Page(rows(0, 2), None)], "page 3 rep"),
        ([Page(rows(0, 100), None), Page(rows(0, 100), None)], "page 2 repeats a row"),
    ],
)
def test_flaws(pages: list[Page], why: str) -> None:
    """Any sign that pages do not belong together is a flaw that says which page and what."""
    flaw = scanned(*pages)[0].flaw
    assert flaw is not None
    assert flaw.startswith(why)


@pytest.mark.parametrize("count", [1, 99, 101, 250])
def test_bare_list_that_does_not_page(count: int) -> None:
    """A second page that repeats the first, in any order, proves that there is only one."""
    first, second = Page(rows(0, count), None), Page(rows(0, count)[::-1], None)
    assert scanned(first, second) == (Scan(rows(0, count), None, None), 2)


def test_repeat_with_another_count_is_a_flaw() -> None:
    """A second page with the same rows but one of them twice is no repetition of the first."""
    first = Page([{"n": 1}, {"n": 1}, {"n": 2}], None)
    assert scanned(first, Page([{"n": 1}, {"n": 2}, {"n": 2}], None))[0].flaw


def test_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing without end is given up after a fixed number of pages."""
    monkeypatch.setattr(listing, "MAX_PAGES", 3)
    result, asked = scanned(*(Page(rows(n, n + 1), None) for n in range(9)))
    assert asked == 3
    assert "no end" in str(result.flaw)


def test_rows_that_are_no_objects_are_kept() -> None:
    """What is not an object stays in its place, for the frame to report."""
    odd: list[Any] = [None, 5, "x", [1], {"n": 1}]
    assert scanned(Page(odd, 5))[0].rows == odd


@pytest.mark.parametrize(
    ("document", "page"),
    [
        ([], Page([], None)),
        ([{"n": 1}], Page([{"n": 1}], None)),
        ({"items": [1], "totalCount": 7, "extra": 0}, Page([1], 7)),
    ],
)
def test_both_shapes(document: object, page: Page) -> None:
    """A bare list and an object with a total are both pages."""
    assert read_page(document) == page


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
        read_page(document)
