"""Budgets: what counts against each, how it stands, and the gate that closes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import BudgetGate, InputError
from planner.present.table import Cell
from planner.reports.budgets import BUDGETS, Limit
from planner.units import percent_of
from tests.reports.world import held, live, name_of, planned, report

HUNDRED = Decimal(100)


def rows(made: object, warn: str | None = None) -> dict[tuple[str | None, str | None], dict]:  # type: ignore[type-arg]
    threshold = None if warn is None else Decimal(warn)
    found = [one.row(threshold) for one in made.budgets]  # type: ignore[attr-defined]
    return {(row["project"], row["owner"]): row for row in found}


def test_a_plan_alone_against_its_budgets() -> None:
    """0.07, 0.01 and 0.06 USD an hour in 730 hours: 51.10 of 60, 7.30 of 10, 43.80 of 50."""
    found = rows(report(planned()))
    assert list(found) == [("lab", None), ("lab", "ann"), ("lab", "bob")]
    whole, ann, bob = found.values()
    assert (whole["projected_usd_month"], whole["left_usd_month"]) == (
        Decimal("51.10"),
        Decimal("8.90"),
    )
    assert ann["percent"] == 73
    assert bob["percent"] == Decimal("87.6")
    assert {row["now_usd_month"] for row in found.values()} == {None}
    assert {row["state"] for row in found.values()} == {"within"}


def test_a_budget_counts_the_month_of_its_policy() -> None:
    """Of 700 hours, 0.07 an hour is 49."""
    policy = {"budget_usd_month": 60, "hours_per_month": 700}
    (whole,) = rows(report(planned(policy=policy))).values()
    assert (whole["projected_usd_month"], whole["hours_per_month"]) == (49, 700)


def test_live_prices_count_and_other_disks_do_not() -> None:
    """What was bought counts at today's price; a disk of no plan is in no budget of the plan."""
    plan = planned()
    bought = live("disk-0001", name=name_of(plan, "a"), usd_hr="0.02")
    made = report(plan, held(bought, live("disk-0002", usd_hr="5")))
    found = rows(made)
    assert found["lab", "ann"]["projected_usd_month"] == Decimal("14.60")
    assert found["lab", "ann"]["now_usd_month"] == Decimal("14.60")
    assert found["lab", "ann"]["state"] == "over"
    assert found["lab", "bob"]["now_usd_month"] == 0
    assert found["lab", None]["projected_usd_month"] == Decimal("0.08") * 730


def test_a_budget_over_everything_counts_everything() -> None:
    """`--budget` is about the report: other disks too, by 730 hours."""
    made = report(planned(), held(live("disk-0002", usd_hr="5")), budgets={None: Decimal(1)})
    last = made.budgets[-1]
    assert last.projected_usd_month == Decimal("5.07") * 730
    assert last.title == "budget, everything"


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("limit", "warn", "state"),
    [
        ("51.11", None, "within"),
        ("51.10", None, "within"),
        ("51.09", None, "over"),
        ("60", "85", "warn"),
        ("60", "86", "within"),
        ("0", None, "over"),
    ],
)
def test_how_a_budget_stands(limit: str, warn: str | None, state: str) -> None:
    """Spent to the last cent is within; a hair more is over; above the warning is warned about."""
    made = report(planned(policy={}), budgets={None: Decimal(limit)})
    (row,) = rows(made, warn).values()
    assert row["state"] == state
    assert (row["percent"] is None) == (limit == "0")


def test_a_budget_of_nothing_with_nothing_spent_is_kept() -> None:
    """Zero of zero is within."""
    made = report(None, held(), budgets={None: Decimal(0)})
    made.check(HUNDRED)
    assert rows(made)[None, None]["state"] == "within"


def test_a_gate_says_by_how_much_and_whose() -> None:
    """Over the whole by owner, over an owner by volume, in exact amounts too."""
    made = report(planned(), budgets={None: Decimal("51.00"), "bob": Decimal(40)})
    with pytest.raises(BudgetGate) as caught:
        made.check(HUNDRED)
    error = caught.value
    assert error.exit_code == 10
    assert str(error) == (
        "budget, everything: $51.10 of $51.00/month (100.2 %), $0.10 above 100 %; "
        "bob $43.80, ann $7.30\n"
        "budget of bob, everything: $43.80 of $40.00/month (109.5 %), $3.80 above 100 %; b $43.80"
    )
    assert made.first_notices[-2:] == (
        "budget of bob, everything: $43.80 of $40.00/month (109.5 %), $3.80 above 100 %",
        "budget, everything: $51.10 of $51.00/month (100.2 %), $0.10 above 100 %",
    )
    whole, bob = error.data["over"]
    assert whole["above_usd_month"] == "0.1"
    assert whole["largest"] == {"bob": "43.8", "ann": "7.3"}
    assert (bob["owner"], bob["percent"], bob["above_usd_month"]) == ("bob", "109.5", "3.8")


def test_a_gate_below_a_hundred() -> None:
    """The threshold is the caller's: 87.6 % is above 87, and not above 87.6."""
    made = report(planned())
    made.check(Decimal("87.6"))
    with pytest.raises(BudgetGate, match=r"budget of bob: .* \$0.30 above 87 %"):
        made.check(Decimal(87))


def test_a_gate_without_a_budget_is_a_mistake() -> None:
    """A gate that cannot close would pass for ever."""
    with pytest.raises(InputError, match="no budget"):
        report(planned(policy={})).check(HUNDRED)


