"""What is said of a solve that was stopped: the incumbent, its gap, and never ``optimal``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner.demand import demand_from
from planner.errors import Defect
from planner.market import addressable, offers_frame
from planner.solve.candidates import Pairs, pair
from planner.solve.least import Least
from planner.solve.optimise import Solution, settle
from planner.solve.program import Outcome
from planner.solve.solver import Run, Status

CHEAP, DEAR = 0, 1


def row(provider: str, price: str) -> dict[str, Any]:
    spec = {"minCount": 0, "maxCount": 100, "step": 1, "pricePerUnit": Decimal(price)}
    return {"provider": provider, "stockStatus": "High", "security": "secure_cloud", "spec": spec}


@pytest.fixture
def pairs() -> Pairs:
    demand = demand_from({"version": 1, "volumes": [{"name": "x", "size_gb": 10}]})
    rows = [row("cheap", "0.0001"), row("dear", "0.00012")]
    return pair(demand, addressable(offers_frame(rows)))


def settled(pairs: Pairs, offer: int, status: Status) -> Solution:
    run = Run("HiGHS", status, "proven" if status == "optimal" else "time_limit", 0.1)
    return settle(pairs, Least(pairs), Outcome(run, [[offer]], 2, 1))


def test_an_incumbent_keeps_its_placements_and_its_gap(pairs: Pairs) -> None:
    """A stopped run returns what it had, with the exact bound and the gap to it."""
    solution = settled(pairs, DEAR, "feasible")
    assert [one.provider for one in solution.placements] == ["dear"]
    record = solution.solver
    assert (record.status, record.termination) == ("feasible", "time_limit")
    assert (record.objective_usd_hr, record.bound_usd_hr) == (Decimal("0.0012"), Decimal("0.001"))
    assert record.gap == pytest.approx(1 / 6)


def test_an_incumbent_that_meets_the_exact_bound_is_optimal(pairs: Pairs) -> None:
    """The bound is a proof of its own, whatever the solver had time to say."""
    assert settled(pairs, CHEAP, "feasible").solver.status == "optimal"


def test_a_solver_within_its_tolerance_is_corrected_exactly(pairs: Pairs) -> None:
    """Called optimal but dearer than the bound: the exact choice is taken, not the solver's."""
    solution = settled(pairs, DEAR, "optimal")
    assert [one.provider for one in solution.placements] == ["cheap"]
    assert solution.solver.gap == 0


def test_a_bound_above_the_cost_is_a_defect(pairs: Pairs) -> None:
    """A contradiction between cost and bound is never shown as a plan."""
    dear = pair(
        demand_from(
            {"version": 1, "volumes": [{"name": "x", "size_gb": 10_000, "max_disks": 100}]}
        ),
        pairs.offers,
    )
    run = Run("HiGHS", "feasible", "time_limit", 0.1)
    with pytest.raises(Defect, match="contradict"):
        settle(pairs, Least(dear), Outcome(run, [[CHEAP]], 2, 1))
