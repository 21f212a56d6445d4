"""From a demand and a market to a solution: candidates, program, ties, proof."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from planner.errors import Defect, Infeasible, NotProven
from planner.solve.candidates import Pairs, pair
from planner.solve.diagnose import conflicts, over_budget, sentence
from planner.solve.least import Least
from planner.solve.placements import Placement, placements
from planner.solve.program import Outcome, solve_program
from planner.units import difference, total

if TYPE_CHECKING:
    import pandas as pd

    from planner.demand import Demand
    from planner.solve.solver import SolverName

_TOLERANCE = Decimal("1e-6")
"""How far from the exact bound, relatively, a solver's optimum may be before it is a defect."""


@dataclass(frozen=True)
class SolverRecord:
    """How a solution was found.

    Attributes
    ----------
    name : str
        Solver that ran.
    status : str
        ``optimal``: proven, and equal to the exact bound; ``feasible``: an incumbent.
    termination : str
        Why the solver stopped: ``proven`` or ``time_limit``.
    objective_usd_hr, bound_usd_hr : Decimal
        Exact cost, and the exact limit below which no plan can be.
    gap : float
        ``(objective - bound) / objective``; zero is proven optimal.
    seconds : float
        Wall time of the solver.
    variables, constraints : int
        Size of the program.
    """

    name: str
    status: str
    termination: str
    objective_usd_hr: Decimal
    bound_usd_hr: Decimal
    gap: float
    seconds: float
    variables: int
    constraints: int


@dataclass(frozen=True)
class Solution:
    """The chosen placements, how they were found, and all pairs they were chosen from."""

    placements: tuple[Placement, ...]
    solver: SolverRecord
    pairs: Pairs


def optimise(
    demand: Demand,
    offers: pd.DataFrame,
    *,
    solver: SolverName = "highs",
    time_limit_s: float | None = None,
    full: bool = False,
) -> Solution:
    """Return the cheapest placement of a demand on a market.

    Parameters
    ----------
    demand : Demand
        What is to be stored, under which rules.
    offers : DataFrame
        Columns ``ADDRESSABLE``.
    solver : str
        ``highs`` or ``cbc``.
    time_limit_s : float | None
        Seconds for the solver.
    full : bool
        Give the solver every candidate, also the dominated.

    Returns
    -------
    Solution
        Its solver status says whether it is proven.

    Raises
    ------
    Infeasible
        When no plan satisfies the demand; ``conflicts`` says why.
    NotProven
        When time ran out before there was any solution.
    """
    pairs = pair(demand, offers)
    least = Least(pairs)
    found = conflicts(demand, pairs, least)
    if found:
        raise Infeasible(sentence(found), conflicts=found, hint=_hint(found))
    outcome = solve_program(
        pairs, least, demand.policy, solver=solver, time_limit_s=time_limit_s, full=full
    )
    if outcome.run.status == "infeasible":
        raise Defect("the solver finds no plan where the exact check finds one")
    if outcome.chosen is None:
        raise _no_plan(outcome)
    return prove(demand, pairs, least, outcome)


def prove(demand: Demand, pairs: Pairs, least: Least, outcome: Outcome) -> Solution:
    """Return what the program found as a solution, with its exact proof.

    The solver's optimum has to meet a bound that needs no solver. Of equal optima the solution is
    the one that comes first by stock, sites and keys. An incumbent stays what it is, unless it
    meets the bound.

    Parameters
    ----------
    demand : Demand
        What was asked.
    pairs : Pairs
        All pairs of volumes and offers.
    least : Least
        Their least choices, which are the exact bound.
    outcome : Outcome
        A run with a solution.

    Raises
    ------
    Defect
        When cost and bound contradict each other beyond a solver's tolerance.
    NotProven
        When the incumbent overspends a budget by less than the solver can see.
    """
    chosen = outcome.chosen or []
    costs = [total(pairs.usd_hr(v, o) for o in offers) for v, offers in enumerate(chosen)]
    objective = total(costs)
    bound = total(least.cost(volume) or Decimal(0) for volume in range(len(pairs.volumes)))
    claimed = outcome.run.status == "optimal"
    if objective < bound or (claimed and difference(objective, bound) > bound * _TOLERANCE):
        raise Defect(f"the cost {objective} and its exact bound {bound} contradict each other")
    proven = claimed or objective == bound
    if proven:
        chosen, objective = [offers or [] for offers in least.settle()], bound
    elif over_budget(demand, costs):
        raise _no_plan(outcome)
    record = SolverRecord(
        name=outcome.run.solver,
        status="optimal" if proven else "feasible",
        termination="proven" if proven else outcome.run.termination,
        objective_usd_hr=objective,
        bound_usd_hr=bound,
        gap=float(difference(objective, bound) / objective),
        seconds=round(outcome.run.seconds, 3),
        variables=outcome.variables,
        constraints=outcome.constraints,
    )
    return Solution(placements(pairs, chosen), record, pairs)


def _no_plan(outcome: Outcome) -> NotProven:
    return NotProven(
        f"{outcome.run.solver} found no plan in {outcome.run.seconds:.1f} s",
        hint="give it more time with --time-limit, or leave the limit out",
    )


def _hint(found: list[dict[str, object]]) -> str:
    needed = [str(one["needed_usd_month"]) for one in found if "needed_usd_month" in one]
    if needed and len(needed) == len(found):
        return "raise the budget to at least what the sentence says, or ask for less"
    return "`planner offers` shows the market; relax the rule that most offers fall to"