def test_unpriced_cannot_be_shown_to_be_kept() -> None:
    """Within but for a disk without a price: the state says unknown, and the gate closes."""
    made = report(None, held(live("disk-0001", usd_hr=None)), budgets={None: HUNDRED})
    assert rows(made)[None, None]["state"] == "unknown"
    with pytest.raises(BudgetGate, match="1 disk without a price: it cannot be confirmed"):
        made.check(HUNDRED)


@pytest.mark.slow
@settings(deadline=None)
@given(
    spent=st.decimals(Decimal("1e-8"), 10**6, places=8),
    limit=st.decimals(0, 10**6, places=2),
    percent=st.decimals(0, 300, places=3),
)
def test_the_gate_compares_exactly(spent: Decimal, limit: Decimal, percent: Decimal) -> None:
    """It closes just when the month's cost is more than the percentage, in whole numbers."""
    made = report(None, held(live("disk-0001", usd_hr=str(spent))), budgets={None: limit})
    closes = int(spent * 730 * 10**13) > int(limit * percent * 10**11)
    if closes:
        with pytest.raises(BudgetGate):
            made.check(percent)
    else:
        made.check(percent)


def test_budgets_as_a_frame() -> None:
    """Declared columns, one row each, whole before owners."""
    frame = report(planned()).budgets_frame(exact=True)
    assert list(frame.columns) == [column.name for column in BUDGETS]
    assert frame["owner"].isna().tolist() == [True, False, False]


def owners(made: object) -> dict[str, tuple[object, object]]:
    """Return budget and per cent beside each owner, and beside the total."""
    (table,) = (one for one in made.page_sections() if one.name == "by-owner")  # type: ignore[attr-defined]
    return {str(row[0]): (row[2], row[3]) for row in (*table.rows, table.footer)}


def test_an_owner_is_held_against_a_budget_of_all_that_it_has() -> None:
    """Of two budgets over everything the tighter; a budget of a part says so; a sum counts once."""
    both = owners(report(planned(), budgets={None: Decimal(80), "ann": Decimal(8)}))
    assert both["ann"] == (8, Decimal("91.25"))
    assert both["bob"] == (50, Decimal("87.6"))
    assert both["total"] == (60, percent_of(Decimal("51.10"), Decimal(60)))
    here = name_of(planned(), "a"), live("disk-0002", usd_hr="5")
    apart = report(planned(), held(live("disk-0001", name=here[0], usd_hr="0.01"), here[1]))
    assert owners(apart)["total"] == (Cell(None, "of a part"), None)


def test_a_limit_of_one_project_leaves_another_s_disks_alone() -> None:
    """Budgets come from a plan, and are about its disks."""
    (line, *_) = report(planned()).lines
    assert Limit("lab", None, HUNDRED, 730).counts(line)
    assert Limit("lab", "ann", HUNDRED, 730).counts(line)
    assert not Limit("lab", "bob", HUNDRED, 730).counts(line)
    assert not Limit("den", None, HUNDRED, 730).counts(line)
    assert Limit(None, "ann", HUNDRED, 730).counts(line)


@pytest.mark.parametrize(
    ("owner", "hint"), [("bobb", "did you mean bob?"), ("zed", "owners: ann, bob")]
)
def test_a_budget_of_nobody_is_a_mistake(owner: str, hint: str) -> None:
    """It would be kept for ever: a slip of the pen must not open the gate."""
    with pytest.raises(InputError, match="No disk in the report has the owner") as caught:
        report(planned(), budgets={owner: HUNDRED})
    assert caught.value.hint == hint
    with pytest.raises(InputError):
        report(None, held(live("disk-0001", usd_hr="5")), budgets={"ann": Decimal(1)})


@pytest.mark.sweep
@pytest.mark.parametrize("amount", [float("nan"), "5", True, Decimal("NaN"), Decimal(-1), None])
def test_amounts_and_thresholds_are_exact_numbers(amount: object) -> None:
    """No number, a text, a yes, nothing: none of these is money."""
    made = report(planned())
    with pytest.raises(InputError):
        made.against({None: amount})  # type: ignore[dict-item]
    with pytest.raises(InputError):
        made.check(amount)  # type: ignore[arg-type]


def test_doubts_close_the_gate_and_show_in_the_state() -> None:
    """A disk that may exist costs money that no sum has."""
    made = report(planned(), held(), doubts=["whether x was bought is in doubt"])
    assert {row["state"] for row in rows(made).values()} == {"unknown"}
    with pytest.raises(BudgetGate, match="whether x was bought is in doubt") as caught:
        made.check()
    assert caught.value.over == ()
    for text in (made.to_markdown(), made.to_html(charts=False), made.to_json()):
        assert "whether x was bought is in doubt" in text


def test_what_no_budget_counts_is_said() -> None:
    """Disks of no plan, and of nobody, stand below the budgets that leave them out."""
    made = report(planned(), held(live("disk-0001", usd_hr="5")))
    (section,) = (one for one in made.sections() if one.name == "budgets")
    told = " ".join(section.notes)
    assert "disks outside the plans: 1, $3,650.00/month" in told
    assert "disks without an owner: 1" in told


def test_alerts_are_on_the_page_and_in_markdown() -> None:
    """By how much and whose, not only that it is over."""
    made = report(planned(), budgets={None: Decimal("51.00")})
    for text in (made.to_markdown(), made.to_html(charts=False)):
        assert "0.10 above 100 %" in text


def test_months_of_different_length_are_told_apart() -> None:
    """A plan's month of 700 hours and the report's of 730 stand below one table, by name."""
    policy = {"budget_usd_month": 60, "hours_per_month": 700}
    made = report(planned(policy=policy), budgets={None: HUNDRED})
    (found,) = (one for one in made.sections() if one.name == "budgets")
    assert "the month of budget has 700 hours" in found.notes
    assert "the month of budget, everything has 730 hours" in found.notes
