"""A sweep as points."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from planner.errors import InputError
from planner.present.charts.tradeoff import (
    column_values,
    curves_of,
    levels_of,
    places_of,
    points_of,
)

Row = tuple[Any, Any, str | None]
"""x, curve, USD a month (None: no plan)."""


def points(*rows: Row, curves: bool = True) -> list[dict[str, Any]]:
    swept = [
        {
            "feasible": usd is not None,
            "usd_month": usd and Decimal(usd),
            "sites": None,
            "providers": 1,
            "why": None,
        }
        for _, _, usd in rows
    ]
    return points_of(swept, [x for x, _, _ in rows], [c for _, c, _ in rows] if curves else None)


@pytest.mark.parametrize(
    ("value", "text", "number"),
    [
        (3, "3", 3.0),
        (Decimal("0.70"), "0.7", 0.7),
        (0.7, "0.7", 0.7),
        (True, "yes", None),
        (None, "none", None),
        (("eu_north", "canada"), "eu_north, canada", None),
        ((), "none", None),
        ("4 TB\x1b", "4 TB\\x1b", None),
    ],
)
def test_a_value_is_a_text_and_maybe_a_number(value: Any, text: str, number: float | None) -> None:
    """Whatever was varied can be read; numbers can be drawn where they belong."""
    (point,) = points((value, None, "5"), curves=False)
    assert (point["x"], point["number"]) == (text, number)


def test_a_point_without_a_plan_keeps_its_place() -> None:
    """Unless its place is what only a plan has, such as a number of sites."""
    lost, kept, unknown = points((2, "a", None), (2, "a", "5.005"), (None, "a", None))
    assert (lost["x"], lost["usd"], lost["amount"]) == ("2", None, "no plan")
    assert (kept["usd"], kept["amount"]) == (5.005, "$5.01")
    assert unknown["x"] == "no plan"


def test_places_are_in_order() -> None:
    """Numbers by size, then texts as they come, then what has none."""
    found = points(
        (None, "", "1"), (10, "", "1"), ("b", "", "1"), (9, "", "1"), ("a", "", "1"), (10, "", "1")
    )
    assert places_of(found) == ["9", "10", "b", "a", "none"]


def test_a_curve_is_broken_where_there_is_no_plan() -> None:
    """Stretches of one curve do not join across a gap, nor two curves at all."""
    found = points(
        (1, "a", "5"),
        (2, "a", None),
        (3, "a", "4"),
        (4, "a", "3"),
        (1, "b", "9"),
        (2, "b", "8"),
    )
    drawn = [(p["series"], p["x"], p["stretch"]) for p in curves_of(found, places_of(found))]
    assert drawn == [
        ("a", "1", 1),
        ("a", "3", 2),
        ("a", "4", 2),
        ("b", "1", 3),
        ("b", "2", 3),
    ]


def test_a_curve_joins_the_cheapest() -> None:
    """Where a value of x was tried several times, in whatever order."""
    found = points((2, "", "7"), (1, "", "9"), (2, "", "6"), (1, "", None), (2, "", "8"))
    curve = list(curves_of(found, places_of(found)))
    assert [(p["x"], p["usd"]) for p in curve] == [("1", 9), ("2", 6)]
    assert {p["stretch"] for p in curve} == {1}


def test_what_is_covered_is_drawn_wider() -> None:
    """The first of three equal curves has two above it, the last none."""
    found = points((1, "a", "5"), (1, "b", "5"), (1, "c", "5"), (1, "d", "6"), (2, "a", None))
    assert levels_of(found) == {"a": 2, "b": 1, "c": 0, "d": 0}


def test_many_curves_share_the_last_colour() -> None:
    """In the order in which they come."""
    found = points(*((1, at, "5") for at in range(9)))
    assert [p["series"] for p in found] == ["0", "1", "2", "3", "4", *["4 more curves"] * 4]
    assert [p["value"] for p in found] == [str(at) for at in range(9)]


def test_an_unknown_column_has_a_hint() -> None:
    """The nearest one, where there is one."""
    frame = pd.DataFrame({"max_sites": [1]})
    assert column_values(frame, "max_sites") == [1]
    with pytest.raises(InputError, match="no column 'max_site'") as caught:
        column_values(frame, "max_site")
    assert caught.value.hint == "did you mean max_sites?"
