"""How long solving may take, and what the solvers did.

Nothing here needs a solver: most demands have their optimum without one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from planner.solve.certificate import Multiplier
    from planner.solve.model import Model, Outcome, Program
    from planner.solve.presolve import Columns
    from planner.solve.problem import Chosen
    from planner.solve.solver import Run


class Undecided(Exception):
    """Time ran out before there was any solution, or no solver may be asked."""


@dataclass
class SolveStats:
    """How to solve, and what the solvers did.

    Attributes
    ----------
    deadline : float | None
        On the monotonic clock; None waits for the proof.
    forbidden : bool
        Whether no solver may be called: what needs one is `Undecided`.
    full : bool
        Give the solver every candidate of every volume, and skip every presolve.
    nodes : int | None
        Branch-and-bound nodes after which a program is given up, on every machine alike.
    near : float
        Relative distance to the bound that will do; where it is not 0, no long search follows
        rounding.
    runs : list of Run
        What the solvers said.
    variables, constraints, dominated : int
        Of the programs that were solved, and candidates that they did not have to see.
    """

    deadline: float | None = None
    forbidden: bool = False
    full: bool = False
    nodes: int | None = None
    near: float = 0.0
    runs: list[Run] = field(default_factory=list)
    variables: int = 0
    constraints: int = 0
    dominated: int = 0

    @property
    def left_s(self) -> float | None:
        """Return the seconds that are left."""
        return None if self.deadline is None else max(0.01, self.deadline - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Return whether there is no time left."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def seconds(self) -> float:
        """Return the wall time of all solvers."""
        return sum((run.seconds for run in self.runs), 0.0)

    def record(self, outcome: Outcome, program: Program) -> Outcome:
        """Keep a record of a run."""
        self.note(outcome.run, program)
        return outcome

    def note(self, run: Run, program: Model) -> None:
        """Keep a record of what a solver said of a program."""
        self.runs.append(run)
        self.look_at(*program.size)

    def look_at(self, variables: int, constraints: int) -> None:
        """Keep a record of the size of a program."""
        self.variables = max(self.variables, variables)
        self.constraints = max(self.constraints, constraints)


@dataclass(frozen=True)
class ScopeOptimum:
    """A solution of a scope.

    Attributes
    ----------
    chosen : dict of list of int
        Offers of each volume.
    usd_month : Decimal
        Exact cost, with the cheapest GPUs that it allows.
    bound_month : float | None
        Proven limit of it; None where the cost is proven to be the least.
    columns : Columns | None
        The candidates that an equally cheap solution may have; None where it is the first of all.
    multipliers : tuple of Multiplier
        What proves the bound, where prices of the limits do.
    """

    chosen: Chosen
    usd_month: Decimal
    bound_month: float | None
    columns: Columns | None = None
    multipliers: tuple[Multiplier, ...] = ()
