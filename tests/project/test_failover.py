"""After a stock-out: the rest elsewhere, what was bought where it is, each sent once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.demand.read import demand_from
from planner.errors import OutOfStock, StateUnusable
from planner.market.offers import offers_frame
from planner.plans.plan import Plan
from planner.project.failover import kept_plan
from planner.project.journal import Journal, plan_file
from planner.project.preflight import read_account
from planner.project.state import State
from planner.project.status import read_status
from tests.project.checker import broken
from tests.project.world import START, URL, World, offer, usd_hr

if TYPE_CHECKING:
    from planner.project.outcome import ApplyOutcome

TARGET: dict[str, str | None] = {"base_url": URL, "team_id": None}
CHEAP, DEAR = offer(), offer("hyperstack", "NO-1", price=0.0002)
"""0.0001 and 0.0002 USD per GB and hour."""
STEPS = (
    offer(),
    offer("hyperstack", "NO-1", price=0.000104),
    offer("crusoe", "CA-1", price=0.000108),
    offer("nebius", "FI-1", price=0.000112),
    offer("datacrunch", "FI-2", price=0.000116),
)
"""Each place is 4 per cent of the first one's price dearer than the one before."""


def planned(offers: list[dict[str, Any]], *volumes: dict[str, Any], **top: Any) -> Plan:
    """Return a plan, by default of v1 and v2 with 100 GB each."""
    listed = volumes or ({"name": "v1", "size_gb": 100}, {"name": "v2", "size_gb": 100})
    demand = demand_from({"version": 1, "project": "lab", "volumes": list(listed), **top})
    return planner.plan(demand, offers_frame(offers), target=TARGET, now=START, nonce="nonce-1")


def sold_out(
    folder: Path, percent: str, *offers: dict[str, Any], **top: Any
) -> tuple[World, Plan, ApplyOutcome]:
    """Return what comes of a run whose second create meets a stock-out."""
    world = World(offers=list(offers))
    world.fault("ok", "409_stock")
    plan = planned(list(offers), **top)
    return world, plan, world.apply(folder, plan, failover=Decimal(percent))


def continuations(folder: Path) -> list[Plan]:
    """Return the plans that the journal says continue another, in order."""
    with Journal(folder, write=False) as journal:
        plans = State(journal.records).plans
    return [
        Plan.load(folder / "plans" / f"{digest}.json")
        for digest, record in plans.items()
        if "continues" in record
    ]


@pytest.mark.slow
def test_the_rest_goes_elsewhere_and_the_first_stays(tmp_path: Path) -> None:
    """v1 at runpod for 0.01, v2 refused there, then bought at hyperstack for 0.02."""
    world, plan, done = sold_out(tmp_path, "50", CHEAP, DEAR)
    assert done.exit_code == 0
    (other,) = continuations(tmp_path)
    assert [(one.action, one.provider) for one in other.placements] == [
        ("keep", "runpod"),
        ("create", "hyperstack"),
    ]
    assert other.placements[0].disk_ids == (world.live[0].id,)
    assert (other.exact_totals["new_usd_hr"], other.exact_totals["disk_usd_hr"]) == (
        Decimal("0.02"),
        Decimal("0.03"),
    )
    assert [disk.provider for disk in world.live] == ["runpod", "hyperstack"]
    assert len(world.posts) == len(set(world.posts)) == 3  # v1, v2 refused, v2 elsewhere
    for again in (plan, other):
        assert world.apply(tmp_path, again).exit_code == 0
    assert len(world.posts) == 3


