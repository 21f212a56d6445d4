"""A sweep as points to draw: numbers to draw by, texts to read, in one order."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.present.charts.bars import MOST_KINDS
from planner.present.charts.base import named, usd
from planner.schema import records
from planner.text import nearest, visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd


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
        close = nearest(column, [str(name) for name in frame.columns])
        hint = f"did you mean {close}?" if close else "name a column that was varied"
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
    swept : sequence of mapping
        Rows of a sweep.
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
            "amount": usd(row["usd_month"]) if has_plan(row) else NO_PLAN,
            "sites": _text(row["sites"]),
            "providers": _text(row["providers"]),
            "why": visible(row["why"] or ""),
        }
        for row, value, curve in zip(swept, along, curves, strict=True)
    ]


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
