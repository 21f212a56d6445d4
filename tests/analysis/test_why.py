"""Answers about a plan as they are shown: about what, in which table, and what else there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from planner import Plan, alternatives, explain
from tests.looks import look
from tests.shipped_plans import research

if TYPE_CHECKING:
    from planner.plans.explain import Explanation


@pytest.fixture(scope="module")
def plan() -> Plan:
    return research()


@pytest.fixture(scope="module")
def everything(plan: Plan) -> Explanation:
    return explain(plan, exact=True)


def test_an_explanation_says_what_it_is_about(plan: Plan, everything: Explanation) -> None:
    """The plan, and of what in it; printing it works nothing out."""
    assert repr(everything) == f"<Explanation of plan {plan.plan_id}: every volume>"
    one = explain(plan, volume="corpus", offer_id=plan.placements[0].offer_id, exact=True)
    assert repr(one) == f"<Explanation of plan {plan.plan_id}: volume corpus at one offer>"
    assert "offers" not in vars(one)


def test_a_notebook_shows_the_choices_of_a_whole_plan(plan: Plan, everything: Explanation) -> None:
    """A row for each replica, and which other answers there are."""
    seen = look(everything)
    assert seen.lines[0] == f"plan {plan.plan_id}: every volume"
    assert seen.rows[0] == [*everything.choices.columns]
    assert len(seen.rows) == 1 + len(plan.placements)
    assert seen.lines[-1].endswith("there are also .offers, .gpus, .requirements, .prices")


def test_a_notebook_shows_every_offer_of_one_volume(plan: Plan) -> None:
    """Asked about one volume, where else it could be, and why it is not."""
    asked = explain(plan, volume="checkpoints", exact=True)
    seen = look(asked)
    assert seen.rows[0] == [*asked.offers.columns]
    assert len(seen.rows) == 1 + len(plan.market.addressable)
    assert ".choices" in seen.lines[-1]


def test_a_notebook_shows_the_other_plans(plan: Plan) -> None:
    """One row each, to the cent; and where their placements are."""
    found = alternatives(plan, 2, exact=True)
    assert repr(found) == "<Alternatives: 2 plans>"
    seen = look(found)
    assert [row[0] for row in seen.rows] == ["rank", "1", "2"]
    assert seen.rows[1][2] == "1,340.51"
    assert ".placements" in seen.lines[-1]


def test_a_notebook_shows_how_a_plan_was_found(plan: Plan) -> None:
    """Name and value of everything the record has, amounts in short."""
    rows = look(plan.solver).rows
    assert [row[0] for row in rows[1:]] == [n for n in vars(plan.solver) if n != "multipliers"]
    assert ["status", "optimal"] in rows
    assert ["objective_usd_hr", "1.8363"] in rows
