"""Charts of months: planned ones in columns with their moves, past ones as bars by owner."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import Any

from planner.present.charts.base import caption, svg
from planner.present.charts.months import PAST_MONTHS, PLANNED_MONTHS, past_chart, planned_chart
from planner.schema import build


def planned(month: str, volume: str, usd: str, moves: int = 0, once: str = "0") -> dict[str, Any]:
    amounts = {"disk_usd": Decimal(usd), "move_usd": Decimal(once)}
    known = {"project": "demo", "owner": None, "size_gb": 100, **amounts}
    return {"month": month, "volume": volume, "moves": moves, **known}


def layers(chart: Any) -> list[list[dict[str, Any]]]:
    spec = chart.to_dict()
    return [spec["datasets"][layer["data"]["name"]] for layer in spec["layer"]]


def test_columns_are_stacked_and_moves_marked() -> None:
    """10 and 5, then 20 with 3 once, and 5: the mark stands on 28."""
    months = [
        planned("2026-11", "corpus", "10"),
        planned("2026-11", "logs", "5"),
        planned("2026-12", "corpus", "20", 1, "3"),
        planned("2026-12", "logs", "5"),
    ]
    chart = planned_chart(build(months, PLANNED_MONTHS))
    pieces, marks = layers(chart)
    assert [(p["month"], p["kind"], p["start"], p["end"], p["pale"]) for p in pieces] == [
        ("2026-11", "corpus", 0, 10, False),
        ("2026-11", "logs", 10, 15, False),
        ("2026-12", "corpus", 0, 20, False),
        ("2026-12", "corpus", 20, 23, True),
        ("2026-12", "logs", 23, 28, False),
    ]
    assert marks == [{"month": "2026-12", "top": 28, "moves": "corpus", "once": "$3.00"}]
    assert caption(chart)[1].startswith("2 months: $43.00, 1 move included.")
    ET.fromstring(svg(chart))  # noqa: S314 -- our own picture


def test_nothing_to_draw_is_said() -> None:
    """Without months, both say so."""
    assert caption(planned_chart(build([], PLANNED_MONTHS)))[1] == "No volume grows."
    assert "No disk" in caption(past_chart(build([], PAST_MONTHS)))[1]


def past(month: str, owner: str | None, billed: str, unbilled: str) -> dict[str, Any]:
    amounts = {"billed_usd": Decimal(billed), "unbilled_usd": Decimal(unbilled)}
    return {"month": month, "owner": owner, **amounts}


def test_past_months_are_bars_and_list_price_is_outlined() -> None:
    """What is billed comes first; where there is only one of the two, nothing is outlined."""
    months = [past("2026-10", "ada", "4", "1"), past("2026-11 so far", None, "0", "2")]
    chart = past_chart(build(months, PAST_MONTHS))
    pieces = layers(chart)[0]
    assert [(p["row"], p["kind"], p["end"], p["pale"]) for p in pieces] == [
        ("2026-10", "ada", 4, False),
        ("2026-10", "ada", 5, True),
        ("2026-11 so far", "(no owner)", 2, True),
    ]
    assert caption(chart)[1] == "Outlined: list price, not billed."
    listed = past_chart(build(months[1:], PAST_MONTHS))
    assert [p["pale"] for p in layers(listed)[0]] == [False]
    assert caption(listed)[1] == "All of it is list price."
