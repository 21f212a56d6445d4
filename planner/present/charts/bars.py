"""Bars with their label above them and their amount beside it: nothing is cut on a narrow page.

Every chart of bars is drawn from rows (one label and one amount each) and pieces (one stretch of
a bar each). What is drawn is computed beforehand, exactly; Vega only draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from planner.present.charts.base import (
    COLOURS,
    LABEL_PX,
    PALE,
    REST,
    WIDTH,
    altair,
    config,
    lines,
    named,
    usd,
)
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import altair as alt


_Name = TypeVar("_Name", str, str | None)
MOST_ROWS = 20
"""Bars of a chart; what is beyond is summed up in one more, or counted."""
MOST_KINDS = len(COLOURS)
"""Colours of a chart; what is beyond shares one more."""

BAR_DOWN = 8
"""Where the middle of a bar lies, in px below that of its row."""
BAR_PX = 13
"""Height of a bar."""
_LABEL_UP = -8
_STEP_PX = 38
_LETTER_PX = 7


@dataclass(frozen=True)
class ChartRow:
    """A label, unlike that of any other row, and the amount beside it, as people read them."""

    label: str
    amount: str


@dataclass(frozen=True)
class Kinds:
    """What colours stand for: the kinds in their order, and what the legend calls them."""

    title: str
    names: Sequence[str]
    colours: Sequence[str]

    def encoding(self, field: str, symbol: str = "square") -> alt.Color:
        """Return the colours of a field, with a legend in as many columns as have room."""
        draw = altair()
        column_px = 40 + min(LABEL_PX, _LETTER_PX * max(len(name) for name in self.names))
        columns = draw.ExprRef(f"max(1, floor(width / {column_px}))")
        colour: alt.Color = draw.Color(
            f"{field}:N",
            scale=draw.Scale(domain=list(self.names), range=list(self.colours)),
            legend=draw.Legend(title=self.title, symbolType=symbol, columns=columns),
        )
        return colour


def kinds_of(title: str, names: Sequence[str]) -> Kinds:
    """Return up to ``MOST_KINDS`` kinds in the house's colours; one beyond, the rest, is grey."""
    return Kinds(title, names, (*COLOURS, REST)[: len(names)])


def titled(chart: alt.LayerChart, title: str, sentences: Iterable[str]) -> alt.LayerChart:
    """Return a chart under its title, in the house's looks."""
    text = altair().Title(title, subtitle=lines(sentences))
    finished: alt.LayerChart = chart.properties(title=text).configure(**config())
    return finished


def nothing(title: str, sentences: Iterable[str]) -> alt.LayerChart:
    """Return a chart that says that there is nothing to draw, and why."""
    draw = altair()
    data = draw.InlineData([{"said": "nothing to draw"}])
    mark = draw.Chart(data).mark_text(align="left", baseline="middle", fontStyle="italic")
    layer = draw.layer(mark.encode(text="said:N", x=draw.value(0)))
    return titled(layer.properties(width=WIDTH, height=20), title, sentences)


def summed(amounts: Iterable[tuple[_Name, Decimal]], most: int, noun: str) -> dict[_Name, str]:
    """Return a label for each name, that of the largest sum of its amounts first: see `named`."""
    sums: dict[_Name, Decimal] = {}
    for name, amount in amounts:
        sums[name] = total([sums.get(name, Decimal(0)), amount])
    return named(sums, most, noun)


def stacked(parts: Iterable[tuple[Decimal, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the stretches of one bar from its beginning, each with what is said of it."""
    pieces, end = [], total([])
    for amount, about in parts:
        start, end = end, total([end, amount])
        ends = {"start": float(start), "end": float(end)}
        pieces += [{**about, **ends, "amount": usd(amount)}] if amount else []
    return pieces


def tooltips(fields: Mapping[str, str]) -> list[alt.Tooltip]:
    """Return what is read of a mark that is pointed at: texts under their names."""
    draw = altair()
    return [draw.Tooltip(f"{field}:N", title=name) for field, name in fields.items()]


def row_axis(rows: Sequence[ChartRow]) -> alt.Y:
    """Return the vertical axis of rows, the first at the top; labels are drawn by ``bars``."""
    draw = altair()
    scale = draw.Scale(domain=[row.label for row in rows])
    axis: alt.Y = draw.Y("row:N", scale=scale, axis=None)
    return axis


def usd_axis(title: str = "USD a month") -> alt.X:
    """Return the horizontal axis of what is paid."""
    draw = altair()
    ticks = draw.Axis(format="$,~r", grid=False, tickCount=5)
    axis: alt.X = draw.X("start:Q", title=title, axis=ticks)
    return axis


def bars(
    rows: Sequence[ChartRow],
    pieces: Sequence[dict[str, Any]],
    *,
    x: alt.X,
    tooltip: Mapping[str, str],
    kinds: Kinds | None = None,
    marks: Sequence[alt.Chart] = (),
) -> alt.LayerChart:
    """Return a chart of bars, without title and looks.

    Parameters
    ----------
    pieces : sequence of dict
        ``row`` (a label), ``start`` and ``end`` along x, the fields of the tooltip as texts,
        ``kind`` where there are kinds, and ``pale`` (True: outlined, not filled).
    x : X
        The horizontal axis, of the field ``start``.
    kinds : Kinds | None
        What colours stand for; None draws all in one.
    """
    draw = altair()
    bar = draw.Chart(draw.InlineData(list(pieces)), name="bars").mark_bar(
        height=BAR_PX, yOffset=BAR_DOWN, x2Offset=-1, color=COLOURS[0]
    )
    bar = bar.encode(
        x=x,
        x2="end",
        y=row_axis(rows),
        fillOpacity=draw.condition(draw.datum.pale, draw.value(PALE), draw.value(1)),
        strokeWidth=draw.condition(draw.datum.pale, draw.value(1), draw.value(0)),
        tooltip=tooltips(tooltip),
    )
    if kinds is not None:
        pointed = draw.selection_point(name="pointed", fields=["kind"], bind="legend")
        colour = kinds.encoding("kind")
        opacity = draw.condition(pointed, draw.value(1), draw.value(PALE))
        bar = bar.encode(color=colour, stroke=colour, opacity=opacity).add_params(pointed)
    chart: alt.LayerChart = draw.layer(bar, *marks, *_texts(rows))
    return chart.properties(width=WIDTH, height=_STEP_PX * len(rows))


def _texts(rows: Sequence[ChartRow]) -> list[alt.Chart]:
    """Return the layers of labels (left, above the bar) and amounts (right)."""
    draw = altair()
    data = draw.InlineData([{"row": row.label, "amount": row.amount} for row in rows])
    taken = _LETTER_PX * max(len(row.amount) for row in rows) + 6
    base = draw.Chart(data).encode(
        y=row_axis(rows), tooltip=[draw.Tooltip("row:N", title="name"), draw.Tooltip("amount:N")]
    )
    style = {"baseline": "middle", "yOffset": _LABEL_UP}
    label = base.mark_text(align="left", limit=draw.ExprRef(f"width - {taken}"), **style)
    amount = base.mark_text(align="right", **style)
    return [
        label.encode(x=draw.value(0), text="row:N"),
        amount.encode(x=draw.value("width"), text="amount:N"),
    ]
