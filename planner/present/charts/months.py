"""What months cost: planned ones as columns with their moves, past ones as bars by owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.present.charts.bars import (
    MOST_KINDS,
    ChartRow,
    bars,
    kinds_of,
    nothing,
    stacked,
    summed,
    titled,
    tooltips,
    usd_axis,
)
from planner.present.charts.base import PALE, WIDTH, altair, counted, labels, usd
from planner.schema import AMOUNT, TEXT, WHOLE, Column, conform, records
from planner.units import total

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

PLANNED_MONTHS = (
    Column("month", TEXT, "calendar month in which a month of the horizon begins"),
    Column("project", TEXT, "of the plan"),
    Column("volume", TEXT, "name in the demand"),
    Column("owner", TEXT, "who pays; null: none"),
    Column("size_gb", WHOLE, "all its disks together"),
    Column("disk_usd", AMOUNT, "what they cost in the month"),
    Column("moves", WHOLE, "how many of them replace others when the month begins"),
    Column("move_usd", AMOUNT, "what that costs once: overlap and egress"),
)
"""Columns of the months of a schedule, by month and volume."""

PAST_MONTHS = (
    Column("month", TEXT, "which, as people read it"),
    Column("owner", TEXT, "who pays; null: unknown"),
    Column("billed_usd", AMOUNT, "of billing rows that lie in the month"),
    Column("unbilled_usd", AMOUNT, "list price of the rest"),
)
"""Columns of past months by owner."""

_COLUMN_PX, _HEIGHT_PX = 48, 240


def planned_chart(months: pd.DataFrame) -> alt.LayerChart:
    """Return what each month of a schedule costs: columns of volumes, and a mark where data moves.

    What moving costs once is outlined, above the disks of its volume.

    Parameters
    ----------
    months : DataFrame
        Columns ``PLANNED_MONTHS``; without rows the chart says so.

    Raises
    ------
    FrameError
        When a column is missing or of another type.
    InputError
        When the extra ``charts`` is not installed.
    """
    draw = altair()
    rows = records(conform(months, PLANNED_MONTHS, what="months"))
    title = "Cost of each planned month by volume"
    if not rows:
        return nothing(title, ["No volume grows"])
    amounts = [(row["volume"], total([row["disk_usd"], row["move_usd"]])) for row in rows]
    name_of = summed(amounts, MOST_KINDS, "volume")
    names = list(dict.fromkeys(row["month"] for row in rows))
    parts = {"disk_usd": "disks", "move_usd": "moving, once"}
    pieces, marks = [], []
    for month in names:
        here = [row for row in rows if row["month"] == month]
        pieces += stacked(
            (
                total(row[column] for row in here if name_of[row["volume"]] == kind),
                {"month": month, "kind": kind, "pale": column == "move_usd", "what": what},
            )
            for kind in dict.fromkeys(name_of.values())
            for column, what in parts.items()
        )
        moves = [name_of[row["volume"]] for row in here if row["moves"]]
        if moves:
            once = usd(total(row["move_usd"] for row in here))
            shown = ", ".join(dict.fromkeys(moves))
            marks.append({"month": month, "top": pieces[-1]["end"], "moves": shown, "once": once})
    whole = usd(total(amount for _, amount in amounts))
    moved = counted(sum(row["moves"] for row in rows), "move")
    said = [
        f"{counted(len(names), 'month')}: {whole}, {moved} included",
        "A triangle marks a month that begins with moves; outlined: what they cost once"
        if marks
        else "",
    ]
    place = draw.X(
        "month:O",
        sort=names,
        title=None,
        axis=draw.Axis(labelAngle=0, grid=False, labelOverlap="greedy"),
    )
    colour = kinds_of("volume", list(dict.fromkeys(name_of.values()))).encoding("kind")
    width = draw.ExprRef(f"min({_COLUMN_PX}, 0.8 * bandwidth('x'))")
    column = draw.Chart(draw.InlineData(pieces), name="bars").mark_bar(width=width)
    column = column.encode(
        x=place,
        y=draw.Y("start:Q", title="USD a month", axis=draw.Axis(format="$,~r", tickCount=5)),
        y2="end",
        color=colour,
        stroke=colour,
        fillOpacity=draw.condition(draw.datum.pale, draw.value(PALE), draw.value(1)),
        strokeWidth=draw.condition(draw.datum.pale, draw.value(1), draw.value(0)),
        tooltip=tooltips({"month": "month", "kind": "volume", "what": "what", "amount": "USD"}),
    )
    mark = draw.Chart(draw.InlineData(marks)).mark_point(
        shape="triangle-down", filled=True, size=60, yOffset=-8, opacity=1
    )
    mark = mark.encode(
        x=place,
        y="top:Q",
        tooltip=tooltips({"month": "month", "moves": "moves", "once": "USD once"}),
    )
    chart: alt.LayerChart = draw.layer(column, *([mark] if marks else []))
    return titled(chart.properties(width=WIDTH, height=_HEIGHT_PX), title, said)


def past_chart(months: pd.DataFrame) -> alt.LayerChart:
    """Return what months cost: a bar for each, a colour for each owner.

    Parameters
    ----------
    months : DataFrame
        Columns ``PAST_MONTHS``; without rows the chart says so.

    Raises
    ------
    FrameError
        When a column is missing or of another type.
    InputError
        When the extra ``charts`` is not installed.
    """
    altair()
    rows = records(conform(months, PAST_MONTHS, what="months"))
    title = "Cost by month and owner"
    if not rows:
        return nothing(title, ["No disk is known to have lived then"])
    parts = {"billed_usd": "billed", "unbilled_usd": "list price"}
    amounts = ((row["owner"], total(row[column] for column in parts)) for row in rows)
    name_of = summed(amounts, MOST_KINDS, "owner")
    lines, pieces = [], []
    for month, label in labels({row["month"]: row["month"] for row in rows}).items():
        here = [row for row in rows if row["month"] == month]
        pieces += stacked(
            (
                total(row[column] for row in here if name_of[row["owner"]] == kind),
                {"row": label, "kind": kind, "pale": basis != "billed", "basis": basis},
            )
            for kind in dict.fromkeys(name_of.values())
            for column, basis in parts.items()
        )
        lines.append(ChartRow(label, usd(total(row[column] for row in here for column in parts))))
    bases = {piece["pale"] for piece in pieces}
    if len(bases) == 1:
        pieces = [piece | {"pale": False} for piece in pieces]
        said = "All of it is list price" if True in bases else "All of it is billed"
    else:
        said = "Outlined: list price, not billed" if bases else ""
    tooltip = {"row": "month", "kind": "owner", "amount": "USD", "basis": "basis"}
    kinds = kinds_of("owner", list(dict.fromkeys(name_of.values())))
    chart = bars(lines, pieces, x=usd_axis("USD"), tooltip=tooltip, kinds=kinds)
    return titled(chart, title, [said])
