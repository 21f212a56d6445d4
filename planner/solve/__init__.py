"""From demand and market to a checked solution."""

from planner.solve.baselines import Baseline, baselines
from planner.solve.candidates import CANDIDATES, REJECTIONS, Pairs, pair
from planner.solve.least import least_usd_hr
from planner.solve.optimise import Solution, SolverRecord, optimise
from planner.solve.placements import PLACEMENTS, Placement
from planner.solve.rules import RULES
from planner.solve.solver import SOLVERS, SolverName
from planner.solve.verify import verify

__all__ = [
    "CANDIDATES",
    "PLACEMENTS",
    "REJECTIONS",
    "RULES",
    "SOLVERS",
    "Baseline",
    "Pairs",
    "Placement",
    "Solution",
    "SolverName",
    "SolverRecord",
    "baselines",
    "least_usd_hr",
    "optimise",
    "pair",
    "verify",
]
