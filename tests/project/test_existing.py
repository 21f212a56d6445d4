"""What a project has: the account's disks, and what the journal says they were bought as."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.market.offers import offers_frame
from planner.project.journal import Journal
from planner.project.preflight import read_account, recorded_disks
from tests.project.world import START, URL, World, offer, plan_of

if TYPE_CHECKING:
    from pathlib import Path

    from planner.plans.plan import Plan
    from planner.project.preflight import Recorded

TARGET: dict[str, str | None] = {"base_url": URL, "team_id": None}


def recorded(folder: Path, project: str = "lab", **target: Any) -> tuple[Recorded, tuple[str, ...]]:
    with Journal(folder, write=False) as journal:
        known = recorded_disks(journal.records, project, {**TARGET, **target})
        return known.in_use, known.warnings


def split(nonce: str = "nonce-1") -> Plan:
    """Return a plan of one volume of 9000 GB on two disks."""
    volume = {"name": "big", "size_gb": 9000, "max_disks": 2}
    demand = demand_from({"version": 1, "project": "lab", "volumes": [volume]})
    return planner.plan(demand, offers_frame([offer()]), target=TARGET, now=START, nonce=nonce)


@pytest.mark.slow
def test_what_was_bought_is_recorded_by_replica(tmp_path: Path) -> None:
    """Two volumes of one disk each; ids as the marketplace gave them."""
    world = World()
    world.apply(tmp_path)
    first, second = (disk.id for disk in world.live)
    assert recorded(tmp_path) == ({("v1", 1): (first,), ("v2", 1): (second,)}, ())


@pytest.mark.slow
def test_the_disks_of_one_replica_are_in_their_order(tmp_path: Path) -> None:
    """A volume on two disks is one replica of two ids."""
    world = World()
    world.apply(tmp_path, split())
    assert recorded(tmp_path)[0] == {("big", 1): tuple(disk.id for disk in world.live)}


@pytest.mark.slow
def test_half_a_replica_is_recorded_until_one_is_complete(tmp_path: Path) -> None:
    """The first of two disks was bought, the second refused: a plan replaces what there is."""
    world = World()
    world.fault("ok", "409_stock")
    world.apply(tmp_path, split())
    assert len(world.live) == 1
    (half,) = (disk.id for disk in world.live)
    assert recorded(tmp_path) == ({("big", 1): (half,)}, ())
    assert world.apply(tmp_path, split("nonce-2"), again=True).exit_code == 0
    assert recorded(tmp_path)[0] == {("big", 1): tuple(disk.id for disk in world.live[1:])}


def test_an_unknown_outcome_is_named_and_nothing_recorded(tmp_path: Path) -> None:
    """A create whose answer was lost, and which is nowhere: one sentence with its name."""
    world = World()
    world.fault("lost_before")
    world.apply(tmp_path, plan_of(1))
    disks, (pending,) = recorded(tmp_path)
    assert disks == {}
    assert world.posts[0] in pending
    assert pending.startswith("volume v1: ")


@pytest.mark.sweep
@pytest.mark.parametrize(
    "other", [{"project": "else"}, {"base_url": "https://else.test"}, {"team_id": "team-9"}]
)
def test_other_projects_marketplaces_and_teams_are_not_ours(
    other: dict[str, str], tmp_path: Path
) -> None:
    """The same journal serves all of them, each its own."""
    World().apply(tmp_path)
    assert recorded(tmp_path, **other) == ({}, ())


@pytest.mark.slow
def test_of_two_sets_the_later_is_taken(tmp_path: Path) -> None:
    """A second set bought on purpose is what the volume is from then on."""
    world = World()
    world.apply(tmp_path, plan_of(1))
    world.apply(tmp_path, plan_of(1, nonce="nonce-2"), again=True)
    _, later = (disk.id for disk in world.live)
    assert recorded(tmp_path)[0] == {("v1", 1): (later,)}


def test_a_state_that_was_never_used_has_nothing(tmp_path: Path) -> None:
    """No directory, no journal, no disks; and none is made."""
    assert recorded(tmp_path / "none") == ({}, ())
    assert not (tmp_path / "none").exists()


def test_the_account_is_read_whole(tmp_path: Path) -> None:
    """Ours and theirs, and where they were read."""
    world = World()
    world.apply(tmp_path)
    ids = [world.foreign(f"theirs-{n}") for n in range(3)]
    with world.account() as account:
        disks = read_account(account)
    assert len(disks) == 5
    assert set(ids) <= set(disks["id"])
    assert disks.attrs == {"source": f"{URL}/api/v1/disks/", "fetched_at": None}
    assert "0.01" in {str(price) for price in disks["usd_hr"]}


def test_a_disk_that_became_far_dearer_is_named(tmp_path: Path) -> None:
    """At twice its price it is named with both; a few per cent more are not worth a warning."""
    world = World()
    world.apply(tmp_path, plan_of(1))
    (disk,) = world.live
    bought = disk.usd_hr

    def said(usd_hr: Decimal) -> tuple[str, ...]:
        disk.usd_hr = usd_hr
        with world.account() as account, Journal(tmp_path, write=False) as journal:
            return recorded_disks(journal.records, "lab", TARGET, read_account(account)).warnings

    assert said(bought) == said(bought * Decimal("1.1")) == ()
    (warning,) = said(bought * 2)
    assert warning.startswith(f"disk {disk.id} (volume v1) costs $14.60/month, 100 % more than ")


@pytest.mark.slow
def test_what_was_bought_is_kept_by_the_next_plan(tmp_path: Path) -> None:
    """The whole way: apply, list, read the journal, plan again: nothing is to be bought."""
    world = World()
    world.apply(tmp_path, split())
    with world.account() as account:
        disks = read_account(account)
    again = planner.plan(
        split().demand, world.market(), disks=disks, recorded=recorded(tmp_path)[0], target=TARGET
    )
    assert again.requests == []
    assert [one.action for one in again.placements] == ["keep"]
    assert again.exact_totals["disk_usd_hr"] == Decimal("0.9")
    report = world.apply(tmp_path, again)
    assert report.exit_code == 0
    assert len(world.posts) == 2
