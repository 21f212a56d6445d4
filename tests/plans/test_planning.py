"""From demand and market to a plan in one call: what is refused, recorded and left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

import planner
from planner import read_demand, read_gpus, read_offers
from planner.demand.read import demand_from
from planner.errors import Infeasible, InputError, NotProven
from planner.formats import digest_of
from planner.market.gpus import gpus_frame
from planner.market.offers import offers_frame
from planner.plans.planning import require_proof
from tests.shipped_plans import finetune, research
from tests.solve.hand import demanded, row, volume

JOB = {"name": "job", "gpu": "A100_80GB", "mounts": ["x"]}


def test_workloads_without_a_gpu_market_are_wrong_input() -> None:
    """A job cannot be placed where nobody says what is for rent: exit 2, with what to give."""
    demand = demand_from(demanded(volume("x"), workloads=[JOB]))
    with pytest.raises(InputError) as caught:
        planner.plan(demand, offers_frame([row("alpha", "0.0001")]))
    assert caught.value.exit_code == 2
    assert "--gpus-file" in str(caught.value.hint)


@pytest.mark.slow
def test_an_empty_gpu_market_is_infeasible_and_said() -> None:
    """A GPU market that was given and has nothing to rent is believed."""
    demand = demand_from(demanded(volume("x"), workloads=[JOB]))
    with pytest.raises(Infeasible) as caught:
        planner.plan(demand, offers_frame([row("alpha", "0.0001")]), gpus_frame([]))
    assert caught.value.conflicts
    assert "job: no GPU offers in this market" in str(caught.value)


@pytest.mark.slow
def test_gpus_without_workloads_are_kept_and_change_nothing() -> None:
    """A GPU market that no job asks for is in the inputs, and the placements are the same."""
    plan = planner.plan(
        read_demand("shipped:research"),
        read_offers("shipped:disk-offers"),
        read_gpus("shipped:gpu-offers"),
    )
    assert plan.placements == research().placements
    assert plan.gpus == ()
    assert plan.inputs["gpus"]["rows"] == 9


def test_inputs_are_recorded_with_source_digest_and_rows() -> None:
    """Where each input came from, what it was, how much of it."""
    plan = finetune(demand_source="d.yaml")
    inputs = plan.inputs
    assert {name: one["rows"] for name, one in inputs.items()} == {
        "demand": 3,
        "offers": 13,
        "gpus": 9,
    }
    assert inputs["demand"]["source"] == "d.yaml"
    assert inputs["gpus"]["source"] == "shipped:gpu-offers"
    assert inputs["offers"]["digest"] == digest_of(list(plan.market.offer_rows))
    assert inputs["gpus"]["digest"] == digest_of(list(plan.market.gpu_rows))
    assert "fetched_at" in inputs["gpus"]


@pytest.mark.slow
def test_time_is_kept_in_utc_and_a_nonce_is_made() -> None:
    """Whatever zone the caller's clock is in; two plans never share a nonce."""
    east = datetime(2026, 1, 2, 8, 4, 5, 999, tzinfo=timezone(timedelta(hours=5)))
    assert research(now=east).created_at == "2026-01-02T03:04:05+00:00"
    assert datetime.fromisoformat(research(now=None).created_at).tzinfo == UTC
    assert research(nonce=None).nonce != research(nonce=None).nonce


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize("options", [{"full": True}, {"time_limit_s": 60.0}])
def test_however_it_is_solved_the_plan_is_the_same(options: dict[str, Any]) -> None:
    """Presolve, solver and patience are not in the id, for they do not change the plan."""
    plan, other = finetune(), finetune(**options)
    assert other.plan_id == plan.plan_id
    assert (other.placements, other.gpus) == (plan.placements, plan.gpus)


@pytest.mark.slow
def test_a_cost_slack_is_kept_in_the_record_and_the_plan_holds() -> None:
    """What was allowed is said; the plan costs at most that much more and passes its checks."""
    plan, slack = finetune(), finetune(cost_slack=Decimal(5))
    assert slack.solver.cost_slack_percent == 5
    least = plan.solver.objective_usd_hr
    assert abs(slack.solver.bound_usd_hr - least) <= Decimal("1e-12")  # averages are rounded
    assert slack.solver.objective_usd_hr <= least * Decimal("1.05")
    assert slack.violations() == ()


def test_an_unproven_plan_is_not_returned_unless_its_gap_is_accepted() -> None:
    """NotProven carries the incumbent; accept_gap at or above its gap returns it."""
    plan = research()
    bound = plan.solver.objective_usd_hr * Decimal("0.9")
    open_gap = replace(plan.solver, status="feasible", bound_usd_hr=bound, gap=0.1)
    unproven = replace(plan, solver=open_gap)
    with pytest.raises(NotProven) as caught:
        require_proof(unproven, None)
    assert caught.value.plan is unproven
    with pytest.raises(NotProven):
        require_proof(unproven, Decimal(9))
    require_proof(unproven, Decimal(10))


@pytest.mark.slow
def test_plan_leaves_the_callers_frames_alone() -> None:
    """Frames go in and come out unchanged."""
    offers = read_offers("shipped:disk-offers")
    before = offers.copy()
    gpus = read_gpus("shipped:gpu-offers")
    rented = gpus.copy()
    planner.plan(read_demand("shipped:finetune"), offers, gpus)
    assert offers.equals(before)
    assert gpus.equals(rented)
