"""Price and stock over time: lines, bars, and nothing where there was none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.market.history_file import Recorder
from planner.market.snapshot import Snapshot
from planner.present.charts.base import svg
from planner.present.charts.history import history_chart
from tests.market.rows import disk
from tests.present.charts.drawn import HOSTILE, is_empty

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 10, 1, tzinfo=UTC)


def drawn(folder: Path, *listings: list[dict[str, Any]]) -> Any:
    record = Recorder(folder, "https://a", None, pytest.fail)
    for day, rows in enumerate(listings):
        record("disks", Snapshot(rows, "test", START + timedelta(days=day)))
    return history_chart(planner.history(state=folder, changes=True))


def rows(chart: Any, at: int) -> list[dict[str, Any]]:
    """Return what the upper (0) or lower (1) part draws."""
    spec = chart.to_dict()
    part = spec["vconcat"][at]
    part = part if at == 0 else part["layer"][0]
    listed: list[dict[str, Any]] = spec["datasets"][part["data"]["name"]]
    return listed


@pytest.mark.slow
def test_a_price_is_a_line_and_stock_a_bar(tmp_path: Path) -> None:
    """A gap where it was out of stock; the line ends at the last listing."""
    gone = disk(stockStatus="Unavailable", spec={"pricePerUnit": Decimal("0.0002")})
    chart = drawn(tmp_path, [disk()], [gone], [disk()], [disk()])
    assert [(row["at"][:10], row["exact"]) for row in rows(chart, 0)] == [
        ("2026-10-01", "0.0001"),
        ("2026-10-02", "0.0001"),
        ("2026-10-02", "0.0002"),
        ("2026-10-03", "0.0002"),
        ("2026-10-03", "0.0001"),
        ("2026-10-04", "0.0001"),
    ]
    assert [(row["from"][:10], row["to"][:10]) for row in rows(chart, 1)] == [
        ("2026-10-01", "2026-10-02"),
        ("2026-10-03", "2026-10-04"),
    ]


@pytest.mark.slow
def test_the_cheapest_are_drawn_and_the_rest_counted(tmp_path: Path) -> None:
    """Five colours; hostile names stay text."""
    offers = [
        disk(dataCenter=name[:200] or None, spec={"pricePerUnit": Decimal(n + 1)})
        for n, name in enumerate(HOSTILE)
    ]
    chart = drawn(tmp_path, offers)
    assert "The 5 cheapest of" in " ".join(chart.to_dict()["title"]["subtitle"])
    assert len({row["offer"] for row in rows(chart, 0)}) == 5
    assert "<img" not in svg(chart)


def test_no_history_is_said(tmp_path: Path) -> None:
    """Instead of empty axes."""
    assert is_empty(drawn(tmp_path))
