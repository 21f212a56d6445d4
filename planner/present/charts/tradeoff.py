"""Cost against one thing that was varied: the trade-off curve."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.present.charts.bars import MOST_KINDS, kinds_of, nothing, titled, tooltips
from planner.present.charts.base import PALE, WIDTH, altair, counted, named, usd
from planner.schema import AMOUNT, TEXT, WHOLE, YES_NO, Column, conform, records
from planner.text import suggestion, visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import altair as alt
    import pandas as pd

SWEPT = (
    Column("feasible", YES_NO, "whether there is a plan"),
    Column("usd_month", AMOUNT, "what it costs; null: there is none"),
    Column("sites", WHOLE, "how many sites it has; null: there is none"),
    Column("providers", WHOLE, "how many providers it has; null: there is none"),
    Column("why", TEXT, "why there is none; else empty or null"),
)
"""Columns of a sweep beside those that were varied."""

LEAST = "least_usd_month"
"""Column of a sweep that has what no plan costs less than, where there is one."""
_SURE = 1e-6
"""Part of the cost up to which that is the cost."""
_NAMED = frozenset({"price_factor", "gpu_price_factor", "budgets"})
"""Keys of a grid that end in the name of a provider or an owner."""
_HEIGHT = 300
_CROSS_Y, _CURVE_Y = 10, 34
"""Where crosses lie and where curves begin, in px from the top."""
_CROSS_PX = 11
"""How far the crosses of one curve lie below those of another."""
_DOT_PX = 8
_CROSS = "M-1,-1L1,1M-1,1L1,-1"
_FEW = 6
"""Points that have room for their amounts, where there is one curve."""


def tradeoff_chart(frame: pd.DataFrame, x: str, color: str | None = None) -> alt.LayerChart:
    """Return cost against one thing that was varied: a point for each combination.

    A curve joins the cheapest at each value, and is broken where there is no plan. Combinations
    without a plan are crosses at the top. Numbers lie where they belong; where a value is text or
    null, each value has a place of its own, null that of "none".

    Parameters
    ----------
    frame : DataFrame
        Columns ``SWEPT`` and those that were varied, as ``planner.sweep`` returns them; without
        a plan in it the chart says so.
    x : str
        What is drawn along: a column that was varied, or ``sites`` or ``providers``.
    color : str | None
        What has a curve, and a colour, for each of its values; None draws one.

    Raises
    ------
    FrameError
        When a column of ``SWEPT`` is missing or of another type.
    InputError
        When there is no such column, or the extra ``charts`` is not installed.
    """
    altair()
    swept = records(conform(frame, SWEPT, what="sweep"))
    if LEAST in frame:
        swept = [
            {**row, LEAST: least}
            for row, least in zip(swept, column_values(frame, LEAST), strict=True)
        ]
    along = column_values(frame, x)
    points = points_of(swept, along, None if color is None else column_values(frame, color))
    title = f"Cost a month against {_readable(x)}"
    plans = sum(1 for row in swept if has_plan(row))
    lost = len(swept) - plans
    if not plans:
        why = f"None of {counted(lost, 'combination')} has a plan"
        return nothing(title, [why if lost else "There are no combinations"])
    joined = len({(point["x"], point["series"]) for point in points if point["usd"] is not None})
    said = [
        f"USD a month of {counted(plans, 'plan')}",
        "The line joins the cheapest at each" if joined < plans else "",
        f"Crosses: {lost} of {len(swept)} without a plan" if lost else "",
        "Bars reach down to what is proven: no plan costs less"
        if any(map(_is_range, points))
        else "",
    ]
    drawn = _drawn(points, _readable(x), None if color is None else _readable(color))
    return titled(drawn, title, said)


def _readable(column: str) -> str:
    field, dot, name = column.partition(".")
    if field not in _NAMED:
        name = name.replace("_", " ")
    return visible(f"{field.replace('_', ' ')}{dot}{name}")


def _drawn(points: Sequence[Point], x_title: str, color_title: str | None) -> alt.LayerChart:
    draw = altair()
    places, levels = places_of(points), levels_of(points)
    fields = {"x": x_title, "value": color_title or "", "amount": "USD a month"}
    fields |= {"sites": "sites", "providers": "providers", "why": "why"}
    shared: dict[str, Any] = {
        "x": _x(points, places, x_title),
        "color": _colour(points, color_title),
        "tooltip": tooltips({name: text for name, text in fields.items() if text}),
    }
    y = _y(_CROSS_PX * (len(levels) - 1))
    turn = series_of(points).index
    plans = [_sized(point, levels) for point in points if point["usd"] is not None]
    plans.sort(key=lambda point: turn(point["series"]))
    curves = [_sized(point, levels) for point in curves_of(points, places)]
    line = draw.Chart(draw.InlineData(curves)).mark_line()
    dot = draw.Chart(draw.InlineData(plans), name="points").mark_circle(opacity=1)
    width = draw.StrokeWidth("width:Q", scale=None, legend=None)
    size = draw.Size("size:Q", scale=None, legend=None)
    layers = [
        line.encode(y=y, strokeWidth=width, detail="stretch:N", **shared),
        dot.encode(y=y, size=size, **shared),
        *(cross.encode(**shared) for cross in _crosses(points)),
    ]
    if ranges := [point for point in plans if _is_range(point)]:
        bar = draw.Chart(draw.InlineData(ranges), name="ranges").mark_rule(strokeWidth=3)
        layers.append(bar.encode(y=y, y2="least:Q", **shared))
    if color_title:
        pointed = draw.selection_point(name="pointed", fields=["series"], bind="legend")
        opacity = draw.condition(pointed, draw.value(1), draw.value(PALE))
        layers = [layer.encode(opacity=opacity) for layer in layers]
        layers[1] = layers[1].add_params(pointed)
    elif len(plans) <= _FEW:
        once = {(point["x"], point["cost"]): point for point in plans}
        text = draw.Chart(draw.InlineData(list(once.values())))
        text = text.mark_text(align="left", xOffset=2, yOffset=-14)
        layers.append(text.encode(x=shared["x"], y=y, text="cost:N"))
    chart: alt.LayerChart = draw.layer(*layers)
    return chart.properties(width=WIDTH, height=_HEIGHT)


def _sized(point: Point, levels: Mapping[str, int]) -> Point:
    """Return a point with the size of its dot and the width of its line."""
    level = levels[point["series"]]
    return {**point, "size": (_DOT_PX + 6 * level) ** 2, "width": 2 + 4 * level}


def _crosses(points: Sequence[Point]) -> Iterator[alt.Chart]:
    """Yield a layer of crosses for each series, one below the other."""
    draw = altair()
    for at, series in enumerate(series_of(points)):
        lost = [point for point in points if point["usd"] is None and point["series"] == series]
        if lost:
            cross = draw.Chart(draw.InlineData(lost)).mark_point(
                shape=_CROSS, size=40, strokeWidth=2, opacity=1
            )
            yield cross.encode(y=draw.value(_CROSS_Y + _CROSS_PX * at))


def _y(down_px: int) -> alt.Y:
    """Return the axis of cost, which leaves the top to the crosses."""
    draw = altair()
    scale = draw.Scale(zero=False, nice=True, range=[_HEIGHT, _CURVE_Y + down_px])
    ticks = draw.Axis(format="$,~r", tickCount=6)
    axis: alt.Y = draw.Y("usd:Q", title="USD a month", axis=ticks, scale=scale)
    return axis


def _x(points: Sequence[Point], places: Sequence[str], title: str) -> alt.X:
    """Return the axis that was varied: of numbers where all values are, else of places."""
    draw = altair()
    axis: alt.X
    if all(point["number"] is not None for point in points):
        whole = all(float(point["number"]).is_integer() for point in points)
        ticks = {"tickMinStep": 1} if whole else {}
        scale = draw.Scale(zero=False, nice=False, padding=24)
        axis = draw.X(
            "number:Q", title=title, scale=scale, axis=draw.Axis(grid=False, offset=8, **ticks)
        )
    else:
        labels = draw.Axis(grid=False, offset=8, labelAngle=0, labelLimit=140, labelOverlap=True)
        axis = draw.X("x:N", title=title, scale=draw.Scale(domain=list(places)), axis=labels)
    return axis


def _colour(points: Sequence[Point], title: str | None) -> alt.Color:
    """Return the colours of the curves, in the order in which they come."""
    kinds = kinds_of(title or "", series_of(points))
    colour = kinds.encoding("series", "circle")
    return colour if title else colour.legend(None)


NO_PLAN, NONE = "no plan", "none"
"""Where a point lies that has no value of x: for want of a plan, or because none was asked."""
Point = dict[str, Any]
"""``x`` and ``series`` (texts), ``number`` (x, where it is one), ``usd`` (null: no plan), texts."""


def column_values(frame: pd.DataFrame, column: str) -> list[Any]:
    """Return a column's values as plain Python values.

    Raises
    ------
    InputError
        When there is no such column.
    """
    if column not in frame:
        known = map(str, frame.columns)
        hint = suggestion(column, known, "name a column that was varied")
        raise InputError(f"the sweep has no column {visible(column)!r}", hint=hint)
    return [row[column] for row in records(frame[[column]])]


def has_plan(row: Mapping[str, Any]) -> bool:
    """Return whether a combination has a plan."""
    return bool(row["feasible"]) and row["usd_month"] is not None


def points_of(
    swept: Sequence[Mapping[str, Any]], along: Sequence[Any], between: Sequence[Any] | None
) -> list[Point]:
    """Return a point for each combination, in its order.

    Parameters
    ----------
    along, between : sequence
        The value of x, and of what has a curve for each of its values, of each row.
    """
    curves = ["" for _ in swept] if between is None else [_text(value) for value in between]
    order = {name: -at for at, name in enumerate(dict.fromkeys(curves))}
    shown = named(order, MOST_KINDS, "curve")
    return [
        {
            "x": NO_PLAN if value is None and not has_plan(row) else _text(value),
            "number": _number(value),
            "series": shown[curve],
            "value": curve,
            "usd": float(row["usd_month"]) if has_plan(row) else None,
            "least": _least(row),
            "cost": usd(row["usd_month"]) if has_plan(row) else NO_PLAN,
            "amount": _amount(row),
            "sites": _text(row["sites"]),
            "providers": _text(row["providers"]),
            "why": visible(row["why"] or ""),
        }
        for row, value, curve in zip(swept, along, curves, strict=True)
    ]


def _least(row: Mapping[str, Any]) -> float | None:
    """Return what no plan of a combination costs less than, where that is known beside a cost."""
    return float(row[LEAST]) if has_plan(row) and row.get(LEAST) is not None else None


def _is_range(point: Point) -> bool:
    """Return whether a plan is known that may not be the cheapest."""
    is_known = point["usd"] is not None and point["least"] is not None
    return bool(is_known and point["usd"] - point["least"] > _SURE * point["usd"])


def _amount(row: Mapping[str, Any]) -> str:
    if not has_plan(row):
        return NO_PLAN
    amounts = [usd(row["usd_month"])]
    least = _least(row)
    if least is not None and _is_range({"usd": float(row["usd_month"]), "least": least}):
        amounts.insert(0, usd(row[LEAST]))
    return " to ".join(dict.fromkeys(amounts))


def _text(value: Any) -> str:  # noqa: ANN401 -- whatever was varied
    match value:
        case None:
            return NONE
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return plain(value)
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(_text(part) for part in value) or NONE
        case _:
            return visible(str(value))


def _number(value: Any) -> float | None:  # noqa: ANN401 -- whatever was varied
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return float(value)


def series_of(points: Sequence[Point]) -> list[str]:
    """Return the curves in the order in which they come, and are drawn."""
    return list(dict.fromkeys(point["series"] for point in points))


def places_of(points: Sequence[Point]) -> list[str]:
    """Return the values of x in their order: numbers by size, texts as they come, none last."""
    ranks: dict[str, tuple[int, float]] = {}
    for at, point in enumerate(points):
        number, last = point["number"], point["x"] in {NONE, NO_PLAN}
        rank = (0, number) if number is not None else (2, at) if last else (1, at)
        ranks.setdefault(point["x"], rank)
    return sorted(ranks, key=lambda place: ranks[place])


def curves_of(points: Sequence[Point], places: Sequence[str]) -> Iterator[Point]:
    """Yield the cheapest plan at each x of each series; ``stretch`` grows where there is none."""
    rank = {place: at for at, place in enumerate(places)}
    turn = {name: at for at, name in enumerate(series_of(points))}
    order = sorted(points, key=lambda point: (turn[point["series"]], rank[point["x"]]))
    stretch = 0
    for _, mine in groupby(order, key=lambda point: point["series"]):
        stretch += 1
        for _, here in groupby(mine, key=lambda point: point["x"]):
            plans = [point for point in here if point["usd"] is not None]
            if plans:
                yield {**min(plans, key=lambda point: point["usd"]), "stretch": stretch}
            else:
                stretch += 1


def levels_of(points: Sequence[Point]) -> dict[str, int]:
    """Return for each series how many later ones cover a point of it, at most.

    What is drawn first is drawn wider by as much, so that none disappears behind another.
    """
    order = {name: at for at, name in enumerate(series_of(points))}
    here: dict[tuple[str, float], set[str]] = {}
    for point in points:
        if point["usd"] is not None:
            here.setdefault((point["x"], point["usd"]), set()).add(point["series"])
    levels = dict.fromkeys(order, 0)
    for names in here.values():
        for above, name in enumerate(sorted(names, key=lambda name: -order[name])):
            levels[name] = max(levels[name], above)
    return levels
