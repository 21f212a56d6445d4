"""What months cost: planned ones as columns with their moves, past ones as bars by owner."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from planner.present.charts.bars import (
    MOST_KINDS,
    ChartRow,
    bars,
    kinds_of,
    nothing,
    titled,
    usd_axis,
)
from planner.present.charts.base import PALE, WIDTH, altair, counted, labels, named, usd
from planner.schema import AMOUNT, TEXT, WHOLE, Column, conform, records
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

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
_Row = dict[str, Any]


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
    amounts: dict[str | None, list[Decimal]] = defaultdict(list)
    for row in rows:
        amounts[row["volume"]] += [row["disk_usd"], row["move_usd"]]
    name_of = named({name: total(each) for name, each in amounts.items()}, MOST_KINDS, "volume")
    names = list(dict.fromkeys(row["month"] for row in rows))
    pieces, marks = [], []
    for month in names:
        here = [row for row in rows if row["month"] == month]
        pieces += _pieces(month, here, name_of)
        moves = [name_of[row["volume"]] for row in here if row["moves"]]
        if moves:
            once = usd(total(row["move_usd"] for row in here))
            shown = ", ".join(dict.fromkeys(moves))
            marks.append({"month": month, "top": pieces[-1]["end"], "moves": shown, "once": once})
    whole = usd(total(usd_ for each in amounts.values() for usd_ in each))
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
        tooltip=_tooltip({"month": "month", "kind": "volume", "what": "what", "amount": "USD"}),
    )
    mark = draw.Chart(draw.InlineData(marks)).mark_point(
        shape="triangle-down", filled=True, size=60, yOffset=-8, opacity=1
    )
    mark = mark.encode(
        x=place,
        y="top:Q",
        tooltip=_tooltip({"month": "month", "moves": "moves", "once": "USD once"}),
    )
    chart: alt.LayerChart = draw.layer(column, *([mark] if marks else []))
    return titled(chart.properties(width=WIDTH, height=_HEIGHT_PX), title, said)


def _tooltip(fields: Mapping[str, str]) -> list[alt.Tooltip]:
    draw = altair()
    return [draw.Tooltip(f"{field}:N", title=title) for field, title in fields.items()]


def _pieces(month: str, rows: Sequence[_Row], name_of: Mapping[str | None, str]) -> list[_Row]:
    """Return the stretches of a month's column, from the bottom."""
    pieces, end = [], total([])
    for kind in dict.fromkeys(name_of.values()):
        mine = [row for row in rows if name_of[row["volume"]] == kind]
        for column, what in (("disk_usd", "disks"), ("move_usd", "moving, once")):
            amount = total(row[column] for row in mine)
            if amount:
                start, end = end, total([end, amount])
                pieces.append(
                    {
                        "month": month,
                        "kind": kind,
                        "start": float(start),
                        "end": float(end),
                        "pale": column == "move_usd",
                        "what": what,
                        "amount": usd(amount),
                    }
                )
    return pieces


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
    amounts: dict[str | None, list[Decimal]] = defaultdict(list)
    for row in rows:
        amounts[row["owner"]] += [row["billed_usd"], row["unbilled_usd"]]
    name_of = named({name: total(each) for name, each in amounts.items()}, MOST_KINDS, "owner")
    label_of = labels({row["month"]: row["month"] for row in rows})
    lines, pieces = [], []
    for month, label in label_of.items():
        end = total([])
        for kind in dict.fromkeys(name_of.values()):
            mine = [r for r in rows if r["month"] == month and name_of[r["owner"]] == kind]
            for column, basis in (("billed_usd", "billed"), ("unbilled_usd", "list price")):
                amount = total(row[column] for row in mine)
                start, end = end, total([end, amount])
                piece = {"row": label, "kind": kind, "start": float(start), "end": float(end)}
                piece |= {"pale": basis != "billed", "amount": usd(amount), "basis": basis}
                pieces += [piece] if amount else []
        lines.append(ChartRow(label, usd(end)))
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
