"""Several reports as one: every disk once, and nothing that is gone."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import planner
from planner import merge_reports, read_holdings
from planner.demand.read import demand_from
from planner.errors import BudgetGate, InputError
from planner.market.offers import offers_frame
from planner.reports.ledger import Purchase
from tests.reports.world import READ, URL, held, live, name_of, planned, report
from tests.shipped_plans import finetune
from tests.solve.live_disks import MARKET

if TYPE_CHECKING:
    from pathlib import Path

    from planner.plans.plan import Plan
    from planner.reports.report import Report


def other_plan() -> Plan:
    volumes = [{"name": "a", "size_gb": 300, "owner": "ann"}]
    document = {"version": 1, "project": "den", "volumes": volumes}
    return planner.plan(demand_from(document), offers_frame(MARKET), nonce="nonce-2")


def test_two_plans_add_up() -> None:
    """Projects, budgets and sums of both; volumes of one name are told apart."""
    one, two = report(planned()), report(other_plan())
    both = merge_reports([one, two], now=READ)
    assert both.projects == ("lab", "den")
    assert both.after.usd_hr == Decimal("0.10")
    assert {group.value for group in both.groups("volume")} == {"lab/a", "lab/b", "den/a"}
    assert both.budgets[0].title == "budget, lab"
    assert both.budgets[1].projected_usd_month == Decimal("7.30")


@pytest.mark.slow
def test_the_same_report_twice_is_one() -> None:
    """Merging is idempotent: nothing is counted again."""
    made = report(planned(), held(live("disk-0001"), balance="5"))
    twice = merge_reports([made, made], now=READ)
    assert twice.lines == made.lines
    assert (twice.sources, twice.limits, twice.wallets) == (made.sources, made.limits, made.wallets)


def test_a_disk_of_two_reports_is_counted_once_and_belongs_to_the_plan() -> None:
    """What the account's own report calls other is the plan's where a plan bought it."""
    plan = planned()
    bought = live("disk-0001", name=name_of(plan, "a"), usd_hr="0.01")
    account = held(bought, live("disk-0002"))
    both = merge_reports([report(None, account), report(plan, account)], now=READ)
    assert sorted(line.standing for line in both.lines) == ["bought", "new", "new", "other"]
    assert both.after.usd_hr == Decimal("0.09")
    assert [line.volume for line in both.lines] == ["a", "b", "b", None]


def test_what_an_older_plan_was_to_buy_was_bought_since() -> None:
    """A plan's report of yesterday and the account of today: one disk, live, with its owner."""
    plan = planned()
    bought = live("disk-0001", name=name_of(plan, "b", 2), usd_hr="0.05", provider="beta")
    both = merge_reports([report(plan), report(None, held(bought))], now=READ)
    found = next(line for line in both.lines if line.standing == "bought")
    assert (found.disk_id, found.owner, found.usd_hr) == ("disk-0001", "bob", Decimal("0.05"))
    assert both.after.disks == 3


def test_a_later_reading_decides() -> None:
    """A price of today beats yesterday's; a disk that today's reading lacks is gone, and said."""
    before = held(live("disk-0001", usd_hr="0.01"), live("disk-0002"), balance="9")
    later = READ + timedelta(days=1)
    after = held(live("disk-0001", usd_hr="0.03"), balance="8", read_at=later)
    for order in ([before, after], [after, before]):
        both = merge_reports([report(None, one) for one in order], now=later)
        assert [line.disk_id for line in both.lines] == ["disk-0001"]
        assert both.after.usd_hr == Decimal("0.03")
        assert both.wallets[0].balance_usd == 8
        assert [text for text in both.doubts if "disk-0002" in text]
        with pytest.raises(BudgetGate):
            both.against({None: Decimal(10**6)}).check()


def test_accounts_stay_apart() -> None:
    """Each wallet pays for its own disks."""
    one = report(None, held(live("disk-0001"), balance="1"))
    two = report(
        None, held(live("disk-0002", usd_hr="0.5"), balance="1", base_url="https://b.example")
    )
    both = merge_reports([one, two], now=READ)
    first, second = both.runways()
    assert (first["now"]["usd_hr"], second["now"]["usd_hr"]) == ("0.02", "0.5")
    assert (first["now"]["hours_left"], second["now"]["hours_left"]) == ("50", "2")


def test_two_plans_of_one_project_are_said() -> None:
    """Both would be bought: the sums have both, and a sentence says so."""
    more = planned(volumes=[{"name": "a", "size_gb": 200}], policy={})
    both = merge_reports([report(planned()), report(more)], now=READ)
    assert [text for text in both.warnings if "2 plans of lab" in text]


@pytest.mark.slow
def test_gpus_are_rented_once_whether_or_not_the_account_is_known() -> None:
    """The same plan, reported alone and beside the account: one bill, and one comparison each."""
    plan = finetune()
    alone = report(plan)
    for order in ([alone, report(plan, held())], [report(plan, held()), alone]):
        both = merge_reports(order, now=READ)
        assert both.gpu_usd_month == alone.gpu_usd_month
        assert {gpu.account for gpu in both.gpus} == {URL}
        assert len({one.name for one in both.comparisons}) == len(both.comparisons)
    two = merge_reports([report(planned()), alone], now=READ)
    assert two.gpu_usd_month == alone.gpu_usd_month
    assert {one.project for one in two.comparisons} == {"lab", plan.project}


