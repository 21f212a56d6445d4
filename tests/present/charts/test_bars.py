"""Bars: what they are made of."""

from __future__ import annotations

import pytest

from planner.present.charts.bars import (
    MOST_KINDS,
    ChartRow,
    bars,
    kinds_of,
    nothing,
    titled,
    usd_axis,
)
from planner.present.charts.base import COLOURS, REST, page_svg
from tests.present.charts.drawn import is_empty, layers, pieces, rows, subtitle

ROWS = [ChartRow("first", "$2.00"), ChartRow("second", "$1.00")]
PIECES = [
    {"row": "first", "start": 0, "end": 2, "pale": False, "kind": "k"},
    {"row": "second", "start": 0, "end": 1, "pale": True, "kind": "l"},
]


def test_rows_and_pieces_are_drawn_as_they_are() -> None:
    """The order is that of the rows; what is beside a bar is what was said."""
    chart = bars(ROWS, PIECES, x=usd_axis(), tooltip={"row": "name"})
    assert rows(chart) == [("first", "$2.00"), ("second", "$1.00")]
    assert pieces(chart) == PIECES
    assert chart.to_dict()["height"] == 2 * 38


def test_kinds_have_colours_and_the_rest_is_grey() -> None:
    """The first five have a colour of their own."""
    names = [f"kind {at}" for at in range(MOST_KINDS + 1)]
    assert list(kinds_of("kind", names[:2]).colours) == list(COLOURS[:2])
    assert list(kinds_of("kind", names).colours) == [*COLOURS, REST]


@pytest.mark.slow
def test_nothing_has_a_picture_too() -> None:
    """It says so, under the title, with the reason."""
    chart = nothing("Title", ["There are no disks"])
    assert is_empty(chart)
    assert subtitle(chart) == "There are no disks."
    assert "nothing to draw" in page_svg(chart)


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("kinds", [None, kinds_of("kind", ["k", "l"])])
def test_the_same_bars_are_the_same_chart(kinds: None) -> None:
    """No counter of the library shows in what is drawn."""
    charts = [
        titled(bars(ROWS, PIECES, x=usd_axis(), tooltip={"row": "name"}, kinds=kinds), "T", ["a"])
        for _ in range(2)
    ]
    assert charts[0].to_json() == charts[1].to_json()
    assert len(layers(charts[0])) == 3
