"""The ledger: every disk once, whosever it is, and what the plan counts on that is not there."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import planner
from planner.errors import BudgetGate, InputError
from planner.market.offers import offers_frame
from planner.project.journal import Journal
from planner.reports.holdings import account_holdings
from planner.reports.ledger import Purchase, bought_as
from tests.project import journeys
from tests.project.journeys import TARGET
from tests.project.world import START, World, planned_live
from tests.project.world import offer as listed
from tests.reports.world import URL, held, live, name_of, planned, report
from tests.solve.live_disks import offer

if TYPE_CHECKING:
    from pathlib import Path

    from planner.plans.plan import Plan
    from planner.reports.report import Report


def standings(made: object) -> list[tuple[str | None, int | None, str, str | None]]:
    lines = made.lines  # type: ignore[attr-defined]
    return [(one.volume, one.replica, one.standing, one.disk_id) for one in lines]


def test_a_plan_alone_is_to_be_bought() -> None:
    """Each request of the plan is one line, at size times price."""
    made = report(planned())
    assert standings(made) == [
        ("a", 1, "new", None),
        ("b", 1, "new", None),
        ("b", 2, "new", None),
    ]
    assert [one.usd_hr for one in made.lines] == [Decimal(n) / 100 for n in (1, 2, 4)]
    assert [one.size_gb for one in made.lines] == [100, 200, 200]
    assert [one.owner for one in made.lines] == ["ann", "bob", "bob"]
    assert [one.region for one in made.lines] == ["united_states", "united_states", "eu_north"]
    assert not made.knows_now


def test_an_account_alone_is_nobody_s() -> None:
    """Its disks are there, of no project, and their regions are unknown without a market."""
    made = report(None, held(live("disk-0001"), live("disk-0002", provider="beta")))
    assert standings(made) == [
        (None, None, "other", "disk-0001"),
        (None, None, "other", "disk-0002"),
    ]
    assert {one.region for one in made.lines} == {None}
    assert made.knows_now


def test_a_market_tells_the_region_of_a_place() -> None:
    """A place whose offers are all of one region is in it; one of two regions is unknown."""
    from planner.market.offers import offers_frame

    rows = [offer("beta", "0.1", "eu_north"), offer("alpha", "0.1", "r1")]
    rows.append({**offer("alpha", "0.1", "r2"), "cloudId": "other"})
    account = held(live("disk-0001"), live("disk-0002", provider="beta"))
    made = report(None, account, offers=offers_frame(rows))
    assert [one.region for one in made.lines] == [None, "eu_north"]


def test_a_disk_under_the_plan_s_name_was_bought_for_it() -> None:
    """The name of a slot is a hash of the plan: whoever bears it was bought as that slot."""
    plan = planned()
    there = live("disk-0001", size=200, name=name_of(plan, "b", 2), provider="beta", usd_hr="0.04")
    made = report(plan, held(there, live("disk-0002")))
    assert standings(made) == [
        ("a", 1, "new", None),
        ("b", 1, "new", None),
        ("b", 2, "bought", "disk-0001"),
        (None, None, "other", "disk-0002"),
    ]
    bought = made.lines[2]
    assert (bought.owner, bought.usd_hr, bought.usd_gb_hr) == ("bob", Decimal("0.04"), None)


def test_a_renamed_disk_is_known_by_the_journal() -> None:
    """What the journal says a disk was bought as holds whatever it is called now."""
    plan = planned()
    slot = Purchase(str(plan.to_document()["digest"]), "lab", "a", 1, 1)
    made = report(plan, held(live("disk-0001", name="precious")), bought={"disk-0001": slot})
    assert standings(made)[0] == ("a", 1, "bought", "disk-0001")
    other = Purchase("another plan", "den", "x", 3, 2)
    made = report(plan, held(live("disk-0001")), bought={"disk-0001": other})
    last = made.lines[-1]
    assert (last.standing, last.project, last.volume, last.replica) == ("other", "den", "x", 3)
    disks = {"disk-0001": other}
    made = report(None, held(live("disk-0001"), live("disk-0002")), bought=disks)
    (section,) = [one for one in made.sections(None) if one.name == "disks"]
    assert [row[-1] for row in section.rows] == ["live", "unmanaged"]


def test_two_disks_of_one_name_are_both_counted_and_said() -> None:
    """A duplicate is billed like any other: it stays in the sums, outside the plan."""
    plan = planned()
    twins = [live(f"disk-000{n}", name=name_of(plan, "a"), usd_hr="0.01") for n in (1, 2)]
    made = report(plan, held(*twins))
    assert [one.standing for one in made.lines] == ["bought", "new", "new", "other"]
    assert made.after.usd_hr == Decimal("0.08")
    assert "2 disks are called" in made.warnings[0]


def test_what_a_plan_keeps_costs_what_the_account_says_now() -> None:
    """A kept disk is counted at its live price, not at the price of the day of the plan."""
    volumes = [{"name": "a", "size_gb": 100, "disks": ["disk-0001"], "owner": "ann"}]
    plan = planned(live("disk-0001", usd_hr="0.02"), volumes=volumes, policy={})
    alone = report(plan)
    assert standings(alone) == [("a", 1, "kept", "disk-0001")]
    assert alone.lines[0].usd_hr == Decimal("0.02")
    dearer = report(plan, held(live("disk-0001", usd_hr="0.05")))
    assert dearer.lines[0].usd_hr == Decimal("0.05")


def test_a_kept_disk_that_is_gone_is_said_and_costs_nothing() -> None:
    """It is no longer billed; the plan has to be made again."""
    volumes = [{"name": "a", "size_gb": 100, "disks": ["disk-0001"]}]
    plan = planned(live("disk-0001"), volumes=volumes, policy={})
    made = report(plan, held(live("disk-0002")))
    assert [one.standing for one in made.lines] == ["other"]
    (doubt,) = made.doubts
    assert "disk-0001" in doubt
    assert "plan again" in doubt
    with pytest.raises(BudgetGate, match="The budgets cannot be confirmed: disk disk-0001"):
        made.against({None: Decimal(10**6)}).check()
    assert doubt in made.to_markdown()


def test_disks_without_ids_are_counted_one_by_one() -> None:
    """Two rows that nobody can tell apart are two disks, and two bills."""
    rows = [{**live("x"), "id": None, "name": None}, {**live("x"), "id": None, "name": None}]
    made = report(None, held(*rows))
    assert made.after.disks == 2
    assert made.lines[0].title == "a disk without name and id"


def test_a_plan_of_another_marketplace_is_refused() -> None:
    """Apples and pears: one plan, another account."""
    from dataclasses import replace

    plan = replace(planned(), target={"base_url": "https://other.example", "team_id": None})
    with pytest.raises(InputError, match=r"made for https://other.example, the account is at"):
        report(plan, held())
    assert report(replace(plan, target={"base_url": URL, "team_id": None}), held()).lines


def test_the_account_a_plan_was_made_with_is_what_it_adds_to() -> None:
    """Without a live account, the disks of the plan's own day are what is there."""
    plan = planned(live("disk-0001", usd_hr="0.5"))
    made = report(plan)
    assert made.knows_now
    assert made.now is not None
    assert made.now.usd_hr == Decimal("0.5")
    assert made.new.usd_hr == Decimal("0.07")
    assert made.as_of == plan.created_at


