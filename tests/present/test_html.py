"""Pieces of HTML: everything escaped and visible, amounts shortened and never changed."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import Infeasible
from planner.present.table import Cell, Kind, Section, TableColumn, counted, reading
from planner.present.writers import list_html, paragraph_html, text_html, title_html, to_html
from planner.text import visible
from tests.looks import HOSTILE, SHOWN, Look

DASH = "\N{EN DASH}"


@pytest.mark.parametrize(("evil", "shown"), [*zip(HOSTILE, SHOWN, strict=True)])
def test_text_from_outside_is_text_wherever_it_stands(evil: str, shown: str) -> None:
    """In cells, headings, titles, captions, totals, lists and paragraphs: no tag, no mark."""
    columns = (TableColumn("a", evil, meaning=evil), TableColumn("b", "b", "id"))
    rows = ((evil, evil), (Cell(1, evil), "x"))
    table = Look(to_html([Section("a", "", columns, rows, (evil, None), caption=evil)]))
    assert [row[0] for row in table.rows] == [shown] * 4
    assert set(table.titles) == {shown}
    assert shown in table.lines
    for piece in (list_html([evil]), paragraph_html(evil), title_html(evil)):
        assert Look(piece).text == shown


@pytest.mark.slow
@given(st.text())
def test_any_text_is_read_as_it_is(text: str) -> None:
    """Whatever it is, one line of it shows as what `visible` makes of it, and no tag comes in."""
    assert Look(f"<div>{text_html(text)}</div>").text == visible(text)


def test_no_dollar_opens_a_formula() -> None:
    """Every sign that could stands alone in an element of its own, and in a class left alone."""
    html = list_html(["$1 of $2 and \\(x\\)"])
    assert len(re.findall(r"<span>[$\\]</span>", html)) == 4
    assert not re.search(
        r"[$\\]", html.replace("<span>$</span>", "").replace("<span>\\</span>", "")
    )
    assert 'class="tex2jax_ignore mathjax_ignore"' in html


@pytest.mark.parametrize(
    ("value", "kind", "text", "full"),
    [
        ("0.00012328767123287671", "usd_gb_hr", "0.00012328…", "0.00012328767123287671"),
        ("0.000097", "usd_gb_hr", "0.00009700", ""),
        ("0.00000001", "usd_gb_hr", "0.00000001", ""),
        ("0.000000001", "usd_gb_hr", "0.000000001", ""),
        ("0.4444444444", "usd_hr", "0.4444", "0.4444444444"),
        ("1234.5", "usd_hr", "1,234.5000", ""),
        ("0.00001", "usd_hr", "0.00001", ""),
        ("1340.5071111", "usd_month", "1,340.51", "1340.5071111"),
        ("1340.50", "usd_month", "1,340.50", ""),
        ("-0.005", "usd_month", "-0.01", "-0.005"),
        ("-0.001", "usd_month", "-0.001", ""),
        ("0E-12", "usd_month", "0.00", ""),
        ("0E+100", "usd_hr", "0.0000", ""),
        ("14.60", "number", "14.6", ""),
        ("0.123456789", "number", "0.12345678…", "0.123456789"),
        ("48", "number", "48", ""),
        ("NaN", "usd_hr", "NaN", ""),
        ("-Infinity", "usd_month", "-Infinity", ""),
        ("1E+5000", "usd_month", "1E+5000", ""),
        ("1E-5000", "usd_hr", "1E-5000", ""),
    ],
)
def test_amounts_are_shortened_by_their_unit(value: str, kind: Kind, text: str, full: str) -> None:
    """Prices to eight places, hours to four, months to cents; in full when pointed at."""
    assert reading(Decimal(value), kind) == (text, full)


@pytest.mark.slow
@given(st.decimals(allow_nan=False, allow_infinity=False), st.sampled_from(["usd_gb_hr", "usd_hr"]))
def test_an_amount_that_is_not_nothing_never_looks_like_it(amount: Decimal, kind: Kind) -> None:
    """However small, something else than zeros is shown; and what is cut is there in full."""
    text, full = reading(amount, kind)
    assert bool(amount) == any(digit in text for digit in "123456789")
    assert Decimal(full or text.replace(",", "")) == amount


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, DASH),
        ("", ""),
        (True, "yes"),
        (False, "no"),
        (8192, "8,192"),
        (np.int64(8192), "8,192"),
        (0.0, "0"),
        (1234.5, "1,234.5"),
        (np.float64(0.25), "0.25"),
        (1.5e-7, "1.5e-07"),
        (2.5e20, "2.5e+20"),
        (float("inf"), "inf"),
        ((), ""),
        (("region", "stock", "multinode"), "region, stock, multinode"),
        (("us", None), f"us, {DASH}"),
        ([4000, 4000], "4000, 4000"),
        ((Decimal("0.50"),), "0.5"),
        ({"project": "llm", "n": None}, f"project=llm, n={DASH}"),
        (b"x", "b'x'"),
    ],
)
def test_a_cell_says_what_a_person_reads(value: Any, text: str) -> None:
    """Nothing is unknown, true is yes, tuples are words; nothing is left out."""
    assert reading(value) == (text, "")


def test_a_long_tuple_is_whole() -> None:
    """Where pandas would cut at fifty characters, every rule is there."""
    rules = tuple(f"rule_{n}" for n in range(200))
    assert reading(rules).text == ", ".join(rules)


def test_headings_break_between_words_and_say_what_they_mean() -> None:
    """A long name does not make a column wide; its meaning is shown when it is pointed at."""
    column = TableColumn("usd_gb_hr", "usd_gb_hr", "usd_gb_hr", meaning="price")
    html = to_html([Section("prices", columns=(column,))])
    assert "usd_<wbr>gb_<wbr>hr" in html
    assert Look(html).rows == [["usd_gb_hr"]]
    assert Look(html).titles == ["price"]


def test_numbers_are_right_and_long_texts_wrap() -> None:
    """Columns are aligned from heading to total; a short cell stays on one line."""
    columns = (TableColumn("a", "a"), TableColumn("b", "b", "usd"))
    html = to_html([Section("both", "", columns, (("x" * 32, "y" * 33),), ("", 1))])
    assert html.count("text-align:left") == html.count("text-align:right") == 3
    assert f'white-space:nowrap">{"x" * 32}<' in html
    assert f'min-width:18em">{"y" * 33}<' in html


def test_an_error_says_once_what_shows_itself() -> None:
    """The end of a message that is shown as a table is not told a second time."""

    class Ways:
        def __str__(self) -> str:
            return "ways out:\n  this"

        def _repr_html_(self) -> str:
            return title_html("a table")

    error = Infeasible("no plan:\n  why\nways out:\n  this", hint="hint", relaxations=Ways())
    assert Look(error._repr_html_()).lines == ["no plan:\n  why", "a table", "hint"]
    assert Look(Infeasible("no plan()")._repr_html_()).lines == ["no plan()"]


def test_nothing_to_list_is_nothing() -> None:
    """An empty list leaves no empty bullet."""
    assert list_html([]) == ""


@pytest.mark.parametrize(
    ("count", "shown", "told"),
    [
        (0, None, "no rows"),
        (1, 1, "1 row"),
        (60, 60, "60 rows"),
        (1061, 60, "1,061 rows, the first 60 shown"),
    ],
)
def test_rows_are_counted(count: int, shown: int | None, told: str) -> None:
    """How many there are, and how many of them are shown where not all are."""
    assert counted(count, "row", shown) == told
