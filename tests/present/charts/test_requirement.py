"""What requirements cost, as bars."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner import explain
from planner.analysis.explain import REQUIREMENTS
from planner.present.charts.bars import MOST_ROWS
from planner.present.charts.price import requirement_chart
from planner.schema import build, records
from tests.present.charts.drawn import HOSTILE, is_empty, pieces, rows, subtitle
from tests.shipped_plans import research

if TYPE_CHECKING:
    import pandas as pd


def frame(*wanted: tuple[str | None, str, str | None]) -> pd.DataFrame:
    made: list[dict[str, Any]] = [
        {
            "about": about,
            "requirement": text,
            "without": "none",
            "saves_usd_hr": None,
            "saves_usd_month": None if saves is None else Decimal(saves),
            "most_saves_usd_month": None if saves is None else Decimal(saves),
            "why": "",
        }
        for about, text, saves in wanted
    ]
    return build(made, REQUIREMENTS)


@pytest.mark.slow
def test_the_dearest_comes_first_and_the_free_are_counted() -> None:
    """Those without an amount are neither free nor drawn."""
    chart = requirement_chart(
        frame(
            ("a", "replicas: 2", "10.005"),
            (None, "max_sites: 1", "30"),
            ("b", "spread: provider", "0"),
            ("b", "replicas: 2", "0"),
            ("c", "multinode: true", None),
        )
    )
    assert rows(chart) == [("max_sites: 1", "$30.00"), ("a: replicas: 2", "$10.01")]
    assert [(p["start"], p["end"]) for p in pieces(chart)] == [(0, 30), (0, 10.005)]
    assert "2 requirements cost nothing. 1 has no amount and no bar." in subtitle(chart)


def test_equal_requirements_are_two_bars() -> None:
    """Two groups may be described by the same words, and any words will do."""
    wanted = [(None, "group", "2"), (None, "group", "1"), *((n, n, "1") for n in HOSTILE)]
    labels = [label for label, _ in rows(requirement_chart(frame(*wanted)))]
    assert labels[:2] == ["group", "group (2)"]
    assert len(set(labels)) == len(wanted)


@pytest.mark.slow
def test_beyond_the_dearest_they_are_counted() -> None:
    """Savings do not add up, so the rest is counted with its largest."""
    chart = requirement_chart(frame(*((f"v{at}", "replicas: 2", f"{at}") for at in range(1, 26))))
    assert len(rows(chart)) == MOST_ROWS
    assert "5 more save up to $5.00 each" in subtitle(chart)


def test_where_nothing_costs_anything_the_chart_says_so() -> None:
    """And where nothing is asked."""
    assert is_empty(requirement_chart(frame(("a", "replicas: 2", "0"))))
    assert "1 requirement costs nothing" in subtitle(requirement_chart(frame(("a", "b", "0"))))
    assert subtitle(requirement_chart(frame())) == "There are no requirements."


@pytest.mark.slow
def test_the_shipped_plan() -> None:
    """What `explain` says of it is what is drawn."""
    found = explain(research(), exact=True).requirements
    dear = [row for row in records(found) if row["saves_usd_month"]]
    chart = requirement_chart(found)
    assert [p["end"] for p in pieces(chart)] == [float(row["saves_usd_month"]) for row in dear]
    assert rows(chart)[0] == ("corpus: replicas: 2", "$283.24")
