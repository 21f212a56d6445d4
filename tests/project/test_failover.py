"""After a stock-out: the rest elsewhere, what was bought where it is, each sent once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.errors import OutOfStock
from planner.market.offers import offers_frame
from planner.project.execute import replan
from planner.project.journal import Journal
from planner.project.preflight import read_account, recorded_disks
from tests.project.world import START, URL, World, offer

if TYPE_CHECKING:
    from pathlib import Path

    from planner.plans.plan import Plan
    from planner.project.status import ApplyOutcome

TARGET: dict[str, str | None] = {"base_url": URL, "team_id": None}
CHEAP, DEAR = offer(), offer("hyperstack", "NO-1", price=0.0002)
"""0.0001 and 0.0002 USD per GB and hour."""


def planned(offers: list[dict[str, Any]], *volumes: dict[str, Any], **top: Any) -> Plan:
    """Return a plan, by default of v1 and v2 with 100 GB each."""
    listed = volumes or ({"name": "v1", "size_gb": 100}, {"name": "v2", "size_gb": 100})
    demand = demand_from({"version": 1, "project": "lab", "volumes": list(listed), **top})
    return planner.plan(demand, offers_frame(offers), target=TARGET, now=START, nonce="nonce-1")


def elsewhere(world: World, folder: Path, plan: Plan, report: ApplyOutcome, percent: str) -> Plan:
    with Journal(folder, write=False) as journal:
        recorded, _ = recorded_disks(journal.records, "lab", TARGET)
    with world.account() as account:
        disks = read_account(account)
    other = replan(plan, report, world.market(), disks, recorded, Decimal(percent))
    return replace(other, created_at=START.isoformat(timespec="seconds"))  # by the world's clock


def sold_out(folder: Path, *offers: dict[str, Any], **top: Any) -> tuple[World, Plan, ApplyOutcome]:
    """Return what is left when the second create meets a stock-out."""
    world = World(offers=list(offers))
    world.fault("ok", "409_stock")
    plan = planned(list(offers), **top)
    return world, plan, world.apply(folder, plan)


def test_the_rest_goes_elsewhere_and_the_first_stays(tmp_path: Path) -> None:
    """v1 at runpod for 0.01, v2 refused there, then bought at hyperstack for 0.02."""
    world, plan, report = sold_out(tmp_path, CHEAP, DEAR)
    assert isinstance(report.stop, OutOfStock)
    first = world.live[0].id
    other = elsewhere(world, tmp_path, plan, report, "50")
    assert [(one.action, one.provider) for one in other.placements] == [
        ("keep", "runpod"),
        ("create", "hyperstack"),
    ]
    assert other.placements[0].disk_ids == (first,)
    assert other.totals["new_usd_hr"] == "0.02"
    assert other.totals["disk_usd_hr"] == "0.03"
    done = world.apply(tmp_path, other)
    assert done.exit_code == 0
    assert [disk.provider for disk in world.live] == ["runpod", "hyperstack"]
    assert len(world.posts) == len(set(world.posts)) == 3  # v1, v2 refused, v2 elsewhere
    assert world.apply(tmp_path, other).exit_code == 0
    assert len(world.posts) == 3


@pytest.mark.parametrize(("percent", "allowed"), [("50", True), ("49.99", False), ("0", False)])
def test_the_fleet_may_rise_by_so_much(percent: str, allowed: bool, tmp_path: Path) -> None:
    """From 0.02 to 0.03 an hour is 50 per cent: that much is allowed, and nothing above."""
    world, plan, report = sold_out(tmp_path, CHEAP, DEAR)
    if allowed:
        elsewhere(world, tmp_path, plan, report, percent)
        return
    with pytest.raises(OutOfStock, match=r"\$0.0100/h more") as caught:
        elsewhere(world, tmp_path, plan, report, percent)
    assert caught.value.exit_code == 5
    assert caught.value.data["drift"] == ["runpod cloud-1 US-1 US: out of stock"]
    assert "--failover" in str(caught.value.hint)
    assert len(world.live) == 1
    assert len(world.posts) == 2


def test_no_other_place_is_five(tmp_path: Path) -> None:
    """What exists stays, and nothing more is sent."""
    world, plan, report = sold_out(tmp_path, CHEAP)
    with pytest.raises(OutOfStock, match="no other place is left") as caught:
        elsewhere(world, tmp_path, plan, report, "1000")
    assert caught.value.exit_code == 5
    assert len(world.live) == 1


def test_a_group_that_the_first_disk_ties_leaves_no_place(tmp_path: Path) -> None:
    """Both belong at one site, and it has no more: the second offer does not help."""
    group = {"volumes": ["v1", "v2"], "same": "site"}
    world, plan, report = sold_out(tmp_path, CHEAP, DEAR, groups=[group])
    with pytest.raises(OutOfStock, match="no other place"):
        elsewhere(world, tmp_path, plan, report, "1000")


def test_the_region_of_a_sold_out_offer_is_still_known(tmp_path: Path) -> None:
    """Both belong in one region: the other site there serves, though the first offer is out."""
    near = offer("hyperstack", "US-2", price=0.0002)
    far = offer("crusoe", "NO-1", price=0.00015, region="eu_north")
    group = {"volumes": ["v1", "v2"], "same": "region"}
    world, plan, report = sold_out(tmp_path, CHEAP, near, far, groups=[group])
    other = elsewhere(world, tmp_path, plan, report, "50")
    assert [one.provider for one in other.placements] == ["runpod", "hyperstack"]
    assert {one.region for one in other.placements} == {"united_states"}


def test_a_stock_out_before_the_first_create_moves_everything(tmp_path: Path) -> None:
    """The market already says so: nothing was sent, and all is planned at the other offer."""
    plan = planned([CHEAP, DEAR])
    world = World(offers=[{**CHEAP, "stockStatus": "Unavailable"}, DEAR])
    report = world.apply(tmp_path, plan)
    assert isinstance(report.stop, OutOfStock)
    assert world.posts == []
    other = elsewhere(world, tmp_path, plan, report, "100")
    assert {one.provider for one in other.placements} == {"hyperstack"}
    assert world.apply(tmp_path, other).exit_code == 0
    assert len(world.live) == 2


def test_half_a_replica_is_left_to_a_person(tmp_path: Path) -> None:
    """One of two disks of a volume was bought: the other place is planned, and never both billed.

    The next apply meets the first disk's record and stops with exit 7.
    """
    big = {"name": "big", "size_gb": 9000, "max_disks": 2}
    world = World(offers=[CHEAP, DEAR])
    world.fault("ok", "409_stock")
    plan = planned([CHEAP, DEAR], big)
    report = world.apply(tmp_path, plan)
    other = elsewhere(world, tmp_path, plan, report, "100")
    assert [(one.action, one.provider) for one in other.placements] == [("create", "hyperstack")]
    stopped = world.apply(tmp_path, other)
    assert stopped.exit_code == 7
    assert world.live[0].id in str(stopped.stop)
    assert len(world.live) == 1


def test_what_was_there_before_stays_too(tmp_path: Path) -> None:
    """A named disk of somebody's hand is kept through plan, stock-out and failover."""
    world = World(offers=[CHEAP, DEAR])
    old = world.foreign("old", 100, provider="runpod", data_center="US-1")
    with world.account() as account:
        disks = read_account(account)
    volumes = [
        {"name": "v0", "size_gb": 100, "disks": [old]},
        {"name": "v1", "size_gb": 100},
        {"name": "v2", "size_gb": 100},
    ]
    demand = demand_from({"version": 1, "project": "lab", "volumes": volumes})
    plan = planner.plan(demand, offers_frame([CHEAP, DEAR]), disks=disks, target=TARGET, now=START)
    world.fault("ok", "422_stock")
    report = world.apply(tmp_path, plan)
    other = elsewhere(world, tmp_path, plan, report, "34")  # 0.03 + 0.01 an hour
    assert [one.action for one in other.placements] == ["keep", "keep", "create"]
    assert world.apply(tmp_path, other).exit_code == 0
    assert len(world.live) == 3
