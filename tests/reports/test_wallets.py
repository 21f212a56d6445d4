"""Wallets: how long they last now, with the plan, with its GPUs; unpriced is never free."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import planner
from planner.errors import BudgetGate, InputError
from tests.looks import texts
from tests.reports.world import URL, bill, held, live, planned, report
from tests.shipped_plans import finetune

if TYPE_CHECKING:
    from planner.present.table import Section
    from planner.reports.report import Report


def section(made: Report, name: str) -> Section:
    (found,) = (one for one in made.sections() if one.name == name)
    return found


@pytest.mark.slow
def test_now_with_the_plan_and_with_its_gpus() -> None:
    """Three burn rates, each with more in it than the one before."""
    plan = finetune()
    made = report(plan, held(live("disk-0001", usd_hr="0.1"), balance="100"))
    (lasts,) = made.runways()
    disks = Decimal("0.1") + Decimal(plan.exact_totals["disk_usd_hr"])
    assert Decimal(lasts["now"]["usd_hr"]) == Decimal("0.1")
    assert Decimal(lasts["after"]["usd_hr"]) == disks
    assert Decimal(lasts["with_gpus"]["usd_hr"]) == disks + Decimal(plan.exact_totals["gpu_usd_hr"])
    assert report(planned(), held(balance="1")).runways()[0]["with_gpus"] is None
    together = made.to_document()["totals"]["together"]
    assert Decimal(together["usd_hr"]) == Decimal(lasts["with_gpus"]["usd_hr"])
    months = disks * 730 + made.gpu_usd_month
    assert Decimal(together["usd_month"]) == months
    assert f"{months:,.2f}" in texts(section(made, "totals"))[-1]


def test_an_unpriced_disk_makes_days_at_most() -> None:
    """One of two unpriced: at most so many; all unpriced: unknown, and never for ever."""
    half = report(None, held(live("disk-0001"), live("disk-0002", usd_hr=None), balance="4.8"))
    assert "at most 10.0" in texts(section(half, "wallet"))[0]
    assert [line for line in half.summary if "at most 10.0 days" in line]
    assert [line for line in half.summary if "and 1 without a price" in line]
    none = report(None, held(live("disk-0001", usd_hr=None), balance="5"))
    assert "unknown" in texts(section(none, "wallet"))[0]
    assert "no end" in texts(section(report(None, held(balance="5")), "wallet"))[0]
    assert [note for note in section(none, "idle").notes if "no price" in note]


def test_billed_is_held_against_what_can_be_estimated() -> None:
    """1.20 accrued and 1.50 billed: 0.30 more; a disk without a date is left out, and said."""
    account = held(
        live("disk-0001"),
        live("disk-0002", None),
        bills=[bill("disk-0001", "1.5"), bill("disk-0002", "7"), bill("pod-0001", "9", "compute")],
        balance="1",
    )
    found = section(report(None, account), "billed")
    disks, compute = texts(found)
    assert disks == ("disks", "2", "1.20", "8.50", "0.30")
    assert compute[2:] == ("", "9.00", "")
    assert [note for note in found.notes if note.endswith("without either amount: 1")]


def test_the_rest_of_the_month_is_that_of_what_is_there() -> None:
    """New disks are not there: the total in JSON is the table's; what nobody knows is null."""
    totals = report(planned(), held(live("disk-0001"))).to_document()["totals"]
    assert totals["rest_of_month_usd"] == "8.4"
    alone = report(planned()).to_document()["totals"]
    assert {alone[name] for name in ("accrued_usd", "month_so_far_usd", "rest_of_month_usd")} == {
        None
    }
    assert alone["undated"] == 0


def test_what_is_outside_the_plans_is_what_no_plan_wants() -> None:
    """The plan's own disks are not in it."""
    totals = report(planned(), held(live("disk-0001"))).to_document()["totals"]
    assert (totals["outside_plans"]["disks"], totals["after"]["disks"]) == (1, 4)


@pytest.mark.slow
def test_every_assumption_is_printed() -> None:
    """Month, prices, account, wallet, GPUs, and a policy's own month."""
    told = " ".join(
        report(finetune(), held(live("disk-0001", usd_hr=None), balance="1")).assumptions
    )
    for words in (
        "a month 730",
        "the calendar month 2026-02 (UTC) 672",
        "fetch",
        "deletes nothing",
        "today's list price since creation",
        "1 disk without a price: every sum is a lower bound",
        "Wallet days assume no other charges and no deposits",
        "GPUs cost the demand's hours",
    ):
        assert words in told
    policy = report(planned(policy={"hours_per_month": 700})).assumptions
    assert [text for text in policy if "a month of 700 hours" in text]
    assert [text for text in policy if "The account was not read" in text]


def test_an_unknown_balance_lasts_for_an_unknown_time() -> None:
    """Also where nothing costs: unknown is not endless."""
    made = report(None, held())
    assert texts(section(made, "wallet"))[0][1:3] == ("unknown", "unknown")


def test_where_no_wallet_was_asked_for_there_is_none() -> None:
    """A file of disks says nothing of money that is left."""
    made = report(None, held(live("disk-0001"), base_url=None))
    assert not made.wallets
    assert "wallet" not in {one.name for one in made.sections()}


@pytest.mark.slow
def test_a_wallet_with_little_left_is_the_first_line_of_every_report() -> None:
    """0.02 USD an hour: 3.35 USD last less than seven days, 3.36 USD exactly seven."""
    low = report(None, held(live("disk-0001"), balance="3.35"))
    first = "The wallet lasts 7.0 days, until 2026-02-18 11:30 UTC: $3.35 at $0.0200/h"
    assert low.low_wallets[0].startswith(first)
    assert low.to_markdown().startswith(f"- {first}")
    assert low.page_sections()[0].notes == low.low_wallets
    assert low.to_html().index("<li>The wallet lasts") < low.to_html().index("1 disk")
    month = planner.report(None, held(live("disk-0001"), balance="3.35"), month="2026-02")
    assert month.sections()[0].notes == low.low_wallets
    assert report(None, held(live("disk-0001"), balance="3.36")).low_wallets == ()
    assert report(None, held(balance="0")).low_wallets == ()
    empty = report(None, held(live("disk-0001"), balance="-2"))
    assert empty.low_wallets[0].startswith("The wallet is empty (-$2.00).")


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("balance", "usd_hr", "hours", "says"),
    [
        ("4.8", "0.02", "240", None),
        (
            "4.8",
            "0.02",
            "240.1",
            "lasts 10.0 days, until 2026-02-21 12:00 UTC: $4.80 at $0.0200/h, ",
        ),
        ("0", "0.02", "1", "is empty"),
        (None, "0.02", "1", "balance of the wallet is unknown"),
        ("100", None, "1", "How long the wallet lasts is unknown"),
    ],
)
def test_a_runway_can_be_a_gate(
    balance: str | None, usd_hr: str | None, hours: str, says: str | None
) -> None:
    """Exactly so long passes; what is unknown does not."""
    account = held(live("disk-0001", usd_hr=usd_hr), balance=balance, base_url=URL)
    made = report(None, account)
    if says is None:
        made.check_runway(Decimal(hours))
        return
    with pytest.raises(BudgetGate, match=re.escape(says)) as raised:
        made.check_runway(Decimal(hours))
    assert raised.value.over[0]["asked_hours"] == hours
    report(None, held(balance="1")).check_runway(Decimal(10**6))
    with pytest.raises(InputError, match="no wallet"):
        report(planned()).check_runway(Decimal(1))
