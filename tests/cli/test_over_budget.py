"""Plans over budget: shown and marked when asked, never otherwise."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import planner
from planner.solve.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

OFFERS = planner.read_offers("shipped:disk-offers")


def _demand(**policy: object) -> planner.Demand:
    volume = {"name": "corpus", "size": "1 TB", "owner": "research"}
    return planner.demand_from({"version": 1, "volumes": [volume], "policy": policy})


@pytest.mark.slow
def test_a_plan_over_budget_is_refused_unless_asked() -> None:
    """The cheapest plan costs $51.10: it is marked, says by how much, and is kept in its file."""
    demand = _demand(budget_usd_month=50, budgets={"research": 51})
    with pytest.raises(planner.Infeasible):
        planner.plan(demand, OFFERS)
    plan = planner.plan(demand, OFFERS, over_budget_ok=True)
    assert Decimal(plan.exact_totals["usd_month"]) == Decimal("51.1")
    assert plan.warnings[:2] == (
        "over the budget: $51.10 of $50.00/month, $1.10 more",
        "over the budget of research: $51.10 of $51.00/month, $0.10 more",
    )
    notes = " ".join(plan.summary().notes)
    assert "budget: $51.10 of $50.00 a month (102 %), $1.10 OVER" in notes
    assert plan.demand.policy.over_budget == "allow"


def test_a_plan_within_budget_is_the_same_with_the_option() -> None:
    """The budgets hold wherever they can."""
    demand = _demand(budget_usd_month=52)
    plan = planner.plan(demand, OFFERS, over_budget_ok=True)
    assert plan.plan_id == planner.plan(demand, OFFERS).plan_id
    assert plan.demand == demand


def test_what_no_money_helps_says_why() -> None:
    """Without a plan at any price, the conflict is that of the demand as it was written."""
    demand = _demand(budget_usd_month=1, max_sites=1)
    impossible = demand.model_copy(
        update={"volumes": (demand.volumes[0].model_copy(update={"size_gb": 10**8}),)}
    )
    with pytest.raises(planner.Infeasible):
        planner.plan(impossible, OFFERS, over_budget_ok=True)


def test_the_demand_can_say_so(tmp_path: Path) -> None:
    """`over_budget: allow` plans, saves, loads, is reported as over, and keeps other rules."""
    plan = planner.plan(_demand(budgets={"research": 10}, over_budget="allow"), OFFERS)
    plan.save(tmp_path / "plan.json")
    assert planner.Plan.load(tmp_path / "plan.json") == plan
    (budget,) = planner.report(plan).budgets
    assert budget.state(None) == "over"
    refused = plan.demand.model_copy(
        update={"policy": plan.demand.policy.model_copy(update={"over_budget": "refuse"})}
    )
    assert verify(refused, planner.addressable(OFFERS), plan.placements)


def test_a_demand_that_does_not_ask_keeps_its_plan_id() -> None:
    """A field that came later changes no plan that does without it."""
    asked = _demand(over_budget="refuse", budget_usd_month=52)
    assert (
        planner.plan(asked, OFFERS).plan_id
        == planner.plan(_demand(budget_usd_month=52), OFFERS).plan_id
    )


@pytest.mark.slow
def test_the_option_marks_the_plan(run: Run, tmp_path: Path) -> None:
    """On the command line: exit 0, the mark in the table, the warning on standard error."""
    text = "version: 1\nvolumes: [{name: a, size: 1 TB}]\npolicy: {budget_usd_month: 50}\n"
    (tmp_path / "demand.yaml").write_text(text)
    words = ("plan", "demand.yaml", "--offers", "shipped:disk-offers")
    assert run(*words).code == 3
    shown = run(*words, "--over-budget-ok", "--out", "plan.json")
    assert shown.code == 0
    assert "$1.10 OVER" in shown.out
    assert "warning: over the budget: $51.10 of $50.00/month" in shown.err
    gate = run("report", "plan.json", "--fail-above", "100")
    assert gate.code == 10
