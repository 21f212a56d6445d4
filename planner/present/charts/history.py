"""Price and stock of offers over time, as far as the market was read."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from planner.market.history import CHANGES, GPU_CHANGES, is_in_stock
from planner.market.offers import place_text
from planner.present.charts.bars import BAR_PX, MOST_KINDS, kinds_of, nothing, titled
from planner.present.charts.base import PALE, WIDTH, altair, counted, labels
from planner.schema import conform, records
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt
    import pandas as pd

_PRICE_PX, _ROW_PX = 220, 38
_LABEL_UP, _BAR_DOWN = -8, 8
_Stretch = dict[str, Any]


def history_chart(changes: pd.DataFrame) -> alt.LayerChart | alt.VConcatChart:
    """Return price and stock over time: a line and a bar for each of the cheapest offers.

    Parameters
    ----------
    changes : DataFrame
        Columns ``CHANGES`` or ``GPU_CHANGES``, as ``planner.history(changes=True)`` returns them;
        without rows the chart says so.

    Raises
    ------
    FrameError
        When the frame is neither.
    InputError
        When the extra ``charts`` is not installed.
    """
    altair()
    is_gpu = "usd_hr" in changes
    columns = GPU_CHANGES if is_gpu else CHANGES
    price, unit = ("usd_hr", "USD an hour") if is_gpu else ("usd_gb_hr", "USD per GB and hour")
    title = "Price and stock over time"
    identity = [column.name for column in columns[3:-2]]
    offers: dict[tuple[Any, ...], list[_Stretch]] = defaultdict(list)
    for row in records(conform(changes, columns, what="history")):
        offers[tuple(row[name] for name in identity)].append(row)
    if not offers:
        return nothing(title, ["There is no history"])
    cheapest = sorted(offers, key=lambda key: _last_price(offers[key], price))[:MOST_KINDS]
    names = labels({key: _name(offers[key][0]) for key in cheapest})
    drawn = {names[key]: offers[key] for key in cheapest}
    ends = max(row["to_at"] for rows in drawn.values() for row in rows)
    sentences = [
        f"The {len(drawn)} cheapest of {counted(len(offers), 'offer')}"
        if len(offers) > len(drawn)
        else "",
        "Bars: in stock; pale: stock unknown; no bar: not in stock",
    ]
    chart = altair().vconcat(_prices(drawn, price, unit, ends), _stock(drawn, ends))
    return titled(chart, title, sentences)


def _name(row: Mapping[str, Any]) -> str:
    model = f"{row['gpus']} x {row['gpu_type']}, " if "gpu_type" in row else ""
    return f"{model}{place_text(row)}, {row['offer_id']}"


def _last_price(rows: Sequence[_Stretch], price: str) -> tuple[bool, Any]:
    prices = [row[price] for row in rows if row[price] is not None]
    return (not prices, prices[-1] if prices else 0)


def _until(rows: Sequence[_Stretch], ends: str) -> list[tuple[_Stretch, str]]:
    """Return stretches with the time up to which they are drawn: the next one's first listing."""
    following = [row["from_at"] for row in rows[1:]]
    return [*zip(rows, [*following, ends], strict=True)]


def _prices(drawn: Mapping[str, Sequence[_Stretch]], price: str, unit: str, ends: str) -> alt.Chart:
    draw = altair()
    points = [
        {
            "offer": name,
            "at": at,
            "price": None if row[price] is None else float(row[price]),
            "exact": None if row[price] is None else plain(row[price]),
        }
        for name, rows in drawn.items()
        for row, until in _until(rows, ends)
        for at in (row["from_at"], until)
    ]
    line = draw.Chart(draw.InlineData(points)).mark_line(strokeWidth=2, point={"size": 12})
    chart: alt.Chart = line.encode(
        x=draw.X("at:T", title=None, axis=draw.Axis(grid=False)),
        y=draw.Y("price:Q", title=unit, axis=draw.Axis(format="~g", tickCount=5)),
        color=kinds_of("offer", list(drawn)).encoding("offer"),
        tooltip=[draw.Tooltip("offer:N"), draw.Tooltip("exact:N", title=unit)],
    ).properties(width=WIDTH, height=_PRICE_PX)
    return chart


def _stock(drawn: Mapping[str, Sequence[_Stretch]], ends: str) -> alt.LayerChart:
    draw = altair()
    pieces = [
        {
            "offer": name,
            "from": row["from_at"],
            "to": until,
            "stock": row["stock"],
            "unknown": is_in_stock(row["stock"]) is None,
        }
        for name, rows in drawn.items()
        for row, until in _until(rows, ends)
        if is_in_stock(row["stock"]) is not False
    ]
    place = draw.Y("offer:N", scale=draw.Scale(domain=list(drawn)), axis=None)
    bar = draw.Chart(draw.InlineData(pieces)).mark_bar(height=BAR_PX, yOffset=_BAR_DOWN)
    colour = kinds_of("offer", list(drawn)).encoding("offer")
    bar = bar.encode(
        x=draw.X("from:T", title=None, axis=draw.Axis(grid=False)),
        x2="to:T",
        y=place,
        color=colour,
        stroke=colour,  # a stretch of one listing has no width
        opacity=draw.condition(draw.datum.unknown, draw.value(PALE), draw.value(1)),
        tooltip=[draw.Tooltip("offer:N"), draw.Tooltip("stock:N")],
    )
    names = draw.Chart(draw.InlineData([{"offer": name} for name in drawn]))
    text = names.mark_text(align="left", baseline="middle", yOffset=_LABEL_UP)
    text = text.encode(x=draw.value(0), y=place, text="offer:N")
    chart: alt.LayerChart = draw.layer(bar, text)
    return chart.properties(width=WIDTH, height=_ROW_PX * len(drawn))
