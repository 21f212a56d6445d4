"""What the solvers themselves choose, before anything is settled: the enumerated optimum."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from planner.demand import demand_from
from planner.errors import InputError
from planner.market import addressable, offers_frame
from planner.solve.candidates import pair
from planner.solve.least import Least
from planner.solve.program import solve_program
from tests.solve import brute, instances

if TYPE_CHECKING:
    from planner.solve.program import Outcome
    from planner.solve.solver import SolverName


def solve(seed: int, *, solver: SolverName, full: bool) -> tuple[Outcome, Fraction, Fraction]:
    """Return the outcome, its exact cost, and the enumerated optimum of a feasible instance."""
    rng = random.Random(seed)
    expected = None
    while expected is None:
        rows, document = instances.market(rng), instances.demand(rng)
        expected = brute.best(document, rows)
    demand = demand_from(document)
    pairs = pair(demand, addressable(offers_frame(rows)))
    outcome = solve_program(pairs, Least(pairs), demand.policy, solver=solver, full=full)
    assert outcome.chosen is not None
    costs = [Fraction(pairs.usd_hr(v, o)) for v, os in enumerate(outcome.chosen) for o in os]
    return outcome, sum(costs, Fraction(0)), expected[0]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("solver", ["highs", "cbc"])
def test_the_solver_itself_finds_the_optimum(solver: SolverName, full: bool) -> None:
    """Each solver, on the pruned and the full program, chooses the enumerated optimum exactly."""
    for seed in range(30):
        outcome, cost, expected = solve(seed, solver=solver, full=full)
        assert (seed, cost) == (seed, expected)
        assert outcome.run.status == "optimal"


def test_pruning_leaves_fewer_variables() -> None:
    """The pruned program is never larger than the full one, and mostly smaller."""
    sizes = [
        (solve(seed, solver="highs", full=False)[0], solve(seed, solver="highs", full=True)[0])
        for seed in range(30)
    ]
    assert all(pruned.variables <= full.variables for pruned, full in sizes)
    assert sum(pruned.variables < full.variables for pruned, full in sizes) > 15


def test_an_unknown_solver_is_wrong_input() -> None:
    """No solver is silently taken for another."""
    with pytest.raises(InputError, match="gurobi"):
        solve(1, solver="gurobi", full=False)  # type: ignore[arg-type]
