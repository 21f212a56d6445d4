"""``planner.watch`` against the simulator: it ends when it should, and asks no more than it may."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.errors import InputError, MarketError
from planner.marketplace.sim.local import Sim
from planner.project.watch import watch
from tests.marketplace.simulated import FakeTime, asked, opened
from tests.project.world import offer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.project.watch import WatchChange

DEAR, CHEAP = 0.0002, 0.0001
LISTING = "GET /availability/disks"


def demand(**more: Any) -> planner.Demand:
    return demand_from({"version": 1, "volumes": [{"name": "data", "size": "1 TB", **more}]})


def market() -> list[dict[str, Any]]:
    return [offer("alpha", "A-1", price=CHEAP), offer("beta", "B-1", price=DEAR)]


def watched(
    sim: Sim,
    folder: Path,
    *events: Callable[[], object],
    until: str = "feasible",
    every_s: float = 600,
    asks: planner.Demand | None = None,
) -> tuple[list[WatchChange], list[float]]:
    """Watch with one event in each pause; return the changes, and when each reading began."""
    time, pending = FakeTime(), iter(events)
    begun: list[float] = []
    with opened(sim, time, attempts=1) as client:
        listing = client.listing

        def sleep(seconds: float) -> None:
            time.sleep(seconds)
            following = next(pending, None)
            assert following is not None, "it goes on although nothing more happens"
            following()

        def counted(*args: Any, **kwargs: Any) -> Any:
            begun.append(time.now)
            return listing(*args, **kwargs)

        client.listing = counted  # type: ignore[method-assign]
        changes = watch(
            asks or demand(),
            until=until,
            every_s=every_s,
            state=folder,
            marketplace=client,
            sleep=sleep,
            clock=time.clock,
        )
        return list(changes), begun


def events_of(changes: list[WatchChange]) -> list[str]:
    return [change.event for change in changes]


def nothing() -> None:
    """Let a pause pass."""


def test_what_is_so_already_ends_at_once(tmp_path: Path) -> None:
    """One reading, no pause."""
    with Sim(market()) as sim:
        changes, begun = watched(sim, tmp_path)
    assert events_of(changes) == ["plan", "reached"]
    assert changes[-1].text == "Feasible: $73.00/month."
    assert changes[-1].plan is not None
    assert len(begun) == 1


@pytest.mark.slow
def test_it_ends_when_the_price_falls(tmp_path: Path) -> None:
    """By five per cent of the first plan, not by four; an unchanged market is silent."""

    def price(text: str) -> Callable[[], object]:
        return lambda: sim.change_offer({"provider": "alpha"}, price=text)

    with Sim(market()) as sim:
        changes, begun = watched(
            sim, tmp_path, nothing, price("0.000096"), price("0.000095"), until="cheaper:5%"
        )
    assert events_of(changes) == ["plan", "cost", "price", "cost", "price", "reached"]
    assert changes[1].text == "Plan: -$2.92/month ($73.00 → $70.08, -4.0 %)."
    assert changes[-1].text == "Cheaper: $69.35/month, $73.00 when the watch began."
    assert [late - early for early, late in itertools.pairwise(begun)] == [600, 600, 600]


@pytest.mark.slow
def test_it_ends_when_there_is_a_plan(tmp_path: Path) -> None:
    """It says why there is none, and what is out of stock."""

    def out() -> None:
        sim.change_offer({}, stock="Unavailable")

    def back() -> None:
        sim.change_offer({"provider": "beta"}, stock="Low")

    with Sim(market()) as sim:
        out()
        changes, _ = watched(sim, tmp_path, nothing, back)
    assert events_of(changes) == ["no_plan", "stock", "plan", "reached"]
    assert changes[0].text.startswith("No plan yet: data: none of 2 offers qualifies")
    assert changes[1].text == "data: alpha A-1 (US) is out of stock."
    assert changes[-1].text == "Feasible: $146.00/month."


@pytest.mark.slow
def test_it_ends_when_the_best_is_in_stock(tmp_path: Path) -> None:
    """A dearer plan is not what is waited for."""

    def stock(text: str) -> Callable[[], object]:
        return lambda: sim.change_offer({"provider": "alpha"}, stock=text)

    with Sim(market()) as sim:
        stock("Unavailable")()
        changes, _ = watched(sim, tmp_path, nothing, stock("Low"), until="stock")
    assert events_of(changes) == ["plan", "stock", "cost", "stock", "moved", "reached"]
    assert changes[3].text == "data: alpha A-1 (US) is in stock again (Low)."
    assert changes[4].text == "data: beta B-1 (US) to alpha A-1 (US)."


@pytest.mark.slow
def test_which_offer_went_is_said(tmp_path: Path) -> None:
    """Out of stock, or no longer listed; then the plan goes elsewhere."""
    with Sim(market()) as sim:
        changes, _ = watched(
            sim,
            tmp_path,
            lambda: sim.change_offer({"provider": "alpha"}, stock="sold out"),
            lambda: sim.change_offer({"provider": "beta"}, vanish=True),
            lambda: sim.change_offer({"provider": "alpha"}, stock="High", price="0.00005"),
            until="cheaper",
        )
    texts = [change.text for change in changes]
    assert "data: alpha A-1 (US) went out of stock." in texts
    assert "data: alpha A-1 (US) to beta B-1 (US)." in texts
    assert "data: beta B-1 (US) is no longer listed." in texts
    assert any(text.startswith("No longer feasible") for text in texts)
    assert texts[-1].startswith("Cheaper: $36.50/month")


@pytest.mark.sweep
@pytest.mark.parametrize(
    "fault", ["status=503", "429", "drop-before", "garbage", "list-short-total"]
)
def test_an_outage_is_waited_out(tmp_path: Path, fault: str) -> None:
    """However often it fails it is said once, and when it is over."""
    with Sim(market()) as sim:
        sim.change_offer({}, stock="Unavailable")
        sim.fault(f"{LISTING}:{fault}")

        def over() -> None:
            sim.clear_faults()
            sim.change_offer({}, stock="High")

        changes, begun = watched(sim, tmp_path, nothing, nothing, over)
        if fault in {"status=503", "429", "drop-before"}:
            assert len(asked(sim, path="/availability/disks")) == 4
    assert events_of(changes) == ["unread", "read", "plan", "reached"]
    assert changes[0].text.endswith("Next try in 10 minutes.")
    assert all(late - early >= 600 for early, late in itertools.pairwise(begun))


def test_a_wait_that_is_asked_for_is_kept(tmp_path: Path) -> None:
    """An hour is longer than ten minutes, and no request is sent before it is over."""
    with Sim(market()) as sim:
        sim.fault(f"{LISTING}#1:429=3600")
        changes, begun = watched(sim, tmp_path, nothing)
        requests = len(asked(sim, path="/availability/disks"))
    assert events_of(changes) == ["unread", "read", "plan", "reached"]
    assert requests == 2
    assert begun[1] - begun[0] >= 3600


def test_a_refused_key_ends_it(tmp_path: Path) -> None:
    """Waiting would not help."""
    with Sim(market()) as sim:
        sim.fault(f"{LISTING}:401")
        with pytest.raises(MarketError):
            watched(sim, tmp_path)


def test_disks_that_are_there_count(tmp_path: Path) -> None:
    """A volume that has its disk needs no offer, as when planning."""
    with Sim(market()) as sim:
        disk = sim.add_disk(name="mine", size=1000, usd_hr="0.1", provider="alpha")
        sim.change_offer({}, stock="Unavailable")
        changes, _ = watched(sim, tmp_path, asks=demand(disks=[disk["id"]]))
    assert events_of(changes) == ["plan", "reached"]


@pytest.mark.slow
def test_jobs_need_gpus(tmp_path: Path) -> None:
    """All three listings are read, one after the other, once a reading."""
    with Sim() as sim:
        changes, begun = watched(sim, tmp_path, asks=planner.read_demand("shipped:finetune"))
    assert changes[-1].event == "reached"
    assert len(begun) == 3


@pytest.mark.parametrize(
    "until", ["", "soon", "feasible:5%", "cheaper:", "cheaper:0%", "cheaper:100%", "cheaper:0.05"]
)
def test_what_is_not_understood_is_refused_at_once(until: str) -> None:
    """Before anything is read."""
    with pytest.raises(InputError, match="until"):
        watch(demand(), until=until)


def test_more_often_than_once_a_minute_is_refused() -> None:
    """The market is not ours."""
    for every_s in (0, 59.9, float("nan")):
        with pytest.raises(InputError, match="once a minute"):
            watch(demand(), every_s=every_s)


@pytest.mark.slow
def test_a_key_that_may_not_read_disks_plans_without_them(tmp_path: Path) -> None:
    """As `planner plan` does, and it is said once."""
    heard: list[str] = []
    time = FakeTime()
    with Sim(market()) as sim, opened(sim, time, key="sim-read", attempts=1) as client:
        sim.change_offer({}, stock="Unavailable")

        def sleep(seconds: float) -> None:
            time.sleep(seconds)
            if time.now > 2000:
                sim.change_offer({}, stock="High")

        changes = watch(
            demand(),
            state=tmp_path,
            marketplace=client,
            sleep=sleep,
            clock=time.clock,
            on_failure=heard.append,
        )
        assert [change.event for change in changes][-1] == "reached"
    assert len(heard) == 1
    assert "as if the account had no disks" in heard[0]
