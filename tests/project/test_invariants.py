"""I1 to I8: each invariant of the protocol is a test."""

from __future__ import annotations

import traceback
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import planner
from planner.demand.read import demand_from
from planner.project.journal import FILE, Journal
from planner.project.preflight import read_account
from planner.project.state import State
from tests.project.checker import broken
from tests.project.world import KEY, PRICE, URL, Killed, World, offer, plan_of

if TYPE_CHECKING:
    from pathlib import Path

TARGET: dict[str, str | None] = {"base_url": URL, "team_id": None}


def state_of(folder: Path) -> State:
    with Journal(folder, write=False) as journal:
        return State(journal.records)


@pytest.mark.sweep
@pytest.mark.parametrize("parallel", [1, 3])
def test_i1_no_post_before_its_intent_is_durable(parallel: int, tmp_path: Path) -> None:
    """When a create arrives, a reader of the file finds the intent."""
    world = World()
    seen = []

    def look(_count: int) -> None:
        entry = state_of(tmp_path).entries[world.posts[-1]]
        seen.append((entry.stage, entry.attempts))

    world.on_create = look
    assert world.apply(tmp_path, plan_of(4), parallel=parallel).exit_code == 0
    assert seen == [("intended", 1)] * 4


def test_i1_a_journal_that_cannot_be_written_sends_nothing(tmp_path: Path) -> None:
    """A full disk before the intent is exit 8 and no create."""
    world = World()
    count = 0

    def full(word: str = "") -> None:
        nonlocal count
        count += word == "fsync"
        if count == 3:  # the journal, the plan, the intent
            raise OSError(28, "No space left on device")

    world.step = full  # type: ignore[method-assign, assignment]
    report = world.apply(tmp_path)
    assert report.exit_code == 8
    assert "No space left" in str(report.stop)
    assert world.posts == []


def test_i1_what_cannot_be_recorded_is_said_and_adopted(tmp_path: Path) -> None:
    """A full disk after the create is exit 8 with the id, and the next run adopts the disk."""
    world = World()
    full: list[str] = []

    def step(word: str = "") -> None:
        if full and word == "fsync":
            raise OSError(28, "No space left on device")

    world.step = step  # type: ignore[method-assign, assignment]
    world.on_create = lambda _: full.append("full")
    report = world.apply(tmp_path, plan_of(1))
    assert report.exit_code == 8
    (_, disk_id) = world.made[0]
    assert disk_id in str(report.stop)
    full.clear()
    world.on_create = lambda _: None
    assert world.apply(tmp_path, plan_of(1)).exit_code == 0
    assert len(world.posts) == 1


def test_i2_no_second_post_without_a_complete_listing_since(tmp_path: Path) -> None:
    """A rerun whose listing cannot be read whole sends nothing."""
    world = World()
    world.fault("lost_before")
    assert world.apply(tmp_path).exit_code == 6
    world.clock.sleep(2000)
    world.order("GET /disks/:body=%7B%22data%22%3A%5B%5D%2C%22totalCount%22%3A3%7D")
    assert world.apply(tmp_path).exit_code == 6
    assert len(world.posts) == 1


def test_i2_sending_again_needs_two_agreeing_scans(tmp_path: Path) -> None:
    """A listing that hides the disk every other time never leads to a second create."""
    world = World()
    world.fault("lost_after")
    world.order("GET /disks/#1-10:list-empty")  # the run that loses the answer sees nothing
    world.order(*(f"GET /disks/#{turn}:list-empty" for turn in range(11, 200, 2)))
    assert world.apply(tmp_path, plan_of(1)).exit_code == 6
    world.clock.sleep(2000)
    world.apply(tmp_path, plan_of(1))
    assert len(world.posts) == 1


@pytest.mark.slow
def test_i3_a_slot_that_an_id_was_named_for_is_never_sent_again(tmp_path: Path) -> None:
    """However often and however late it is run."""
    world = World()
    world.fault("ghost")
    for _ in range(5):
        assert world.apply(tmp_path).exit_code == 6
        world.clock.sleep(10_000)
    assert len(world.posts) == 1


def test_i4_no_id_is_recorded_that_was_not_read_back(tmp_path: Path) -> None:
    """Where neither GET nor listing shows the disk it stays pending."""
    world = World()
    world.fault("ghost")
    world.apply(tmp_path)
    (entry,) = state_of(tmp_path).entries.values()
    assert (entry.stage, entry.ids) == ("claimed", ())


