"""Time: options over environment over defaults, and the steps of a search."""

from __future__ import annotations

import pytest

from planner.errors import InputError
from planner.project.context import Pace, seconds_from


def test_where_seconds_come_from() -> None:
    """The option wins over the variable, the variable over the default; fractions are fine."""
    assert seconds_from("settle", 2.5, {"PLANNER_SETTLE": "7"}, 90) == 2.5
    assert seconds_from("settle", None, {"PLANNER_SETTLE": "0.5"}, 90) == 0.5
    assert seconds_from("settle", None, {}, 90) == 90


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e9"])
def test_what_is_no_time(text: str) -> None:
    """Exit 2, naming the variable."""
    with pytest.raises(InputError, match="PLANNER_QUARANTINE"):
        seconds_from("quarantine", None, {"PLANNER_QUARANTINE": text}, 1)


@pytest.mark.parametrize("settle_s", [0.0, 0.9, 90.0, 300.0])
def test_looks_fill_the_settling_time(settle_s: float) -> None:
    """At once, then 1, 2, 4, 8, 15, 30 and once at the end, scaled."""
    looks = Pace(settle_s=settle_s).listing_pauses()
    assert looks[0] == 0
    assert len(looks) == 8
    assert sum(looks) == pytest.approx(settle_s)


def test_asking_to_stop_ends_a_wait() -> None:
    """A pause of an hour is over at once."""
    pace = Pace()
    pace.stop.set()
    pace.pause(3600)