@pytest.mark.slow
def test_the_outcome_shows_the_whole_project(tmp_path: Path) -> None:
    """Both disks, their ids by volume and their run-rate, not only the last plan's disk."""
    world, plan, done = sold_out(tmp_path, "50", CHEAP, DEAR)
    for outcome in (done, world.apply(tmp_path, plan)):
        document = outcome.to_document()
        assert [(row["volume"], row["state"]) for row in document["slots"]] == [
            ("v1", "created"),
            ("v2", "created"),
        ]
        first, second = (disk.id for disk in world.live)
        assert document["volumes"] == {"v1": [first], "v2": [second]}
        assert Decimal(document["usd_hr"]) == usd_hr(world) == Decimal("0.03")
        assert document["totals"]["limit_usd_hr"] == "0.03"
        assert document["totals"]["created"] == document["totals"]["slots"] == 2


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize(("percent", "allowed"), [("50", True), ("49.99", False), ("0", False)])
def test_the_plan_may_rise_by_so_much(percent: str, allowed: bool, tmp_path: Path) -> None:
    """From 0.02 to 0.03 an hour is 50 per cent: that much is allowed, and nothing above."""
    world, _, done = sold_out(tmp_path, percent, CHEAP, DEAR)
    assert done.exit_code == (0 if allowed else 5)
    if not allowed:
        assert isinstance(done.stop, OutOfStock)
        assert "$0.0100/h more" in str(done.stop)
        assert done.stop.data["drift"] == ["runpod cloud-1 US-1 US: out of stock"]
        assert "--failover" in str(done.stop.hint)
        assert (len(world.live), len(world.posts)) == (1, 2)
        assert continuations(tmp_path) == []


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize(("percent", "creates"), [("5", 2), ("9", 3), ("13", 4), ("17", 5)])
def test_the_percentage_is_of_the_plan_that_was_agreed_to(
    percent: str, creates: int, tmp_path: Path
) -> None:
    """Four stock-outs in a row: 4, 8, 12 and 16 per cent above it, never 4 per cent each."""
    world = World(offers=list(STEPS))
    world.fault(*["409_stock"] * 4)
    plan = planned(list(STEPS), {"name": "v1", "size_gb": 100})
    done = world.apply(tmp_path, plan, failover=Decimal(percent))
    assert (done.exit_code, len(world.posts)) == (0 if creates == 5 else 5, creates)
    assert usd_hr(world) <= Decimal("0.01") * (100 + Decimal(percent)) / 100
    again = world.apply(tmp_path, plan, failover=Decimal(percent))
    assert (again.exit_code, len(world.posts)) == (done.exit_code, creates)


@pytest.mark.slow
def test_no_offer_that_refused_is_tried_again(tmp_path: Path) -> None:
    """The market still lists both first places in stock: the third stock-out goes on from there."""
    offers = list(STEPS[:4])
    world = World(offers=offers)
    world.fault(*["409_stock"] * 3)
    done = world.apply(
        tmp_path, planned(offers, {"name": "v1", "size_gb": 100}), failover=Decimal(50)
    )
    assert done.exit_code == 0
    places = [one.body["provider"]["type"] for one in world.requests("POST")]
    assert places == ["runpod", "hyperstack", "crusoe", "nebius"]


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "code"), [("0.0605", 0), ("0.06", 5)])
def test_the_limit_of_the_project_holds_after_a_failover(
    limit: str, code: int, tmp_path: Path
) -> None:
    """0.03 is bought, and what was 0.0275 costs 0.0305 elsewhere: 0.0605 together."""
    offers = [CHEAP, offer("hyperstack", "NO-1", price=0.0001109090909)]
    world = World(offers=offers)
    world.fault("ok", "409_stock")
    plan = planned(offers, {"name": "v1", "size_gb": 300}, {"name": "v2", "size_gb": 275})
    for _ in range(3):
        done = world.apply(tmp_path, plan, failover=Decimal(20), max_usd_hr=Decimal(limit))
        assert done.exit_code == code
        assert usd_hr(world) <= Decimal(limit)
    assert len(world.posts) == (3 if code == 0 else 2)


@pytest.mark.slow
def test_no_other_place_is_five(tmp_path: Path) -> None:
    """What exists stays, and nothing more is sent."""
    world, _, done = sold_out(tmp_path, "1000", CHEAP)
    assert (done.exit_code, len(world.live), len(world.posts)) == (5, 1, 2)
    assert "no other place is left" in str(done.stop)


@pytest.mark.slow
def test_a_group_that_the_first_disk_ties_leaves_no_place(tmp_path: Path) -> None:
    """Both belong at one site, and it has no more: the second offer does not help."""
    group = {"volumes": ["v1", "v2"], "same": "site"}
    _, _, done = sold_out(tmp_path, "1000", CHEAP, DEAR, groups=[group])
    assert "no other place" in str(done.stop)


