"""Budgets against what is spent and what is projected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.errors import FrameError
from planner.present.charts.bars import (
    BAR_DOWN,
    MOST_ROWS,
    ChartRow,
    Kinds,
    bars,
    nothing,
    row_axis,
    titled,
    tooltips,
)
from planner.present.charts.base import OVER, REST, WARN, WITHIN, altair, counted, labels, usd
from planner.schema import AMOUNT, TEXT, Column, conform, records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    import altair as alt
    import pandas as pd


CHART_BUDGETS = (
    Column("project", TEXT, "whose plan; null: unknown"),
    Column("owner", TEXT, "whose budget; null: that of the whole plan"),
    Column("limit_usd_month", AMOUNT, "USD a month; null: unknown"),
    Column("now_usd_month", AMOUNT, "what is there now; null: unknown"),
    Column("projected_usd_month", AMOUNT, "with the plan carried out; null: unknown"),
    Column("state", TEXT, "within, warn, over or unknown"),
)
"""Columns of the budgets that ``budget_chart`` reads."""

_STATES = {"within": WITHIN, "warn": WARN, "over": OVER, "unknown": REST}
_MOST = 2.0
"""The share of a limit at which bars are cut off; the amount beside one is whole."""
_TITLE = "Budgets, and what is projected"
_TOOLTIP = {
    "row": "budget",
    "limit": "limit, USD a month",
    "projected": "projected, USD a month",
    "now": "now, USD a month",
    "kind": "state",
}
_Budget = dict[str, Any]


def budget_chart(budgets: pd.DataFrame) -> alt.LayerChart:
    """Return budgets against what is projected: a bar for each, as a share of its limit.

    A line marks the limits, a dot what is spent now; colours say how each budget stands. Where
    the limit or the projection is unknown there is no bar, and the amount beside it says so.
    Where there are many, those nearest to their limit are drawn and the others are counted.

    Parameters
    ----------
    budgets : DataFrame
        Columns ``CHART_BUDGETS``; without rows the chart says so.

    Raises
    ------
    FrameError
        When a column is missing, of another type, or has a state that there is not.
    InputError
        When the extra ``charts`` is not installed.
    """
    altair()
    rows = records(conform(budgets, CHART_BUDGETS, what="budgets"))
    if not {row["state"] for row in rows} <= set(_STATES):
        raise FrameError("budgets", [f"column state is not one of {', '.join(_STATES)}"])
    if not rows:
        return nothing(_TITLE, ["There are no budgets"])
    drawn = sorted(rows, key=_urgency)[:MOST_ROWS] if len(rows) > MOST_ROWS else rows
    shares = [_share(row, "projected_usd_month") for row in drawn]
    cut = sum(1 for share in shares if share is not None and share > _MOST)
    blank = sum(1 for share in shares if share is None)
    beyond = len(rows) - len(drawn)
    dots = any(_share(row, "now_usd_month") is not None for row in drawn)
    said = [
        f"Bar: projected, as a share of the limit; {'dot: now; ' if dots else ''}line: the limit",
        f"The {len(drawn)} nearest to their limit of {len(rows)}" if beyond else "",
        f"{counted(cut, 'bar is', 'bars are')} cut off at {_MOST:.0%}" if cut else "",
        f"{counted(blank, 'budget has', 'budgets have')} no bar: unknown" if blank else "",
    ]
    return titled(_drawn(drawn), _TITLE, said)


def _share(row: _Budget, column: str) -> float | None:
    """Return an amount as a share of the limit, None where either is unknown."""
    amount, limit = row[column], row["limit_usd_month"]
    if amount is None or limit is None:
        return None
    if not limit:
        return float("inf") if amount else 0.0
    return float(amount / limit)


def _urgency(row: _Budget) -> tuple[bool, float]:
    share = _share(row, "projected_usd_month")
    return (share is not None, -(share or 0))


def _drawn(rows: Sequence[_Budget]) -> alt.LayerChart:
    draw = altair()
    names = _names(rows)
    pieces, dots, widest = [], [], 1.0
    for name, row in zip(names, rows, strict=True):
        share, now = _share(row, "projected_usd_month"), _share(row, "now_usd_month")
        texts = {
            "row": name,
            "kind": row["state"],
            "limit": _said(row["limit_usd_month"]),
            "projected": _said(row["projected_usd_month"]),
            "now": _said(row["now_usd_month"]),
        }
        if share is not None:
            pieces.append({**texts, "start": 0, "end": min(share, _MOST), "pale": False})
        if now is not None:
            dots.append({**texts, "share": min(now, _MOST)})
        widest = max(widest, share or 0, now or 0)
    x = draw.X(
        "start:Q",
        title="share of the limit",
        axis=draw.Axis(format=".0%", grid=False, tickCount=5),
        scale=draw.Scale(domain=[0, min(widest, _MOST) * 1.05], nice=False),
    )
    states = [state for state in _STATES if state in {row["state"] for row in rows}]
    texts_of = [
        ChartRow(name, f"{_said(row['projected_usd_month'])} of {_said(row['limit_usd_month'])}")
        for name, row in zip(names, rows, strict=True)
    ]
    kinds = Kinds("state", states, [_STATES[state] for state in states])
    marks = [_limits(texts_of), _dots(texts_of, dots)]
    return bars(texts_of, pieces, x=x, tooltip=_TOOLTIP, kinds=kinds, marks=marks)


def _said(amount: Decimal | None) -> str:
    return "unknown" if amount is None else usd(amount)


def _names(rows: Sequence[_Budget]) -> list[str]:
    """Return what each budget is called: by its project too, where there are several."""
    several = len({row["project"] for row in rows}) > 1
    texts = {}
    for at, row in enumerate(rows):
        project, owner = row["project"], row["owner"]
        if project is None:
            texts[at] = "everything" if owner is None else f"{owner}, everything"
        else:
            whose = "whole plan" if owner is None else owner
            texts[at] = f"{project}: {whose}" if several else whose
    return list(labels(texts).values())


def _limits(rows: Sequence[ChartRow]) -> alt.Chart:
    """Return the layer of the lines at the limits."""
    draw = altair()
    data = draw.InlineData([{"row": row.label, "share": 1} for row in rows])
    mark = draw.Chart(data).mark_tick(thickness=2, height=17, opacity=1, yOffset=BAR_DOWN)
    layer: alt.Chart = mark.encode(x="share:Q", y=row_axis(rows))
    return layer


def _dots(rows: Sequence[ChartRow], dots: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """Return the layer of what is spent now."""
    draw = altair()
    mark = draw.Chart(draw.InlineData(list(dots))).mark_point(
        filled=True, size=36, opacity=1, yOffset=BAR_DOWN
    )
    layer: alt.Chart = mark.encode(x="share:Q", y=row_axis(rows), tooltip=tooltips(_TOOLTIP))
    return layer
