"""Disks that volumes share in reports: shared out by GB, exactly, and counted once."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import planner
from planner.plans.sharing import DiskShare
from planner.reports.diff import diff
from planner.reports.ledger import Purchase
from planner.reports.merge import merge_reports
from planner.reports.report import Report
from tests.plans.packed import packed
from tests.project.test_shared import bought, growing
from tests.reports.world import READ, held, live, report
from tests.reports.world import planned as planned_of

if TYPE_CHECKING:
    from pathlib import Path

    from planner.plans.plan import Plan

VOLUMES: list[dict[str, Any]] = [
    {"name": "a", "size_gb": 100, "owner": "ann"},
    {"name": "b", "size_gb": 200, "owner": "bob", "tags": {"team": "one"}},
]
"""Both at alpha, where 300 GB cost 0.03 USD an hour."""
SHARES = (DiskShare("a", 1, 100, "ann"), DiskShare("b", 1, 200, "bob", {"team": "one"}))


def shared_plan(**more: Any) -> Plan:
    return packed(planned_of(volumes=VOLUMES, policy={}, **more), "a", "b")


def one_disk(usd_hr: str = "0.03", **more: Any) -> Any:
    return live("disk-0001", size=300, usd_hr=usd_hr, **more)


def purchase(plan: str = "digest", **more: Any) -> dict[str, Purchase]:
    known = {"plan": plan, "project": "lab", "volume": "a", "replica": 1, "disk": 1, "owner": "ann"}
    return {"disk-0001": Purchase(**{**known, "group": SHARES, **more})}


def by_volume(made: Report, name: str) -> dict[str | None, Any]:
    return {line.volume: getattr(line, name) for line in made.lines}


def test_a_plans_shared_disk_is_one_disk_and_two_lines() -> None:
    """Its GB and its cost add up; by owner each pays for its own GB."""
    made = report(shared_plan())
    assert by_volume(made, "size_gb") == {"a": 100, "b": 200}
    assert by_volume(made, "usd_hr") == {"a": Decimal("0.01"), "b": Decimal("0.02")}
    assert {line.disk_group for line in made.lines} == {("a", "b")}
    assert len({line.name for line in made.lines}) == 1
    assert (made.after.disks, made.after.size_gb, made.after.usd_hr) == (1, 300, Decimal("0.03"))
    assert made.summary[0].startswith("1 disk, 300 GB")
    owners = {one.value: (one.rate.usd_hr, one.rate.disks) for one in made.groups("owner")}
    assert owners == {"ann": (Decimal("0.01"), 1), "bob": (Decimal("0.02"), 0)}


def test_the_account_alone_knows_who_pays_for_what() -> None:
    """Without the plan: the journal's shares, and a price that does not divide evenly."""
    made = report(None, held(one_disk("0.1")), bought=purchase())
    usd = by_volume(made, "usd_hr")
    assert usd["a"] != usd["b"] / 2  # 0.1 USD does not end in thirds
    assert usd["a"] + usd["b"] == Decimal("0.1")
    assert by_volume(made, "owner") == {"a": "ann", "b": "bob"}
    assert by_volume(made, "tags") == {"a": {}, "b": {"team": "one"}}
    assert (made.after.disks, made.after.size_gb) == (1, 300)
    assert made.to_document()["totals"]["idle"]["disks"] == 1


def test_a_budget_of_an_owner_counts_his_part() -> None:
    """0.02 USD an hour is 14.60 a month."""
    made = report(None, held(one_disk()), bought=purchase(), budgets={"bob": Decimal("14.60")})
    (budget,) = made.budgets
    assert budget.projected_usd_month == Decimal("14.60")
    assert made.alerts == ()


def test_a_price_that_is_unknown_is_unknown_for_both() -> None:
    """No budget of either is kept for sure, and the report counts one disk without a price."""
    made = report(None, held(one_disk("0")), bought=purchase(), budgets={"bob": Decimal(1)})
    assert by_volume(made, "usd_hr") == {"a": None, "b": None}
    assert (made.after.disks, made.after.unpriced) == (1, 1)
    assert made.budgets[0].state(None) == "unknown"
    assert sum("has no price" in text for text in made.warnings) == 1