@pytest.mark.slow
def test_the_region_of_a_sold_out_offer_is_still_known(tmp_path: Path) -> None:
    """Both belong in one region: the other site there serves, though the first offer is out."""
    near = offer("hyperstack", "US-2", price=0.0002)
    far = offer("crusoe", "NO-1", price=0.00015, region="eu_north")
    group = {"volumes": ["v1", "v2"], "same": "region"}
    sold_out(tmp_path, "50", CHEAP, near, far, groups=[group])
    (other,) = continuations(tmp_path)
    assert [one.provider for one in other.placements] == ["runpod", "hyperstack"]
    assert {one.region for one in other.placements} == {"united_states"}


@pytest.mark.slow
def test_a_stock_out_before_the_first_create_moves_everything(tmp_path: Path) -> None:
    """The market already says so: nothing was sent, and all is bought at the other offer."""
    plan = planned([CHEAP, DEAR])
    world = World(offers=[{**CHEAP, "stockStatus": "Unavailable"}, DEAR])
    report = world.apply(tmp_path, plan)
    assert isinstance(report.stop, OutOfStock)
    assert world.posts == []
    assert world.apply(tmp_path, plan, failover=Decimal(100)).exit_code == 0
    assert [disk.provider for disk in world.live] == ["hyperstack"] * 2


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize(("percent", "code"), [("150", 0), ("149", 5)])
def test_half_a_replica_is_replaced(percent: str, code: int, tmp_path: Path) -> None:
    """One of two disks was bought at the first place: it is superseded, and counts until retired.

    0.9 USD/h were agreed to; 0.45 of the first disk and 1.8 at the other place are 2.25.
    """
    big = {"name": "big", "size_gb": 9000, "max_disks": 2}
    world = World(offers=[CHEAP, DEAR])
    world.fault("ok", "409_stock")
    plan = planned([CHEAP, DEAR], big)
    done = world.apply(tmp_path, plan, failover=Decimal(percent))
    assert done.exit_code == code
    assert len(world.live) == (3 if code == 0 else 1)
    assert done.usd_hr == usd_hr(world)
    states = [row["state"] for row in done.to_document()["slots"]]
    if code == 0:
        assert sorted(states) == ["created", "created", "superseded"]
    assert world.apply(tmp_path, plan, failover=Decimal(percent)).exit_code == code


@pytest.mark.slow
def test_what_was_there_before_stays_too(tmp_path: Path) -> None:
    """A named disk of somebody's hand is kept through plan, stock-out and failover, and shown."""
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
    done = world.apply(tmp_path, plan, failover=Decimal(34))  # 0.03 + 0.01 an hour
    assert done.exit_code == 0
    (other,) = continuations(tmp_path)
    assert [one.action for one in other.placements] == ["keep", "keep", "create"]
    assert len(world.live) == 3
    rows = done.to_document()["slots"]
    assert [(row["volume"], row["state"]) for row in rows] == [
        ("v0", "kept"),
        ("v1", "created"),
        ("v2", "created"),
    ]
    assert rows[0]["id"] == old


@pytest.mark.slow
def test_a_rerun_goes_on_with_the_plan_that_continues_it(tmp_path: Path) -> None:
    """The create elsewhere was lost: the original command finds it, with or without --failover."""
    for number, again in enumerate((Decimal(50), None)):
        world, folder = World(offers=[CHEAP, DEAR]), tmp_path / str(number)
        world.fault("ok", "409_stock", "lost_before")
        plan = planned([CHEAP, DEAR])
        assert world.apply(folder, plan, failover=Decimal(50)).exit_code == 6
        world.clock.sleep(1000)
        assert world.apply(folder, plan, failover=again).exit_code == 0
        assert len(continuations(folder)) == 1
        assert len(set(world.posts)) == 3
        assert len(world.live) == 2


@pytest.mark.slow
def test_a_rerun_with_a_lower_percentage_buys_no_more(tmp_path: Path) -> None:
    """What goes on is held against the percentage of this run."""
    world = World(offers=[CHEAP, DEAR])
    world.fault("ok", "409_stock", "401")
    plan = planned([CHEAP, DEAR])
    assert world.apply(tmp_path, plan, failover=Decimal(50)).exit_code == 4
    done = world.apply(tmp_path, plan, failover=Decimal(40))
    assert (done.exit_code, len(world.live)) == (5, 1)
    assert "--failover" in str(done.stop)


