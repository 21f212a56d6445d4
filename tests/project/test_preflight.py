"""Before the first POST: what stops a run, and that nothing is sent then."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from planner.errors import JournalLocked, OutOfStock, PlanStale
from planner.marketplace.sim.account import Delays
from planner.marketplace.sim.world import SECOND_US
from tests.project.world import PRICE, URL, World, offer, plan_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (offer(price=PRICE * 2), PlanStale),
        (offer(price=PRICE * 1.0001), PlanStale),
        (offer(price=None), PlanStale),
        (offer(stock="Unavailable"), OutOfStock),
        (offer(data_center="US-2"), OutOfStock),
        (offer(cloud_id="cloud-2"), OutOfStock),
        (offer(spec={"maxCount": 150}), PlanStale),
        (offer(spec={"minCount": 101}), PlanStale),
        (offer(spec={"step": 7}), PlanStale),
        (offer(spec={"maxCount": "many"}), PlanStale),
    ],
)
def test_a_market_that_moved(row: dict[str, Any], kind: type[PlanStale], tmp_path: Path) -> None:
    """Dearer, unpriced, gone, sold out, or no longer sold in this size: exit 5 and no POST."""
    world = World(offers=[row])
    report = world.apply(tmp_path)
    assert type(report.stop) is kind
    assert (report.exit_code, world.posts) == (5, [])
    assert report.stop.drift


def test_all_slots_are_checked_before_any_is_sent(tmp_path: Path) -> None:
    """The second size is not sold any more: the first is not bought either."""
    world = World(offers=[offer(spec={"maxCount": 150})])
    assert world.apply(tmp_path).exit_code == 5
    assert world.posts == []


def test_each_slot_is_checked_again_before_it_is_sent(tmp_path: Path) -> None:
    """The stock ends after the first disk: it is kept, and the second is not sent."""
    world = World()
    world.on_create = lambda _: world.offers[0].update(stockStatus="Unavailable")
    report = world.apply(tmp_path)
    assert report.exit_code == 5
    assert [row.state for row in report.rows] == ["created", "planned"]
    assert len(world.posts) == 1
    world.offers[0]["stockStatus"] = "Low"
    world.on_create = lambda _: None
    assert world.apply(tmp_path).exit_code == 0


@pytest.mark.sweep
@pytest.mark.parametrize(("rise", "tolerance", "code"), [(5, 5, 0), (6, 5, 5), (0, 0, 0)])
def test_price_tolerance(rise: int, tolerance: int, code: int, tmp_path: Path) -> None:
    """In per cent of the planned price, inclusive."""
    price = Decimal(str(PRICE)) * (100 + rise) / 100
    world = World(offers=[offer(price=float(price))])
    assert world.apply(tmp_path, price_tolerance=Decimal(tolerance)).exit_code == code


def test_a_cheaper_market_is_welcome(tmp_path: Path) -> None:
    """A lower price is no drift."""
    assert World(offers=[offer(price=PRICE / 2)]).apply(tmp_path).exit_code == 0


def test_age(tmp_path: Path) -> None:
    """A day, unless more is allowed; and never from the future."""
    world = World()
    world.clock.sleep(24 * 3600)
    assert world.apply(tmp_path).exit_code == 5
    assert world.apply(tmp_path, max_age=timedelta(hours=48)).exit_code == 0
    early = World()
    early.clock.simulated.advance(-7200 * SECOND_US)
    assert early.apply(tmp_path / "early").exit_code == 5


@pytest.mark.parametrize(
    "target",
    [{"base_url": "https://other.test", "team_id": None}, {"base_url": URL, "team_id": "team-1"}],
)
def test_another_target(target: dict[str, str | None], tmp_path: Path) -> None:
    """A plan for another marketplace or team is not bought here."""
    world = World()
    report = world.apply(tmp_path, replace(plan_of(), target=target))
    assert (report.exit_code, world.log) == (5, [])


def test_an_offline_plan_takes_the_target_of_its_first_apply(tmp_path: Path) -> None:
    """And keeps to it."""
    world, plan = World(), replace(plan_of(), target=None)
    world.fault("ok", "401")
    assert world.apply(tmp_path, plan).exit_code == 4
    from planner.project import preflight
    from planner.project.journal import Journal
    from planner.project.state import State

    with Journal(tmp_path, write=False) as journal:
        state = State(journal.records)
    digest = plan.to_document()["digest"]
    preflight.check_target(plan, digest, state, {"base_url": URL, "team_id": None})
    with pytest.raises(PlanStale, match=r"key is for https://x\.test"):
        preflight.check_target(plan, digest, state, {"base_url": "https://x.test", "team_id": None})


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("balance", "status", "runway", "code"),
    [
        (1000, 200, None, 0),
        (0, 200, None, 0),
        (1, 200, None, 0),
        (1, 200, 30, 0),
        (1, 200, 50, 5),
        (1, 403, None, 0),
        (1, 403, 1, 5),
        (1, 404, None, 0),
        ("much", 200, None, 0),
        ("much", 200, 1, 5),
    ],
)
def test_wallet(balance: Any, status: int, runway: int | None, code: int, tmp_path: Path) -> None:
    """Read where the key may; a runway that was asked for has to be proved."""
    world = World()
    wallet = quote(json.dumps({"balance_usd": balance}))
    world.order(f"GET /billing/wallet:body={wallet}+status-after={status}")
    hours = None if runway is None else Decimal(runway)
    report = world.apply(tmp_path, min_runway_hr=hours)
    assert report.exit_code == code
    known = status == 200 and balance != "much"
    assert any("balance unknown" in text for text in report.warnings) != (known or code == 5)
    is_low = known and runway is None and balance < 2  # dollars, of 0.02 an hour
    assert any("add funds" in text for text in report.warnings) == is_low


@pytest.mark.slow
def test_a_second_plan_of_the_project(tmp_path: Path) -> None:
    """Live: 7 with ids and prices. Pending: 6. Deleted: bought. Wanted: bought."""
    world, second = World(), plan_of(nonce="nonce-2")
    world.apply(tmp_path)
    report = world.apply(tmp_path, second)
    assert report.exit_code == 7
    assert all(disk_id in str(report.stop) for disk_id in world.disks)
    assert world.apply(tmp_path, second, again=True).exit_code == 0
    for disk in world.live:
        world.terminate(disk.id)
    assert world.apply(tmp_path, plan_of(nonce="nonce-3")).exit_code == 0
    assert world.apply(tmp_path, plan_of(project="other", nonce="nonce-4")).exit_code == 0
    pending = World()
    pending.fault("lost_before")
    pending.apply(tmp_path / "pending")
    report = pending.apply(tmp_path / "pending", second, again=True)
    assert (report.exit_code, len(pending.posts)) == (6, 1)
    assert "planner resolve" in " ".join(report.advice)


def test_declined(tmp_path: Path) -> None:
    """Asked once, with what it costs; no is 130 and nothing is sent."""
    world = World()
    asked: list[tuple[Any, ...]] = []

    def decline(*words: Any) -> bool:
        asked.append(words)
        return False

    report = world.apply(tmp_path, confirm=decline)
    assert (report.exit_code, world.posts) == (130, [])
    ((slots, now, after, funds),) = asked
    assert ([slot.key for slot in slots], now, after) == (["v1/1/1", "v2/1/1"], 0, Decimal("0.03"))
    assert (funds.balance_usd, funds.usd_hr) == (1000, Decimal("0.03"))


@pytest.mark.slow
def test_the_prompt_counts_what_the_project_already_costs(tmp_path: Path) -> None:
    """A second plan of the project: its disks of before are in both figures, others' are not."""
    world = World()
    world.apply(tmp_path)
    world.apply(tmp_path / "elsewhere", plan_of(1, project="other", nonce="nonce-8"))
    asked: list[tuple[Any, ...]] = []

    def decline(*words: Any) -> bool:
        asked.append(words)
        return False

    declined = world.apply(tmp_path, plan_of(1, nonce="nonce-9"), again=True, confirm=decline)
    ((_, now, after, funds),) = asked
    assert (now, after) == (Decimal("0.03"), Decimal("0.04"))
    assert (declined.exit_code, declined.usd_hr) == (130, Decimal("0.03"))
    assert declined.limit_usd_hr == Decimal("0.04")
    states = [row["state"] for row in declined.to_document()["slots"]]
    assert sorted(states) == ["created", "created", "planned"]
    assert funds.usd_hr == Decimal("0.05")  # the wallet pays for the others too