def test_what_was_billed_is_shared_as_well() -> None:
    """One billing row of the disk, a third and two thirds of it."""
    from tests.reports.world import bill

    made = report(None, held(one_disk(), bills=[bill("disk-0001", "9")]), bought=purchase())
    assert by_volume(made, "billed_usd") == {"a": Decimal(3), "b": Decimal(6)}


def test_the_plan_finds_its_disk_in_the_account() -> None:
    """By the journal, or by the name that the plan gives."""
    plan = shared_plan()
    name = plan.requests[0]["body"]["disk"]["name"]
    for made in (
        report(plan, held(one_disk(name=name))),
        report(plan, held(one_disk()), bought=purchase(plan.digest)),
    ):
        assert [line.standing for line in made.lines] == ["bought", "bought"]
        assert made.after.disks == 1


def test_merged_and_saved_reports_keep_the_shares(tmp_path: Path) -> None:
    """The plan's report and a later one of the account, which is dearer: one disk, two lines."""
    plan = shared_plan()
    name = plan.requests[0]["body"]["disk"]["name"]
    seen = report(None, held(one_disk("0.1", name=name)))
    (alone,) = seen.lines
    assert alone.volume is None
    report(plan).save(tmp_path / "plan.json")
    saved = Report.load(tmp_path / "plan.json")
    for reports in ([saved, seen], [seen, saved]):
        made = merge_reports(reports, now=READ)
        usd = by_volume(made, "usd_hr")
        assert {*usd} == {"a", "b"}
        assert sum(usd.values()) == Decimal("0.1")
        assert (made.after.disks, made.after.size_gb) == (1, 300)
        assert {line.disk_id for line in made.lines} == {"disk-0001"}
    known = report(None, held(one_disk()), bought=purchase())
    for reports in ([known, seen], [seen, known]):
        assert {line.volume for line in merge_reports(reports, now=READ).lines} == {"a", "b"}


def test_a_diff_says_that_volumes_part() -> None:
    """The same places, sizes and cost: what changed is that each has a disk of its own."""
    apart = planned_of(volumes=VOLUMES, policy={})
    made = diff(shared_plan(), apart)
    assert [change.changes for change in made.disks] == [("regrouped",), ("regrouped",)]
    assert made.disks[0].text == "regrouped: a + b \N{RIGHTWARDS ARROW} a disk of its own"
    assert (made.old.to_document()["disks"], made.new.to_document()["disks"]) == (1, 2)
    assert made.cost.difference_usd_month == 0


def test_csv_and_frame_add_up() -> None:
    """Each line has its part; a disk is counted where its volume is the first of the group."""
    frame = report(shared_plan()).to_frame()
    assert frame["size_gb"].sum() == 300
    assert [group == ("a", "b") for group in frame["disk_group"]] == [True, True]


def test_a_month_shares_what_was_billed_or_listed() -> None:
    """February until noon of the 11th: 252 hours of a disk that is there since January."""
    made = planner.report(
        None,
        held(one_disk(created="2026-01-01T00:00:00")),
        bought=purchase(),
        now=READ,
    )
    from planner.reports.months import month_report

    month = month_report(made, held(one_disk(created="2026-01-01T00:00:00")), "2026-02")
    assert {line.line.volume: line.usd for line in month.lines} == {
        "a": Decimal("2.52"),
        "b": Decimal("5.04"),
    }
    assert month.total.disks == 1


@pytest.mark.slow
def test_a_month_later_from_the_account_alone(tmp_path: Path) -> None:
    """Bought, grown, the old disk retired: who pays what, by the journal and the listing."""
    world, _ = bought(tmp_path)
    assert world.apply(tmp_path, growing(world, tmp_path)).exit_code == 0
    from planner.project.journal import Journal
    from planner.reports.holdings import account_holdings
    from tests.project.test_replace import make_active, retired

    make_active(world)
    retired(world, tmp_path)
    world.clock.sleep(30 * 86400)
    with world.account() as account:
        holdings = account_holdings(account, world.clock.now())
    with Journal(tmp_path, write=False) as journal:
        made = planner.report(None, holdings, records=journal.records, now=world.clock.now())
    (disk,) = world.live
    owners = {one.value: one.rate for one in made.groups("owner")}
    assert {*owners} == {"ann", "bob"}
    assert owners["ann"].usd_hr + owners["bob"].usd_hr == disk.usd_hr
    assert owners["ann"].usd_hr == disk.usd_hr * 2500 / 3500
    assert (made.after.disks, made.after.size_gb) == (1, 3500)
