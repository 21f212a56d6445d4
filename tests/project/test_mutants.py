"""Each rule switched off once: what it protects breaks, and is seen to break."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from planner.marketplace.protocol import DiskListing
from planner.project import buy, execute, failover, preflight, reconcile, spending
from planner.project import destroy as destruction
from planner.project.context import Context
from planner.project.journal import Journal
from planner.project.reconcile import Classification, classify
from planner.project.state import Entry, ExpectedDisk, State
from tests.project.checker import broken
from tests.project.world import PRICE, QUARANTINE_S, Killed, World, offer, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from planner.project.outcome import ApplyOutcome


def history(folder: Path, *faults: str, runs: int = 3, rest_s: float = 0.0) -> list[str]:
    """Return what a history of runs breaks."""
    world = World()
    world.fault(*faults)
    for _ in range(runs):
        report = world.apply(folder)
        world.clock.sleep(rest_s)
        violations = broken(world, folder, report, plan_of())
        if violations:
            return violations
    world.clock.sleep(QUARANTINE_S * 2)
    return broken(world, folder, report, plan_of())


def flicker(folder: Path) -> list[str]:
    """Lose an answer to an account whose list then hides the disk every other time."""
    world = World()
    world.fault("lost_after")
    world.order("GET /disks/#1-10:list-empty")
    world.order(*(f"GET /disks/#{turn}:list-empty" for turn in range(11, 200, 2)))
    for _ in range(2):
        report = world.apply(folder, plan_of(1))
        world.clock.sleep(2000)
    return broken(world, folder, report, plan_of(1))


def reran(folder: Path) -> list[str]:
    """Run again within the quarantine of a lost create that shows up late."""
    return history(folder, "lost_after_very_late", runs=2)


def beyond_the_limit(folder: Path) -> list[str]:
    world, limit = World(), Decimal("0.015")
    report = world.apply(folder, max_usd_hr=limit)
    return broken(world, folder, report, plan_of(), limit=limit)


def two_plans(folder: Path) -> list[str]:
    world = World()
    world.apply(folder)
    world.apply(folder, plan_of(nonce="nonce-2"))
    return ["bought twice for one project"] if len(world.posts) > 2 else []


def killed_unlisted(folder: Path) -> list[str]:
    """Die with a create on its way that the list shows only later."""
    world = World(lag_s=60.0)
    world.on_create = lambda _: world.__setattr__("kill_at", 1)
    with pytest.raises(Killed):
        world.apply(folder, plan_of(1))
    world.kill_at, world.on_create = None, lambda _: None
    world.apply(folder, plan_of(1))
    world.clock.sleep(100)
    return ["two disks"] if len(world.live) > 1 else []


def beyond_the_percentage(folder: Path) -> list[str]:
    """Meet two stock-outs, each next place 4 per cent dearer, with 5 per cent allowed."""
    prices = {"runpod": 0.0001, "hyperstack": 0.000104, "crusoe": 0.000108}
    world = World(offers=[offer(name, price=price) for name, price in prices.items()])
    world.fault("409_stock", "409_stock")
    world.apply(folder, plan_of(1), failover=Decimal(5))
    return [f"{one.provider} costs too much" for one in world.live]


def last_is_first(plan: Any, _state: State, _folder: Path) -> tuple[Any, ...]:
    """Forget which plan was agreed to."""
    return (plan,)


def measured_against_the_last(ctx: Context, _agreed: Any) -> Any:
    return REPLAN(ctx, ctx.plans[-1])


def forgotten_continuation(folder: Path) -> list[str]:
    """Die once the create elsewhere arrived; the rerun goes on with it, and buys no third."""
    world = World(offers=[offer(), offer("hyperstack", price=0.0001)])
    world.fault("409_stock", "lost_before")
    world.apply(folder, plan_of(1), failover=Decimal(5))
    world.clock.sleep(QUARANTINE_S * 2)
    world.apply(folder, plan_of(1), failover=Decimal(5))
    return [] if len(set(world.posts)) == 2 else ["another place was chosen again"]


def exits(code: int, *faults: str) -> Callable[[Path], list[str]]:
    def scenario(folder: Path) -> list[str]:
        world = World()
        world.fault(*faults)
        report = world.apply(folder)
        return [] if report.exit_code == code else [f"exit {report.exit_code}"]

    return scenario


def unlisted(folder: Path) -> list[str]:
    world = World()
    world.hide()
    world.apply(folder)
    return ["sent without reconcile"] if len(world.posts) > 1 else []


def unlisted_later(folder: Path) -> list[str]:
    world = World()
    world.fault("ok", "401")
    world.apply(folder)
    world.hide()
    world.apply(folder)
    return ["sent without reconcile"] if len(world.posts) > 2 else []


def changed(**more: Any) -> Callable[[Path], list[str]]:
    """Apply to a market, plan or hour that is not the planned one."""

    def scenario(folder: Path) -> list[str]:
        world = World(offers=[offer(**more.get("offer", {}))])
        world.clock.sleep(more.get("later", 0.0))
        plan = replace(plan_of(), **more.get("plan", {}))
        world.apply(folder, plan)
        return ["sent"] if world.posts else []

    return scenario


def asked_to_wait(folder: Path) -> list[str]:
    world = World()
    world.fault("429_long")
    world.apply(folder)
    world.apply(folder)
    return ["sent before it may be"] if len(world.posts) > 1 else []


def two_writers(folder: Path) -> list[str]:
    with Journal(folder, write=True):
        try:
            Journal(folder, write=True).close()
        except Exception:  # noqa: BLE001 -- whatever it is, it did not open
            return []
    return ["two writers"]


def destroyed_in_use(folder: Path) -> list[str]:
    world = World()
    world.apply(folder, plan_of(1))
    (disk,) = world.live
    disk.name = "renamed-by-somebody"
    with world.account() as account, Journal(folder, write=True) as journal:
        ctx = Context(account, journal, State(journal.records), world.pace())
        try:
            destruction.destroy(ctx, [*ctx.state.entries.values()], confirm=lambda _: True)
        except Exception:  # noqa: BLE001 -- refusing is what is wanted
            return []
    return ["deleted a disk that is not as recorded"]


def blind_listing(*_args: Any, **_more: Any) -> DiskListing:
    return DiskListing((), None)


def one_reading(ctx: Context, _slot: Any) -> DiskListing:
    listing = ctx.marketplace.disks()
    reconcile.check_no_duplicates(ctx, listing)
    return listing


def believe(ctx: Context, entry: Entry) -> bool:
    for disk_id in entry.claimed_ids:
        ctx.record(
            "created", name=entry.name, id=disk_id, usd_hr=None, as_name=entry.name, status=""
        )
    return True


def failed(outcome: Any, facts: ExpectedDisk) -> Classification:
    verdict = classify(outcome, facts)
    return replace(verdict, kind="refused") if verdict.kind == "unknown" else verdict


def not_durable(self: Journal, line: bytes) -> None:
    if b'"kind":"intent"' not in line:
        APPEND(self, line)


APPEND = Journal._append
REPLAN = failover.replan


def nothing(*_args: Any, **_more: Any) -> None:
    return None


def no_suspects(*_args: Any, **_more: Any) -> list[Any]:
    return []


RULES: dict[str, tuple[list[tuple[object, str, Any]], Callable[[Path], list[str]]]] = {
    "look before sending again": (
        [(buy, "_before", blind_listing)],
        lambda folder: history(folder, "429", runs=1),
    ),
    "two readings before sending again": ([(buy, "_before", one_reading)], flicker),
    "quarantine": (
        [(Context, "quarantine_s", lambda *_: 0.0)],
        lambda folder: history(folder, "lost_after_very_late", runs=2),
    ),
    "read back": ([(buy, "read_back", believe)], lambda folder: history(folder, "ghost", runs=1)),
    "never again once an id was named": (
        [(Entry, "claimed_ids", property(lambda _: frozenset()))],
        lambda folder: history(folder, "ghost", rest_s=2000.0),
    ),
    "limit": (
        [(buy, "check_ceilings", nothing), (execute, "check_ceilings", nothing)],
        beyond_the_limit,
    ),
    "the percentage is of the plan that was agreed to": (
        [
            (execute, "replan", measured_against_the_last),
            (spending, "_with_failover", lambda *_: Decimal(9)),
        ],
        beyond_the_percentage,
    ),
    "a rerun goes on with the last plan": (
        [(execute, "lineage", last_is_first)],
        forgotten_continuation,
    ),
    "one purchase for a project": ([(preflight, "check_second_purchase", nothing)], two_plans),
    "suspects": (
        [(reconcile, "suspects", no_suspects), (buy, "suspects", no_suspects)],
        lambda folder: history(folder, "lost_other_name", rest_s=2000.0),
    ),
    "intent before post": ([(Journal, "_append", not_durable)], killed_unlisted),
    "each name lives once": (
        [(buy, "check_no_duplicates", nothing), (execute, "check_no_duplicates", nothing)],
        lambda folder: history(folder, "twice", runs=1),
    ),
    "price as planned": ([(ExpectedDisk, "costs_more", lambda *_: False)], exits(7, "made_dearer")),
    "size and place as sent": (
        [(ExpectedDisk, "differences", lambda *_: ())],
        exits(7, "made_other_size"),
    ),
    "the canary is listed": ([(execute, "wait_listed", nothing)], unlisted),
    "what was bought is listed": ([(execute, "prove_listing", nothing)], unlisted_later),
    "unknown is not failed": (
        [(buy, "classify", failed)],
        lambda folder: history(folder, "lost_after_late", runs=1),
    ),
    "the offer is as planned": (
        [
            (preflight, "check_offers", nothing),
            (buy, "check_offers", nothing),
            (execute, "check_ceilings", nothing),  # which would stop it as well
            (buy, "check_ceilings", nothing),
        ],
        changed(offer={"price": PRICE * 2}),
    ),
    "the offer is in stock": (
        [(preflight, "check_offers", nothing), (buy, "check_offers", nothing)],
        changed(offer={"stock": "Unavailable"}),
    ),
    "the plan is fresh": ([(preflight, "check_age", nothing)], changed(later=10**6)),
    "the plan is for this marketplace": (
        [(preflight, "check_target", nothing)],
        changed(plan={"target": {"base_url": "https://other.test", "team_id": None}}),
    ),
    "wait as asked": ([(buy, "_wait_until", nothing)], asked_to_wait),
    "one writer": ([(Journal, "_take_lock", nothing)], two_writers),
    "only unchanged disks are deleted": (
        [(destruction, "_problems", no_suspects)],
        destroyed_in_use,
    ),
    "pending creates first": ([(execute, "reconcile_pending", nothing)], reran),
}


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("rule", RULES)
def test_without_the_rule_something_breaks(
    rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rule the scenario is sound; without it the checker sees the damage."""
    switches, scenario = RULES[rule]
    assert scenario(tmp_path / "with") == []
    for owner, name, other in switches:
        monkeypatch.setattr(owner, name, other)
    assert scenario(tmp_path / "without") != []


def test_reports_are_what_they_say(tmp_path: Path) -> None:
    """The negative controls of the checker itself: a second disk, an orphan, a blind retry."""
    world = World()
    report: ApplyOutcome = world.apply(tmp_path)
    assert broken(world, tmp_path, report, plan_of()) == []
    name, _ = world.made[0]
    world.duplicate(name)
    assert broken(world, tmp_path, report, plan_of())
    world.log.append(world.requests("POST")[0])
    world.log.append(world.requests("POST")[0])
    assert any("without a look" in text for text in broken(world, tmp_path, report, plan_of()))