@pytest.mark.slow
def test_the_last_plan_may_be_applied_itself_within_the_same_limit(tmp_path: Path) -> None:
    """It continues the first one, whoever types its name: 8 per cent above it are not 5."""
    offers = list(STEPS[:3])
    world = World(offers=offers)
    world.fault("409_stock", "401")
    plan = planned(offers, {"name": "v1", "size_gb": 100})
    assert world.apply(tmp_path, plan, failover=Decimal(5)).exit_code == 4
    (other,) = continuations(tmp_path)
    world.fault("409_stock")
    done = world.apply(tmp_path, other, failover=Decimal(5))
    assert (done.exit_code, world.live) == (5, [])


@pytest.mark.slow
def test_applied_plans_stay(tmp_path: Path) -> None:
    """A copy by digest, for its owner only; nothing overwrites it, and a dry run writes nothing."""
    world, plan, _ = sold_out(tmp_path, "50", CHEAP, DEAR)
    copies = sorted((tmp_path / "plans").iterdir())
    digests = [plan.digest, *(one.digest for one in continuations(tmp_path))]
    assert {path.stem for path in copies} == set(digests)
    assert {path.stat().st_mode & 0o777 for path in copies} == {0o600}
    assert (tmp_path / "plans").stat().st_mode & 0o777 == 0o700
    before = {path: path.stat().st_mtime_ns for path in copies}
    world.apply(tmp_path, plan, failover=Decimal(50))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "plans").iterdir()} == before
    other = World(offers=[{**CHEAP, "stockStatus": "Unavailable"}, DEAR])
    assert other.apply(tmp_path / "dry", plan, failover=Decimal(99), dry_run=True).exit_code == 5
    assert not (tmp_path / "dry").exists()


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("content", [None, "", "{}"])
def test_a_plan_that_the_journal_names_has_to_be_there(content: str | None, tmp_path: Path) -> None:
    """Deleted or changed: exit 8, which file, and nothing is sent."""
    world, plan, _ = sold_out(tmp_path, "50", CHEAP, DEAR)
    (other,) = continuations(tmp_path)
    path = tmp_path / "plans" / f"{other.digest}.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(StateUnusable, match=other.digest):
        world.apply(tmp_path, plan, failover=Decimal(50))
    assert len(world.posts) == 3


@pytest.mark.slow
def test_declined_elsewhere_leaves_nothing(tmp_path: Path) -> None:
    """The place that a stock-out leads to is asked about like any other."""
    world = World(offers=[CHEAP, DEAR])
    world.fault("ok", "409_stock")
    plan, answers = planned([CHEAP, DEAR]), [True, False]
    done = world.apply(tmp_path, plan, failover=Decimal(50), confirm=lambda *_: answers.pop(0))
    assert (done.exit_code, len(world.live)) == (130, 1)
    assert done.usd_hr == Decimal("0.01")
    assert continuations(tmp_path) == []


@pytest.mark.slow
def test_a_second_set_goes_elsewhere_too(tmp_path: Path) -> None:
    """--again: the first set's disks are not what the second one keeps."""
    world = World(offers=[CHEAP, DEAR])
    plan, again = (replace(planned([CHEAP, DEAR]), nonce=nonce) for nonce in ("nonce-1", "nonce-2"))
    assert world.apply(tmp_path, plan).exit_code == 0
    world.fault("ok", "409_stock")
    done = world.apply(tmp_path, again, again=True, failover=Decimal(50))
    assert done.exit_code == 0
    assert [disk.provider for disk in world.live] == ["runpod"] * 3 + ["hyperstack"]
    assert (done.usd_hr, done.limit_usd_hr) == (Decimal("0.05"), Decimal("0.05"))


@pytest.mark.slow
def test_waiting_means_every_disk_of_the_plan(tmp_path: Path) -> None:
    """What was bought before the stock-out has to become ACTIVE as well."""
    world = World(offers=[CHEAP, DEAR])
    world.fault("ok", "409_stock")
    world.on_create = lambda _: vars(world.live[0]).update(forced="PROVISIONING")
    plan = planned([CHEAP, DEAR])
    done = world.apply(tmp_path, plan, failover=Decimal(50), wait=True)
    assert done.exit_code == 6
    assert "v1/1/1 (PROVISIONING)" in str(done.stop)
    vars(world.live[0]).update(forced="ERROR")
    assert world.apply(tmp_path, plan, wait=True).exit_code == 7


