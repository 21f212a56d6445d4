"""Run a PuLP problem: HiGHS by default, CBC as the fallback.

PuLP says "Optimal" for a run that was stopped with an incumbent, so the two questions are asked
apart: what is the solution worth (``sol_status``), and why did the solver stop.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pulp

from planner.errors import InputError
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

SolverName = Literal["highs", "cbc"]
SOLVERS: tuple[SolverName, ...] = ("highs", "cbc")
Status = Literal["optimal", "feasible", "infeasible", "unknown"]
Termination = Literal["proven", "time_limit"]


@dataclass(frozen=True)
class Run:
    """What came of one call of a solver.

    Attributes
    ----------
    solver : str
        Name of the solver that ran.
    status : str
        ``optimal`` and ``infeasible`` are proven; ``feasible`` is an incumbent,
        ``unknown`` is no solution.
    termination : str
        Why it stopped: ``proven`` or ``time_limit``.
    seconds : float
        Wall time.
    """

    solver: str
    status: Status
    termination: Termination
    seconds: float


def run(problem: pulp.LpProblem, *, solver: SolverName, time_limit_s: float | None) -> Run:
    """Solve a problem in place, with no gap allowed, and say what came of it.

    Raises
    ------
    InputError
        When there is no such solver, or it is not installed.
    """
    if solver not in SOLVERS:
        known = " or ".join(SOLVERS)
        raise InputError(f"there is no solver {visible(str(solver))!r}", hint=f"choose {known}")
    engine, name = _engine(solver, time_limit_s)
    started = time.monotonic()
    with _silent_stdout():
        problem.solve(engine)
    seconds = time.monotonic() - started
    status = _status(problem.sol_status)
    termination: Termination = "proven" if status in {"optimal", "infeasible"} else "time_limit"
    return Run(name, status, termination, seconds)


def _status(sol_status: int) -> Status:
    known: dict[int, Status] = {
        pulp.LpSolutionOptimal: "optimal",
        pulp.LpSolutionIntegerFeasible: "feasible",
        pulp.LpSolutionInfeasible: "infeasible",
    }
    return known.get(sol_status, "unknown")


def _engine(solver: SolverName, time_limit_s: float | None) -> tuple[pulp.LpSolver, str]:
    highs = pulp.HiGHS(msg=False, gapAbs=0, gapRel=0, timeLimit=time_limit_s)
    if solver == "highs" and highs.available():
        return highs, "HiGHS"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # PuLP 3 carries CBC, 4 will not
        cbc = pulp.PULP_CBC_CMD(msg=False, gapAbs=0, gapRel=0, timeLimit=time_limit_s)
    if not cbc.available():
        raise InputError(f"the solver {solver} is not installed", hint="pip install highspy")
    return cbc, "CBC"


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """Keep the solver's banner, written by C code, out of a result on standard output."""
    if sys.stdout is not None:
        sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