def test_a_journal_names_slots_and_doubts(tmp_path: object) -> None:
    """An empty journal knows nothing; what purchases leave there is tested with the commands."""
    with Journal(tmp_path / "none", write=False) as journal:  # type: ignore[operator]
        assert bought_as(journal.records, held()) == ({}, ())


CHEAP, DEAR = listed(), listed("hyperstack", "NO-1", price=0.0002)
"""0.0001 and 0.0002 USD per GB and hour."""


def after(world: World, folder: Path, plan: Plan) -> Report:
    """Return the report of a plan held against the account, as the journal knows its disks."""
    with world.account() as account:
        holdings = account_holdings(account, world.clock.now())
    with Journal(folder, write=False) as journal:
        slots, doubts = bought_as(journal.records, holdings)
    return planner.report(plan, holdings, bought=slots, doubts=doubts, now=world.clock.now())


def applied(world: World, folder: Path, *volumes: dict[str, object]) -> Plan:
    """Return a plan of volumes after it was applied, with failover."""
    demand = journeys.lab(*(volumes or (journeys.V1, journeys.V2)))
    plan = planner.plan(
        demand, offers_frame(world.offers), target=TARGET, now=START, nonce="nonce-1"
    )
    assert world.apply(folder, plan, failover=Decimal(200)).exit_code == 0
    return plan


@pytest.mark.slow
def test_a_disk_bought_elsewhere_after_a_stock_out_is_its_slot_s(tmp_path: Path) -> None:
    """v2 was refused at the planned place and bought at the next: one disk each, none to buy."""
    world = World(offers=[CHEAP, DEAR])
    world.fault("ok", "409_stock")
    made = after(world, tmp_path, applied(world, tmp_path))
    first, second = (disk.id for disk in world.live)
    assert standings(made) == [("v1", 1, "bought", first), ("v2", 1, "bought", second)]
    assert made.after.usd_hr == Decimal("0.05")
    assert [line.provider for line in made.lines] == ["runpod", "hyperstack"]


@pytest.mark.slow
def test_a_lost_create_elsewhere_that_is_listed_is_its_slot_s(tmp_path: Path) -> None:
    """Its answer was lost and the run ended; its name in the listing says which slot it is."""
    world = World(offers=[CHEAP, DEAR])
    world.fault("ok", "409_stock", "lost_after_very_late")
    demand = journeys.lab(journeys.V1, journeys.V2)
    plan = planner.plan(
        demand, offers_frame(world.offers), target=TARGET, now=START, nonce="nonce-1"
    )
    assert world.apply(tmp_path, plan, failover=Decimal(200)).exit_code == 6
    world.clock.sleep(1e6)
    made = after(world, tmp_path, plan)
    assert [one.standing for one in made.lines] == ["bought", "bought"]
    assert made.doubts == ()


@pytest.mark.slow
def test_a_slot_of_the_project_is_the_disk_in_use_whichever_plan_bought_it(tmp_path: Path) -> None:
    """A plan made offline again buys nothing twice; one that replaces a disk still buys it."""
    world = World(offers=[CHEAP, DEAR])
    applied(world, tmp_path)
    again = planner.plan(
        journeys.lab(journeys.V1, journeys.V2),
        offers_frame(world.offers),
        target=TARGET,
        now=START,
        nonce="nonce-2",
    )
    first, second = (disk.id for disk in world.live)
    assert standings(after(world, tmp_path, again)) == [
        ("v1", 1, "bought", first),
        ("v2", 1, "bought", second),
    ]
    grown = planned_live(
        world, tmp_path, journeys.lab(journeys.V1, {**journeys.V2, "size_gb": 400}), "nonce-3"
    )
    assert standings(after(world, tmp_path, grown)) == [
        ("v1", 1, "kept", first),
        ("v2", 1, "new", None),
        ("v2", 1, "other", second),
    ]
    world.apply(tmp_path, grown)
    for plan in (again, grown):
        made = after(world, tmp_path, plan)
        assert [(one.volume, one.standing, one.size_gb) for one in made.lines[1:]] == [
            ("v2", "bought", 400),
            ("v2", "superseded", 200),
        ]
