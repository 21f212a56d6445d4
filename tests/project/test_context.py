"""Time: options over environment over defaults, and the steps of a search."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from planner.errors import InputError, RateLimited
from planner.project.context import Heartbeat, Pace, seconds_from
from tests.project.world import World, plan_of

if TYPE_CHECKING:
    from pathlib import Path


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


def test_silence_is_reported_and_a_question_is_not_disturbed() -> None:
    """An event whenever there was none for a while, except while a person is asked."""
    events: list[Any] = []
    heartbeat = Heartbeat(events.append, every_s=0.05)
    with heartbeat.running():
        with heartbeat.asking():
            time.sleep(0.2)
        assert events == []
        deadline = time.monotonic() + 30
        while not events and time.monotonic() < deadline:
            time.sleep(0.01)
        assert {event["event"] for event in events} == {"waiting"}
        heartbeat({"event": "intent"})
    count = len(events)
    time.sleep(0.1)
    assert len(events) == count


def test_a_pause_that_one_request_was_asked_for_holds_all_of_them() -> None:
    """A create is told to wait 20 s: the next listing of the same run waits as long."""
    world = World()
    world.fault("429_told")
    (slot,) = plan_of(1).planned_disks
    with world.account() as account:
        with pytest.raises(RateLimited):
            account.create(slot.request)
        account.disks()
    first, second = (sent.at for sent in world.log)
    assert second - first >= 20


def test_a_pause_of_a_listing_is_not_cut_short() -> None:
    """Longer than may be waited ends the request; otherwise it is kept as told."""
    world = World()
    world.order("GET /disks/#1:429=45")
    with world.account() as account:
        with pytest.raises(RateLimited):
            account.disks()
        assert len(world.log) == 1
        account._max_wait_s = 60.0
        account.disks()
    assert world.log[1].at - world.log[0].at >= 45


@pytest.mark.sweep
@pytest.mark.parametrize("settle_s", [9.0, 90.0])
def test_two_hours_are_two_hours(settle_s: float, tmp_path: Path) -> None:
    """With --wait neither scaled nor cut; without it the run ends with that time."""
    world = World()
    world.order("POST /disks/#1:429=7200")
    outcome = world.apply(tmp_path, plan_of(1), pace={"settle_s": settle_s})
    assert outcome.exit_code == 4
    assert "2026-01-01 14:00" in str(outcome.stop)
    pace = {"settle_s": settle_s, "waits_long": True}
    outcome = world.apply(tmp_path, plan_of(1), pace=pace)
    assert outcome.exit_code == 0
    first, second = (sent.at for sent in world.requests("POST"))
    assert second - first >= 7200


def test_an_unknown_outcome_that_comes_with_a_long_pause_ends_the_run(tmp_path: Path) -> None:
    """Nothing is asked before that time; the run ends with it."""
    world = World()
    world.order("POST /disks/#1:status=503+retry-after=300")
    outcome = world.apply(tmp_path, plan_of(1))
    assert outcome.exit_code == 6
    assert "asks to wait until" in str(outcome.stop)
    assert world.log[-1].method == "POST"