@pytest.mark.slow
def test_i5_nothing_that_is_not_ours_is_touched(tmp_path: Path) -> None:
    """Somebody else's disks, one of them named almost like ours, stay as they are."""
    world = World()
    name = plan_of().requests[0]["body"]["disk"]["name"]
    for other in ("theirs", f"{name}x", name.upper()):
        world.foreign(other)
    before = {key: replace(disk) for key, disk in world.disks.items()}
    world.fault("lost_before", "ok", "500_after")
    for _ in range(3):
        world.apply(tmp_path)
        world.clock.sleep(2000)
    assert {key: world.disks[key] for key in before} == before
    assert {one.method for one in world.log} == {"GET", "POST"}


@pytest.mark.parametrize("parallel", [1, 4])
def test_i6_the_limit_is_never_exceeded(parallel: int, tmp_path: Path) -> None:
    """What exists, what is pending and what comes next stay below --max-usd-hr."""
    world = World()
    report = world.apply(tmp_path, plan_of(4), parallel=parallel, max_usd_hr=Decimal("0.05"))
    assert report.exit_code == 5
    assert world.posts == []


def test_i6_a_pending_disk_counts(tmp_path: Path) -> None:
    """What may have been created is in the run-rate, and leaves no room for the next."""
    world = World()
    world.fault("lost_before")
    assert world.apply(tmp_path, plan_of(2)).usd_hr == Decimal("0.01")
    report = world.apply(tmp_path, plan_of(1, nonce="nonce-2"), max_usd_hr=Decimal("0.015"))
    assert (report.exit_code, len(world.posts)) == (6, 1)


@pytest.mark.slow
def test_i6_disks_of_every_plan_of_the_project_count(tmp_path: Path) -> None:
    """0.03 of an earlier plan and 0.01 of this one: 0.04 is enough, 0.039 is not."""
    world, second = World(), plan_of(1, nonce="nonce-2")
    assert world.apply(tmp_path).exit_code == 0
    assert world.apply(tmp_path / "x", plan_of(1, project="other", nonce="nonce-3")).exit_code == 0
    report = world.apply(tmp_path, second, again=True, max_usd_hr=Decimal("0.039"))
    assert (report.exit_code, len(world.posts)) == (5, 3)
    assert "$0.04/h" in str(report.stop)
    assert "$0.03/h exist" in str(report.stop)
    report = world.apply(tmp_path, second, again=True, max_usd_hr=Decimal("0.04"))
    assert (report.exit_code, report.usd_hr) == (0, Decimal("0.04"))


@pytest.mark.slow
def test_i6_a_disk_counts_at_its_live_price_and_not_when_it_is_gone(tmp_path: Path) -> None:
    """Repriced from 0.01 to 0.05, then deleted by hand."""
    world, second = World(), plan_of(1, nonce="nonce-2")
    assert world.apply(tmp_path, plan_of(1)).exit_code == 0
    world.live[0].usd_hr = Decimal("0.05")
    limit = Decimal("0.059")
    assert world.apply(tmp_path, second, again=True, max_usd_hr=limit).exit_code == 5
    del world.disks[world.live[0].id]
    world.service.account = replace(world.service.account, new_id=lambda: "another-disk")
    report = world.apply(tmp_path, second, again=True, max_usd_hr=Decimal("0.01"))
    assert (report.exit_code, report.usd_hr) == (0, Decimal("0.01"))
    assert len(report.to_document()["slots"]) == 1


@pytest.mark.slow
def test_i6_a_kept_disk_counts_at_its_live_price(tmp_path: Path) -> None:
    """Somebody's disk that the demand names: 0.0077 when planned, 0.02 by now."""
    world = World()
    old = world.foreign("old", provider="runpod", data_center="US-1", usd_hr=0.0077)
    with world.account() as account:
        disks = read_account(account)
    volumes = [{"name": "v0", "size_gb": 77, "disks": [old]}, {"name": "v1", "size_gb": 100}]
    demand = demand_from({"version": 1, "project": "lab", "volumes": volumes})
    plan = planner.plan(
        demand, world.market(), disks=disks, target=TARGET, now=world.clock.now(), nonce="n"
    )
    for price, limit, code in (("0.0077", "0.0176", 5), ("0.02", "0.0177", 5), ("0.02", "0.03", 7)):
        world.disks[old].usd_hr = Decimal(price)
        report = world.apply(tmp_path, plan, max_usd_hr=Decimal(limit))
        assert report.exit_code == code, (price, limit)
    assert len(world.posts) == 1  # within the limit, and then reported as repriced
    assert report.usd_hr == Decimal("0.03")


