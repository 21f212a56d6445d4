"""Budgets as bars of their limits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import FrameError
from planner.present.charts.bars import MOST_ROWS
from planner.present.charts.base import OVER, REST, WARN, WITHIN
from planner.present.charts.budget import CHART_BUDGETS, budget_chart
from planner.schema import build
from tests.present.charts.drawn import HOSTILE, is_empty, kinds, layers, pieces, rows, subtitle

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


def budget(
    owner: str | None,
    limit: str | None,
    projected: str | None,
    state: str = "within",
    *,
    now: str | None = None,
    project: str | None = "lab",
) -> dict[str, Any]:
    usd = {"limit": limit, "now": now, "projected": projected}
    amounts = {f"{key}_usd_month": text and Decimal(text) for key, text in usd.items()}
    return {"project": project, "owner": owner, "state": state, **amounts}


def frame(*budgets: dict[str, Any]) -> pd.DataFrame:
    return build(budgets, CHART_BUDGETS)


def dots(chart: alt.TopLevelMixin) -> list[tuple[str, float]]:
    drawn = next(one for one in layers(chart) if one["mark"]["type"] == "point")
    return [(row["row"], row["share"]) for row in drawn["rows"]]


@pytest.mark.slow
def test_a_bar_is_a_share_of_its_limit() -> None:
    """Whole first, as given; what is spent now is a dot, the state a colour."""
    chart = budget_chart(
        frame(
            budget(None, "1600", "1200", "within", now="800"),
            budget("ann", "50", "45", "warn"),
            budget("bob", "50", "60.005", "over", now="0"),
        )
    )
    assert rows(chart) == [
        ("whole plan", "$1,200.00 of $1,600.00"),
        ("ann", "$45.00 of $50.00"),
        ("bob", "$60.01 of $50.00"),
    ]
    assert [(p["row"], p["start"], p["end"], p["kind"]) for p in pieces(chart)] == [
        ("whole plan", 0, 0.75, "within"),
        ("ann", 0, 0.9, "warn"),
        ("bob", 0, 1.2001, "over"),
    ]
    assert dots(chart) == [("whole plan", 0.5), ("bob", 0)]
    assert kinds(chart) == {"within": WITHIN, "warn": WARN, "over": OVER}


@pytest.mark.slow
def test_the_unknown_has_no_bar() -> None:
    """It keeps its row, and what is known of it."""
    chart = budget_chart(
        frame(budget("ann", "50", None, "unknown"), budget("bob", None, "5", "unknown", now="5"))
    )
    assert rows(chart) == [("ann", "unknown of $50.00"), ("bob", "$5.00 of unknown")]
    assert pieces(chart) == []
    assert dots(chart) == []
    assert kinds(chart) == {"unknown": REST}
    assert subtitle(chart) == (
        "Bar: projected, as a share of the limit; line: the limit. 2 budgets have no bar: unknown."
    )


@pytest.mark.slow
def test_a_bar_ends_at_twice_its_limit() -> None:
    """Beyond, and of a limit of nothing, the amount says how much; the rest stays readable."""
    chart = budget_chart(
        frame(
            budget("ann", "10", "5000", "over"),
            budget("bob", "0", "1", "over"),
            budget("cat", "0", "0"),
        )
    )
    assert [p["end"] for p in pieces(chart)] == [2, 2, 0]
    assert rows(chart)[0] == ("ann", "$5,000.00 of $10.00")
    assert "2 bars are cut off at 200%" in subtitle(chart)


@pytest.mark.slow
def test_projects_are_named_where_there_are_several() -> None:
    """In a merged report one owner may have a budget in each."""
    both = [budget("ann", "1", "1", project=project) for project in ("lab", "shop", None)]
    assert [label for label, _ in rows(budget_chart(frame(*both)))] == [
        "lab: ann",
        "shop: ann",
        "ann, everything",
    ]


@pytest.mark.slow
def test_owners_of_any_name() -> None:
    """Whoever is called like the whole plan is told apart from it."""
    names = [None, "whole plan", *HOSTILE]
    labels = [
        label for label, _ in rows(budget_chart(frame(*(budget(n, "1", "1") for n in names))))
    ]
    assert labels[:2] == ["whole plan", "whole plan (2)"]
    assert len(set(labels)) == len(names)


@pytest.mark.slow
def test_of_many_those_nearest_to_their_limit_are_drawn() -> None:
    """The unknown first: nobody can say how near they are."""
    many = [budget(f"o{at}", "100", str(at)) for at in range(30)]
    chart = budget_chart(frame(*many, budget("who", "1", None, "unknown")))
    labels = [label for label, _ in rows(chart)]
    assert len(labels) == MOST_ROWS
    assert labels[:3] == ["who", "o29", "o28"]
    assert "The 20 nearest to their limit of 31" in subtitle(chart)


def test_no_budgets_and_no_such_state() -> None:
    """The one is a chart that says so, the other a frame of something else."""
    assert is_empty(budget_chart(frame()))
    with pytest.raises(FrameError, match="state is not one of within, warn, over, unknown"):
        budget_chart(frame(budget("a", "1", "1", "fine")))
