"""What is said of a solve that was stopped: the incumbent, its gap, and never ``optimal``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from planner.demand import Demand, demand_from
from planner.errors import Defect, NotProven
from planner.market import addressable, offers_frame
from planner.solve.candidates import Pairs, pair
from planner.solve.least import Least
from planner.solve.optimise import Solution, prove
from planner.solve.program import Outcome
from planner.solve.solver import Run, Status

CHEAP, DEAR, NEARLY = 0, 1, 2


def row(provider: str, price: str) -> dict[str, Any]:
    spec = {"minCount": 0, "maxCount": 100, "step": 1, "pricePerUnit": Decimal(price)}
    return {"provider": provider, "stockStatus": "High", "security": "secure_cloud", "spec": spec}


def pairs_of(size_gb: int, **policy: Any) -> tuple[Demand, Pairs]:
    volume = {"name": "x", "size_gb": size_gb, "max_disks": 1000}
    demand = demand_from({"version": 1, "volumes": [volume], "policy": policy})
    rows = [row("cheap", "0.0001"), row("dear", "0.00012"), row("nearly", "0.00010000000001")]
    return demand, pair(demand, addressable(offers_frame(rows)))


def proved(offer: int, status: Status, size_gb: int = 10, **policy: Any) -> Solution:
    demand, pairs = pairs_of(size_gb, **policy)
    run = Run("HiGHS", status, "proven" if status == "optimal" else "time_limit", 0.1)
    return prove(demand, pairs, Least(pairs), Outcome(run, [[offer]], 2, 1))


def test_an_incumbent_keeps_its_placements_and_its_gap() -> None:
    """A stopped run returns what it had, with the exact bound and the gap to it."""
    solution = proved(DEAR, "feasible")
    assert [one.provider for one in solution.placements] == ["dear"]
    record = solution.solver
    assert (record.status, record.termination) == ("feasible", "time_limit")
    assert (record.objective_usd_hr, record.bound_usd_hr) == (Decimal("0.0012"), Decimal("0.001"))
    assert record.gap == pytest.approx(1 / 6)


def test_an_incumbent_that_meets_the_exact_bound_is_optimal() -> None:
    """The bound is a proof of its own, whatever the solver had time to say."""
    assert proved(CHEAP, "feasible").solver.status == "optimal"


def test_a_solver_within_its_tolerance_is_corrected_exactly() -> None:
    """Off by 1e-10 of the cost, which no solver can see: the exact choice is taken."""
    solution = proved(NEARLY, "optimal")
    assert [one.provider for one in solution.placements] == ["cheap"]
    assert solution.solver.gap == 0


def test_a_solver_beyond_its_tolerance_is_a_defect() -> None:
    """A fifth above the bound and called optimal: planner is wrong somewhere, and says so."""
    with pytest.raises(Defect, match="contradict"):
        proved(DEAR, "optimal")


def test_an_incumbent_a_hair_over_budget_is_no_plan() -> None:
    """What the solver's tolerance lets pass is not shown as a plan."""
    assert proved(DEAR, "feasible", budget_usd_month="0.876").placements
    with pytest.raises(NotProven):
        proved(DEAR, "feasible", budget_usd_month="0.87599999")