@pytest.mark.slow
def test_status_of_a_plan_has_the_plans_that_continue_it(tmp_path: Path) -> None:
    """Both disks are shown for the plan that was agreed to, in order."""
    world, plan, _ = sold_out(tmp_path, "50", CHEAP, DEAR)
    with world.account() as account, Journal(tmp_path, write=False) as journal:
        status = read_status(journal.records, account, plan=plan.digest)
    assert [one.condition for one in status.disks if one.disk] == ["in order"] * 2
    assert (status.exit_code, status.usd_hr) == (0, Decimal("0.03"))


@pytest.mark.slow
def test_several_at_once_go_elsewhere(tmp_path: Path) -> None:
    """Several creates are open when one is refused: what is left is bought elsewhere.

    A second refusal could meet the other offer: which create comes next is up to the threads.
    """
    offers = [CHEAP, DEAR]
    world = World(offers=offers)
    world.fault("ok", "409_stock")
    volumes = [{"name": f"v{n}", "size_gb": 100 * n} for n in range(1, 5)]
    plan = planned(offers, *volumes)
    done = world.apply(tmp_path, plan, failover=Decimal(100), parallel=4)
    assert done.exit_code == 0
    assert sorted(disk.size_gb for disk in world.live) == [100, 200, 300, 400]
    assert done.usd_hr == usd_hr(world) <= Decimal("0.2")
    assert broken(world, tmp_path, done, plan, limit=Decimal("0.2")) == []


@pytest.mark.sweep
@pytest.mark.parametrize(("percent", "code"), [(None, 5), ("100", 0)])
def test_a_stock_out_does_not_leave_a_lost_create_pending(
    percent: str | None, code: int, tmp_path: Path
) -> None:
    """At once, one create was refused and one lost: after its quarantine the rest goes on."""
    world = World(offers=[CHEAP, DEAR])
    world.fault("ok", "409_stock", "lost_before")
    plan = planned([CHEAP, DEAR], *({"name": f"v{n}", "size_gb": 100} for n in (1, 2, 3)))
    failover = None if percent is None else Decimal(percent)
    world.in_pairs()
    assert world.apply(tmp_path, plan, failover=failover, parallel=2).exit_code == 6
    world.pair = None
    world.clock.sleep(1000)
    done = world.apply(tmp_path, plan, failover=failover, parallel=2)
    assert (done.exit_code, done.pending) == (code, ())
    assert len(world.live) == (3 if code == 0 else 1)
    assert broken(world, tmp_path, done, plan, limit=Decimal("0.06")) == []


@pytest.mark.slow
def test_a_refusal_does_not_leave_a_lost_create_pending(tmp_path: Path) -> None:
    """Refused permanently is exit 4, not 6 whenever it is typed again."""
    world = World()
    world.fault("ok", "422", "lost_before")
    plan = planned([CHEAP], *({"name": f"v{n}", "size_gb": 100} for n in (1, 2, 3)))
    world.in_pairs()
    assert world.apply(tmp_path, plan, parallel=2).exit_code == 6
    world.pair = None
    world.clock.sleep(1000)
    done = world.apply(tmp_path, plan)
    assert (done.exit_code, done.pending, len(world.posts)) == (4, (), 3)


@pytest.mark.slow
def test_sold_out_by_now_does_not_leave_a_lost_create_pending(tmp_path: Path) -> None:
    """The market sells no more when the quarantine is over: exit 5, or bought at the other."""
    world = World(offers=[CHEAP, DEAR])
    world.fault("lost_before")
    plan = planned([CHEAP, DEAR])
    assert world.apply(tmp_path, plan).exit_code == 6
    world.clock.sleep(1000)
    world.set_offers([{**CHEAP, "stockStatus": "Unavailable"}, DEAR])
    assert world.apply(tmp_path, plan).exit_code == 5
    assert world.apply(tmp_path, plan, failover=Decimal(100)).exit_code == 0
    assert [disk.provider for disk in world.live] == ["hyperstack"] * 2


@pytest.mark.parametrize("name", ["plan-1-research", "plan-1-existing"])
def test_a_plan_of_an_older_format_is_kept_as_the_journal_names_it(
    name: str, tmp_path: Path
) -> None:
    """Its digest is of the file as it was written, not of the newest format."""
    plan = Plan.load(Path(__file__).parents[1] / "data" / f"{name}.json")
    with Journal(tmp_path, write=True) as journal:
        journal.store(plan_file(plan.digest), plan.content)
    assert kept_plan(tmp_path, plan.digest) == plan
