"""From demand and market to a checked solution."""

from planner.solve.baselines import Baseline, Baselines, baselines
from planner.solve.candidates import CANDIDATES, REJECTIONS, Pairs, pair
from planner.solve.instance import Instance
from planner.solve.kept import Kept, keep
from planner.solve.optimise import PROOF, Solution, SolverRecord, optimise
from planner.solve.optimum import floor_month, least_month
from planner.solve.placements import PLACEMENTS, Placement
from planner.solve.rentals import CHOSEN_GPUS, GPU_RULES, Gpu, Rentals, rent
from planner.solve.rules import RULES
from planner.solve.solver import SOLVERS, SolverName
from planner.solve.verify import verify

__all__ = [
    "CANDIDATES",
    "CHOSEN_GPUS",
    "GPU_RULES",
    "PLACEMENTS",
    "PROOF",
    "REJECTIONS",
    "RULES",
    "SOLVERS",
    "Baseline",
    "Baselines",
    "Gpu",
    "Instance",
    "Kept",
    "Pairs",
    "Placement",
    "Rentals",
    "Solution",
    "SolverName",
    "SolverRecord",
    "baselines",
    "floor_month",
    "keep",
    "least_month",
    "optimise",
    "pair",
    "rent",
    "verify",
]
