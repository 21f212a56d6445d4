"""The first screen: key figures, alerts, owners with budgets and what changed, in every format."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

import planner
from planner.demand.read import demand_from
from planner.market.offers import offers_frame
from planner.reports.figures import figures
from planner.reports.merge import merge_reports
from tests.looks import texts
from tests.reports.world import MADE, POLICY, READ, VOLUMES, held, live, planned, report
from tests.shipped_plans import research
from tests.solve.live_disks import MARKET

ALL = {"policy": POLICY}


def values(made: object) -> list[tuple[str, str]]:
    return [(one.value, one.label) for one in figures(made)]  # type: ignore[arg-type]


def test_a_plan_beside_its_account() -> None:
    """0.07 USD an hour to be bought beside 0.02: cost, change, budget, runway."""
    made = report(planned(), held(live("disk-0001"), balance="21.6"))
    assert values(made) == [
        ("$65.70/month", "4 disks, 600 GB, with the plan"),
        ("+$51.10/month", "the plan adds; now $14.60/month"),
        ("85.2 %", "of the budget: $51.10 of $60.00/month"),
        ("10.0 days", "until the wallet ($21.60) is empty"),
    ]
    assert [one.is_alert for one in figures(made)] == [False] * 4
    low = report(planned(), held(balance="1"), warn_above=Decimal(80))
    assert [one.is_alert for one in figures(low)][-2:] == [True, True]


def test_an_account_since_the_month_began() -> None:
    """One disk of February is new; one of twice its price went, and one came and went."""
    made = report(None, held(live("disk-0001", "2026-01-05T00:00:00"), live("disk-0002")))
    assert values(made)[1] == ("+$14.60/month", "since 2026-02-01 (+100.0 %)")
    old = replace(made.lines[0], disk_id="disk-0000", usd_hr=Decimal("0.04"))
    fewer = replace(made, gone=(old, replace(old, disk_id="x", created_at=READ.isoformat())))
    assert values(fewer)[1] == ("-$14.60/month", "since 2026-02-01 (-33.3 %)")
    (section,) = (one for one in fewer.sections() if one.name == "changes")
    assert [row[:3] for row in texts(section)] == [
        ("-", "disk-0001", "-29.20"),
        ("+", "disk-0002", "+14.60"),
    ]
    assert merge_reports([fewer, fewer], now=READ).gone == fewer.gone


@pytest.mark.slow
def test_what_is_saved_is_one_number() -> None:
    """Against one provider for everything; where nothing simpler is dearer, nothing."""
    volumes = [VOLUMES[0], {"name": "b", "size_gb": 100, "providers": ["beta"]}]
    made = report(planned(volumes=volumes, policy={}))
    # At beta both cost 0.02; a costs 0.01 at alpha.
    saved = ("$7.30/month", "cheaper than one provider for everything (25.0 %)")
    assert values(made)[-1] == saved
    assert made.summary[-1] == " ".join(saved)
    # One provider cannot hold both copies of b, and the cheapest offers cost the same.
    assert not any("cheaper" in label for _, label in values(report(planned())))


@pytest.mark.slow
def test_the_order_of_the_first_screen() -> None:
    """Figures, alerts, owners, changes, sites; the rest is folded, in page and Markdown alike."""
    made = report(research(), warn_above=Decimal(86))
    names = [one.name for one in made.page_sections()]
    assert names[:5] == ["summary", "notices", "by-owner", "changes", "by-site"]
    assert {one.name for one in made.page_sections() if not one.is_folded} == set(names[:5])
    page = made.to_html(charts=False)
    order = ['<dl class="figures">', '<div class="warnings">', 'id="s-by-owner"', "<details>"]
    assert [*map(page.index, order)] == sorted(map(page.index, order))
    head, _, rest = made.to_markdown().partition("<details>")
    assert len([line for line in head.splitlines() if line]) <= 10
    assert "| research |" in rest
    whole, serving, research_row = (
        texts(next(one for one in made.sections() if one.name == "by-owner"))[at]
        for at in (-1, 1, 0)
    )
    assert research_row[:5] == ("research", "1,298.02", "1,500.00", "86.5", "at risk")
    assert serving[:5] == ("serving", "42.49", "50.00", "85.0", "within")
    assert whole[:4] == ("total", "1,340.51", "1,600.00", "83.8")


@pytest.mark.slow
def test_many_projects_are_named_once() -> None:
    """Twelve plans of one market: a number in the title, one sentence of prices, three alerts."""
    plans = [
        planner.plan(
            demand_from({"version": 1, "project": f"lab-{n:02}", "volumes": VOLUMES, **ALL}),
            offers_frame(MARKET),
            now=MADE,
            nonce=f"nonce-{n}",
        )
        for n in range(12)
    ]
    made = [report(plan, warn_above=Decimal(10)) for plan in plans]
    whole = merge_reports(made, now=READ)
    assert whole.title == "Storage of 12 projects"
    prices = [text for text in whole.assumptions if text.startswith("Prices of new disks")]
    assert len(prices) == 1
    assert "lab-00, lab-01, lab-02 and 9 more projects" in prices[0]
    assert len(whole.alerts) == 36
    assert len(whole.first_notices) - len(whole.warnings) == 4
    assert re.match(r"33 more budgets", whole.first_notices[-1])
    assert values(whole)[1][1].startswith("of the 12 budgets")
