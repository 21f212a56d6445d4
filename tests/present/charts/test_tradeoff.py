"""The trade-off curve."""

from __future__ import annotations

from decimal import Decimal
from html import unescape
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import planner
from planner.errors import FrameError, InputError
from planner.present.charts.base import COLOURS, svg
from planner.present.charts.tradeoff import tradeoff_chart
from tests.present.charts.drawn import HOSTILE, is_empty, layers, subtitle

if TYPE_CHECKING:
    import altair as alt


def swept(*rows: tuple[Any, Any, str | None, int | None]) -> pd.DataFrame:
    """Return a sweep of max_sites and share, with costs and sites; no cost is no plan."""
    made = [
        {
            "max_sites": x,
            "policy.max_provider_share": share,
            "feasible": usd is not None,
            "usd_month": usd and Decimal(usd),
            "sites": sites,
            "providers": sites,
            "why": None if usd else "max_sites",
        }
        for x, share, usd, sites in rows
    ]
    frame = pd.DataFrame(made)
    return frame.astype({"sites": "Int64", "providers": "Int64", "why": "string"})


def drawn(chart: alt.TopLevelMixin, mark: str) -> list[dict[str, Any]]:
    """Return the rows of every layer of a mark."""
    return [row for one in layers(chart) if one["mark"]["type"] == mark for row in one["rows"]]


GRID = swept(
    (1, Decimal("0.5"), None, None),
    (1, None, "900.005", 1),
    (2, Decimal("0.5"), "800", 2),
    (2, None, "800", 2),
)
SHARE = "policy.max_provider_share"


@pytest.mark.slow
def test_every_combination_is_drawn() -> None:
    """Plans are points, what has no plan is a cross with its reason; colours are the shares."""
    chart = tradeoff_chart(GRID, "max_sites", SHARE)
    points = {(p["number"], p["value"]): (p["usd"], p["amount"]) for p in drawn(chart, "circle")}
    assert points == {
        (1, "none"): (900.005, "$900.01"),
        (2, "0.5"): (800, "$800.00"),
        (2, "none"): (800, "$800.00"),
    }
    (cross,) = drawn(chart, "point")
    assert (cross["x"], cross["value"], cross["why"]) == ("1", "0.5", "max_sites")
    assert subtitle(chart) == "USD a month of 3 plans. Crosses: 1 of 4 without a plan."
    colour = layers(chart)[0]["encoding"]["color"]
    assert colour["legend"]["title"] == "policy.max provider share"
    assert colour["scale"] == {"domain": ["0.5", "none"], "range": list(COLOURS[:2])}


@pytest.mark.slow
def test_equal_curves_are_both_seen() -> None:
    """The one below is wider."""
    chart = tradeoff_chart(GRID, "max_sites", SHARE)
    assert {p["series"]: p["width"] for p in drawn(chart, "line")} == {"0.5": 6, "none": 2}


@pytest.mark.slow
def test_numbers_lie_where_they_belong() -> None:
    """Unless one is null: then every value has a place."""
    axis = layers(tradeoff_chart(GRID, "max_sites"))[0]["encoding"]["x"]
    assert (axis["field"], axis["type"], axis["axis"]["tickMinStep"]) == (
        "number",
        "quantitative",
        1,
    )
    axis = layers(tradeoff_chart(GRID, SHARE))[0]["encoding"]["x"]
    assert (axis["field"], axis["scale"]["domain"]) == ("x", ["0.5", "none"])


@pytest.mark.slow
@pytest.mark.slow
def test_a_range_has_a_bar_down_to_what_is_proven() -> None:
    """A point that may not be the cheapest says so; one that is proven to a millionth has none."""
    frame = swept((1, None, "900", 1), (2, None, "800", 2), (3, None, None, None))
    least = [Decimal(850), Decimal("799.9999"), Decimal(700)]
    frame = frame.assign(least_usd_month=pd.Series(least, dtype="object"))
    chart = tradeoff_chart(frame, "max_sites")
    bars = drawn(chart, "rule")
    assert [(bar["x"], bar["least"], bar["usd"]) for bar in bars] == [("1", 850.0, 900.0)]
    assert bars[0]["amount"] == "$850.00 to $900.00"
    assert bars[0]["cost"] == "$900.00"
    assert "Bars reach down to what is proven" in subtitle(chart)
    assert "<svg" in svg(chart)


def test_along_the_number_of_sites() -> None:
    """What has no plan has no sites, and a place of its own; the cheapest are joined."""
    chart = tradeoff_chart(GRID, "sites")
    assert layers(chart)[0]["encoding"]["x"]["scale"]["domain"] == ["1", "2", "no plan"]
    assert [(p["x"], p["usd"]) for p in drawn(chart, "line")] == [("1", 900.005), ("2", 800)]
    assert [p["x"] for p in drawn(chart, "point")] == ["no plan"]
    assert "The line joins the cheapest at each" in subtitle(chart)


@pytest.mark.slow
def test_few_points_have_their_amount_beside_them() -> None:
    """Once, where several are one; many would hide each other."""
    chart = tradeoff_chart(GRID, "sites")
    assert [p["amount"] for p in drawn(chart, "text")] == ["$900.01", "$800.00"]
    many = swept(*((at, None, str(at), at) for at in range(1, 20)))
    assert drawn(tradeoff_chart(many, "max_sites"), "text") == []


def test_without_a_plan_the_chart_says_so() -> None:
    """And without a combination."""
    none = tradeoff_chart(swept((1, None, None, None), (2, None, None, None)), "max_sites")
    assert is_empty(none)
    assert subtitle(none) == "None of 2 combinations has a plan."
    assert subtitle(tradeoff_chart(GRID.iloc[:0], "max_sites")) == "There are no combinations."


@pytest.mark.slow
def test_values_and_columns_of_any_name() -> None:
    """A column with dots is no path, and a value is no expression."""
    frame = swept(*((name, name, "5", 1) for name in HOSTILE))
    frame = frame.rename(columns={"max_sites": "a.b[0]['c']"})
    chart = tradeoff_chart(frame, "a.b[0]['c']", SHARE)
    assert len(drawn(chart, "circle")) == len(HOSTILE)
    assert ">a.b[0]['c']<" in unescape(svg(chart))


def test_a_frame_of_something_else_is_refused() -> None:
    """And a column that it does not have."""
    with pytest.raises(FrameError, match="column feasible is missing"):
        tradeoff_chart(pd.DataFrame({"max_sites": [1]}), "max_sites")
    with pytest.raises(InputError, match="no column 'max_site'"):
        tradeoff_chart(GRID, "max_site")


@pytest.mark.slow
def test_a_real_sweep() -> None:
    """What `planner.sweep` returns is what is drawn: the shipped demand needs two sites."""
    offers = planner.read_offers("shipped:disk-offers")
    frame = planner.sweep(
        planner.read_demand("shipped:minimal"), offers, {"max_sites": [1, None]}, exact=True
    )
    chart = tradeoff_chart(frame, "max_sites")
    (lost, kept) = frame["usd_month"]
    assert lost is None
    assert [p["amount"] for p in drawn(chart, "circle")] == [f"${kept:,.2f}"]
    assert [(p["x"], p["why"]) for p in drawn(chart, "point")] == [("1", frame["why"][0])]
