"""Several reports as one: every disk once, and nothing that is gone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from planner import merge_reports
from planner.demand import demand_from
from planner.errors import InputError
from planner.make import make_plan
from planner.market import offers_frame
from tests.report.world import READ, held, live, name_of, planned, report
from tests.solve.live_disks import MARKET


def other_plan() -> object:
    volumes = [{"name": "a", "size_gb": 300, "owner": "ann"}]
    document = {"version": 1, "project": "den", "volumes": volumes}
    return make_plan(demand_from(document), offers_frame(MARKET), nonce="nonce-2")


def test_two_plans_add_up() -> None:
    """Projects, budgets and sums of both; volumes of one name are told apart."""
    one, two = report(planned()), report(other_plan())  # type: ignore[arg-type]
    both = merge_reports([one, two], now=READ)
    assert both.projects == ("lab", "den")
    assert both.after.usd_hr == Decimal("0.10")
    assert {group.value for group in both.groups("volume")} == {"lab/a", "lab/b", "den/a"}
    assert both.budgets[0].title == "budget, lab"
    assert both.budgets[1].projected_usd_month == Decimal("7.30")


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
        assert [text for text in both.warnings if "disk-0002" in text]


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


def test_nothing_cannot_be_merged() -> None:
    """An empty list is a mistake of the caller."""
    with pytest.raises(InputError, match="no reports"):
        merge_reports([])