def test_disks_without_ids_are_counted_once_per_reading() -> None:
    """Two plans on one account: its nameless disks are still two, and not four."""
    row = {**live("x"), "id": None, "name": None, "priceHr": Decimal(1)}
    account = held(row, dict(row))
    both = merge_reports([report(planned(), account), report(other_plan(), account)], now=READ)
    assert both.now is not None
    assert both.now.disks == 2
    assert both.now.usd_hr == 2


def test_a_disk_that_two_plans_claim_is_said_and_opens_no_gate() -> None:
    """Counted once, for the first; nobody can say that the second's budget is kept."""
    there = live("disk-0001", usd_hr="0.2")
    plans = [
        planned(
            there,
            project=name,
            volumes=[{"name": "a", "size_gb": 100, "disks": ["disk-0001"]}],
            policy={"budget_usd_month": 200},
        )
        for name in ("one", "two")
    ]
    account = held(there)
    both = merge_reports([report(plan, account) for plan in plans], now=READ)
    assert both.after.usd_hr == Decimal("0.2")
    (doubt,) = both.doubts
    assert "disk-0001 is one's a and two's a" in doubt
    with pytest.raises(BudgetGate, match="disk-0001"):
        both.check()


def test_the_account_as_it_is_is_compared_as_it_is_now() -> None:
    """After merging, its cost is that of all its disks, not of the first report's."""
    one = report(planned(), held(live("disk-0001")))
    two = report(None, held(live("disk-0001"), live("disk-0002", usd_hr="1")))
    both = merge_reports([one, two], now=READ)
    (as_it_is,) = (each for each in both.comparisons if each.name == "the account as it is")
    assert as_it_is.usd_month == Decimal("1.02") * 730
    assert as_it_is.plan_usd_month == Decimal("51.10")
    assert as_it_is.saves_usd_month == Decimal("693.50")


def test_the_strictest_warning_and_every_warning_stay() -> None:
    """Of several thresholds the least; what any report warned of is still said."""
    broken = report(None, held(live("disk-0001", status="ERROR")), warn_above=Decimal(90))
    both = merge_reports([report(planned()), broken], now=READ)
    assert both.warn_above == 90
    assert [text for text in both.warnings if "is ERROR" in text]
    third = merge_reports([both, report(planned(), warn_above=Decimal(70))], now=READ)
    assert third.warn_above == 70


def test_readings_of_different_months_are_said() -> None:
    """A calendar month of two readings is two months."""
    later = READ + timedelta(days=30)
    reports = [report(None, held()), report(None, held(read_at=later))]
    both = merge_reports(reports, now=later)
    assert [text for text in both.warnings if "different months" in text]


def test_wallets_of_files_stay_apart(tmp_path: Path) -> None:
    """Two accounts from files: two wallets, each with its own disks; offline plans in neither."""
    reports = []
    for name, price in (("x", 0.02), ("y", 0.5)):
        disks, wallet = tmp_path / f"{name}.json", tmp_path / f"{name}-wallet.json"
        disks.write_text(json.dumps([{**live(f"disk-{name}001"), "priceHr": price}]))
        wallet.write_text(json.dumps({"balance_usd": 1}))
        reports.append(report(None, read_holdings(disks, wallet, now=READ)))
    both = merge_reports([*reports, report(planned())], now=READ)
    assert [one["after"]["hours_left"] for one in both.runways()] == ["50", "2"]
    assert [text for text in both.warnings if "of an unknown account" in text]


def test_two_files_of_one_name_are_two_accounts(tmp_path: Path) -> None:
    """A path as it was typed is nobody's identity: what differs in content stays apart."""
    reports: list[Report] = []
    for team, price in (("ta", 1.0), ("tb", 0.1)):
        (tmp_path / "disks.json").write_text(
            json.dumps([{**live(f"disk-{team}01"), "priceHr": price}])
        )
        (tmp_path / "wallet.json").write_text(json.dumps({"balance_usd": 1}))
        later = READ + timedelta(hours=len(reports))
        files = (tmp_path / "disks.json", tmp_path / "wallet.json")
        reports.append(report(None, read_holdings(*files, now=later)))
    both = merge_reports(reports, now=READ)
    assert both.after.usd_hr == Decimal("1.1")
    assert len(both.wallets) == 2
    assert not both.doubts


def test_what_a_plan_remembers_is_no_evidence_against_a_reading() -> None:
    """Its time is of another clock: a disk of a real reading is not gone for it."""
    plan = planned(live=True)
    bought = live("disk-0001", name=name_of(plan, "a"), usd_hr="0.01")
    before = READ.replace(year=2025)  # the marketplace's clock is far behind
    reading = report(plan, held(bought, read_at=before))
    for order in ([report(plan), reading], [reading, report(plan)]):
        both = merge_reports(order, now=READ)
        assert sorted(line.standing for line in both.lines) == ["bought", "new", "new"]
        assert both.after.usd_hr == Decimal("0.07")


def test_a_renamed_disk_is_still_the_slot_that_it_was_bought_as() -> None:
    """The journal knew it: the plan alone, reported beside, does not buy it again."""
    plan = planned()
    slot = Purchase(str(plan.to_document()["digest"]), "lab", "a", 1, 1)
    account = held(live("disk-0001", name="fancy", usd_hr="0.01"))
    reading = report(plan, account, bought={"disk-0001": slot})
    for order in ([reading, report(plan)], [report(plan), reading]):
        both = merge_reports(order, now=READ)
        assert both.after.disks == 3
        assert both.after.usd_hr == Decimal("0.07")


def test_nothing_cannot_be_merged() -> None:
    """An empty list is a mistake of the caller."""
    with pytest.raises(InputError, match="no reports"):
        merge_reports([])
