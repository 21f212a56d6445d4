"""How far two clocks are apart at least."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from planner.marketplace.protocol import Probe

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date_s", "took_s", "skew_s"),
    [(0, 0.5, 0), (-1, 0.5, 0), (3, 5, 0), (-61, 1, 60), (45, 5, -40)],
)
def test_the_skew_is_what_cannot_be_otherwise(date_s: float, took_s: float, skew_s: float) -> None:
    """Whole seconds of the server, and a request that takes its time, are no skew."""
    date, answered = NOW + timedelta(seconds=date_s), NOW + timedelta(seconds=took_s)
    assert Probe(200, date, NOW, answered, None).skew_s == skew_s