def test_a_locked_state_is_left_alone(tmp_path: Path) -> None:
    """Nothing is asked of the marketplace."""
    from planner.project.journal import Journal

    world = World()
    with Journal(tmp_path, write=True), pytest.raises(JournalLocked):
        world.apply(tmp_path)
    assert world.log == []


def test_a_dry_run(tmp_path: Path) -> None:
    """Everything is checked, nothing is sent, written or asked."""
    world = World()
    report = world.apply(tmp_path / "none", dry_run=True, confirm=lambda *_: 1 / 0)
    assert (report.exit_code, len(report.to_send)) == (0, 2)
    assert not (tmp_path / "none").exists()
    world.set_offers([offer(stock="Unavailable")])
    assert world.apply(tmp_path / "none", dry_run=True).exit_code == 5


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("fault", ["lost_before", "429_long", "lost_after_very_late"])
def test_wait_goes_through_pauses(fault: str, tmp_path: Path) -> None:
    """With --wait one run is enough: through a quarantine, or as long as it was asked to."""
    world = World()
    world.fault(fault)
    world.service.account = replace(world.service.account, delays=Delays(provisioning_s=1.0))
    assert world.apply(tmp_path, wait=True).exit_code == 0
    assert {row.entry.status for row in world.apply(tmp_path).rows if row.entry} == {"ACTIVE"}


def test_an_account_that_cannot_be_listed(tmp_path: Path) -> None:
    """Exit 4 where nothing is pending, and nothing is sent."""
    world = World()
    world.order("GET /disks/:status=500")
    assert world.apply(tmp_path).exit_code == 4
    assert world.posts == []