def test_i6_prices_that_are_within_tolerance_count_in_full(tmp_path: Path) -> None:
    """With the price risen by 8 % and 10 % allowed, both are bought and the log agrees."""
    world = World(offers=[offer(price=PRICE * 1.08)])
    assert world.apply(tmp_path).exit_code == 5
    report = world.apply(tmp_path, price_tolerance=Decimal(10))
    assert report.exit_code == 0
    limit = plan_of().solver.objective_usd_hr * Decimal("1.1")
    assert broken(world, tmp_path, report, plan_of(), limit=limit) == []


@pytest.mark.sweep
@pytest.mark.parametrize("fault", ["ok", "401", "html_after", "lost_before", "made_other_name"])
def test_i7_the_key_is_nowhere(fault: str, tmp_path: Path) -> None:
    """Not in files, reports, errors, their locals or their chain."""
    world = World()
    world.fault(fault)
    report = world.apply(tmp_path)
    shown = [str(report.to_document()), repr(report)]
    error: BaseException | None = report.stop
    while error is not None:
        shown += [str(error), repr(error), *traceback.format_exception(error)]
        shown += [repr(frame.f_locals) for frame, _ in traceback.walk_tb(error.__traceback__)]
        error = error.__cause__ or error.__context__
    shown += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in shown if KEY in text]


@pytest.mark.slow
def test_i8_what_is_not_understood_is_unknown(tmp_path: Path) -> None:
    """Never failed, never created: pending, until the account is listed."""
    for number, fault in enumerate(("nan_after", "deep_after", "list_after", "204_after")):
        world = World()
        world.hide()
        world.fault(fault)
        report = world.apply(tmp_path / str(number), plan_of(1))
        assert [row.state for row in report.rows] == ["pending"]
        assert report.exit_code == 6


@pytest.mark.slow
def test_a_no_op_apply_sends_nothing(tmp_path: Path) -> None:
    """A plan is single-use: applied again after success it does nothing."""
    world = World()
    assert world.apply(tmp_path).exit_code == 0
    sent = len(world.posts)
    world.set_offers([])
    world.clock.sleep(10**6)  # whatever its age, and whatever became of the market
    assert world.apply(tmp_path).exit_code == 0
    assert len(world.posts) == sent


@pytest.mark.slow
def test_twenty_disks_are_cheap_in_requests(tmp_path: Path) -> None:
    """At most 20 creates and 6 other requests a slot."""
    world = World()
    assert world.apply(tmp_path, plan_of(20)).exit_code == 0
    assert len(world.posts) == 20
    assert len(world.log) - 20 <= 6 * 20


def test_a_second_machine_makes_no_second_disk(tmp_path: Path) -> None:
    """With another state directory the names are the same, and what is there is adopted."""
    world = World()
    assert world.apply(tmp_path / "one").exit_code == 0
    assert world.apply(tmp_path / "two").exit_code == 0
    assert len(world.posts) == 2


@pytest.mark.slow
def test_a_kill_leaves_the_intent(tmp_path: Path) -> None:
    """Killed with the request on its way, the next run looks before it sends."""
    world = World()
    world.on_create = lambda _: world.__setattr__("kill_at", 1)
    with pytest.raises(Killed):
        world.apply(tmp_path)
    assert FILE in {path.name for path in tmp_path.iterdir()}
    assert [entry.is_pending for entry in state_of(tmp_path).entries.values()] == [True]
    world.kill_at, world.on_create = None, lambda _: None
    assert world.apply(tmp_path).exit_code == 0
    assert len(world.posts) == 2


def test_a_listing_that_moves_while_disks_are_created_is_no_end(tmp_path: Path) -> None:
    """Several pages are not read whole while others create: the rest is bought one at a time."""
    world = World()
    world.order("GET /disks/#6-16:list-short-total")  # six readings of one slot, and of others
    done = world.apply(tmp_path, plan_of(4), parallel=3)
    assert (done.exit_code, len(world.posts), len(set(world.posts))) == (0, 4, 4)
