"""Run a PuLP problem with HiGHS.

PuLP says "Optimal" for a run that was stopped with an incumbent, so the two questions are asked
apart: what is the solution worth (``sol_status``), and why did the solver stop.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np
import pulp

from planner.errors import InputError, SolverFailed
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LISTEN_S = 0.1
_FAILURES = (
    pulp.PulpError,
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What PuLP and HiGHS raise when they give up."""
_GRACE, _GRACE_S = 1.1, 2.0
"""How far beyond its time limit a solver may run before it is given up."""
_BY_ROWS = 2
"""HiGHS's number for a matrix that is given row by row."""
_FEASIBLE = 2
"""HiGHS's number for a solution that keeps all rows; after an error it has one that does not."""
THREADS = 1
"""Threads of the solver: its parallel search could end at another of several equal optima."""
Status = Literal["optimal", "feasible", "infeasible", "unknown"]
Termination = Literal["proven", "time_limit", "work_limit"]


@dataclass(frozen=True)
class Run:
    """What came of one call of a solver.

    Attributes
    ----------
    status : str
        ``optimal`` and ``infeasible`` are proven; ``feasible`` is an incumbent,
        ``unknown`` is no solution.
    termination : str
        Why it stopped: ``proven``, ``time_limit`` or ``work_limit``.
    seconds : float
        Wall time.
    bound : float | None
        What the solver proves of the objective; None where unknown.
    gap : float
        Distance from the best at which it was allowed to stop.
    """

    status: Status
    termination: Termination
    seconds: float
    bound: float | None = None
    gap: float = 0.0


def run(
    problem: pulp.LpProblem,
    *,
    time_limit_s: float | None,
    gap: float = 0.0,
    nodes: int | None = None,
) -> Run:
    """Solve a problem in place and say what came of it.

    Parameters
    ----------
    gap : float
        Distance from the best objective at which the solver may stop; zero for the best itself.
    nodes : int | None
        Branch-and-bound nodes after which HiGHS gives up, on every machine alike.

    Raises
    ------
    InputError
        When HiGHS is not installed.
    SolverFailed
        When it gives up without an answer.
    """
    engine = _engine(time_limit_s, gap, nodes)
    started = time.monotonic()
    with _silent_stdout():
        ended = _interruptible(problem, engine, time_limit_s)
    seconds = time.monotonic() - started
    if not ended:
        return Run("unknown", "time_limit", seconds, None, gap)
    status = _status(problem)
    stopped: Termination = "work_limit" if time_limit_s is None else "time_limit"
    termination = "proven" if status in {"optimal", "infeasible"} else stopped
    return Run(status, termination, seconds, _bound(problem, status, gap), gap)


def _bound(problem: pulp.LpProblem, status: Status, gap: float) -> float | None:
    """Return the proven bound: HiGHS tells it of an integer program, an optimum is its own."""
    if status not in {"optimal", "feasible"}:
        return None
    if status == "optimal" and (gap == 0 or not problem.isMIP()):
        return float(pulp.value(problem.objective) or 0)
    model = getattr(problem, "solverModel", None)
    if model is None or not hasattr(model, "getInfo") or not problem.isMIP():
        return float(pulp.value(problem.objective) or 0) - gap if status == "optimal" else None
    return float(model.getInfo().mip_dual_bound)


def _status(problem: pulp.LpProblem) -> Status:
    if problem.status == pulp.LpStatusInfeasible:
        return "infeasible"
    known: dict[int, Status] = {
        pulp.LpSolutionOptimal: "optimal",
        pulp.LpSolutionIntegerFeasible: "feasible",
        pulp.LpSolutionInfeasible: "infeasible",
    }
    return known.get(problem.sol_status, "unknown")


class _Highs(pulp.HiGHS):  # type: ignore[misc]
    """HiGHS given whole arrays: PuLP gives it column by column and row by row, which takes longer.

    PuLP does not know the status of a run that its limit of nodes ended either.
    """

    def buildSolverModel(self, lp: pulp.LpProblem) -> None:  # noqa: N802 -- PuLP's
        columns, rows = lp.variables(), lp.constraints()
        for index, column in enumerate(columns):
            column.index = index
        entries = [[(x.index, value) for x, value in row.items() if value] for row in rows]
        flat = np.array([*chain.from_iterable(entries)], float).reshape(-1, 2)
        lp.solverModel.passModel(
            len(columns),
            len(rows),
            len(flat),
            _BY_ROWS,
            lp.sense,
            0.0,
            np.array([lp.objective.get(x, 0.0) for x in columns], float),
            _or_inf([x.lowBound for x in columns], -np.inf),
            _or_inf([x.upBound for x in columns], np.inf),
            _or_inf([row.getLb() for row in rows], -np.inf),
            _or_inf([row.getUb() for row in rows], np.inf),
            np.cumsum([0, *map(len, entries)], dtype=np.int32)[:-1],
            flat[:, 0].astype(np.int32),
            flat[:, 1],
            np.array([x.cat == pulp.LpInteger for x in columns], np.int32),
        )

    def findSolutionValues(self, lp: pulp.LpProblem) -> tuple[int, int]:  # noqa: N802 -- PuLP's
        highs = lp.solverModel
        solution, ended = highs.getSolution(), highs.getModelStatus().name
        values, reduced = [*solution.col_value], [*solution.col_dual]
        for x in lp.variables():
            x.varValue, x.dj = values[x.index], reduced[x.index]
        if ended == "kOptimal":
            return pulp.LpStatusOptimal, pulp.LpSolutionOptimal
        if ended in {"kInfeasible", "kUnboundedOrInfeasible"}:
            return pulp.LpStatusInfeasible, pulp.LpSolutionInfeasible
        if highs.getInfo().primal_solution_status == _FEASIBLE:
            return pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible
        return pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound


def _or_inf(bounds: list[float | None], far: float) -> NDArray[np.float64]:
    return np.array([far if bound is None else bound for bound in bounds], float)


def _engine(time_limit_s: float | None, gap: float, nodes: int | None = None) -> pulp.LpSolver:
    limits = {} if nodes is None else {"mip_max_nodes": nodes}
    highs = _Highs(
        msg=False, gapAbs=gap, gapRel=0, threads=THREADS, timeLimit=time_limit_s, **limits
    )
    if not highs.available():
        raise InputError("the solver HiGHS is not installed", hint="pip install highspy")
    return highs


def _interruptible(
    problem: pulp.LpProblem, engine: pulp.LpSolver, time_limit_s: float | None
) -> bool:
    """Solve in a thread of its own, and return whether that ended.

    C code hears no Ctrl-C, and looks at its clock when it pleases; a thread that waits for it does
    better. One that is given up goes on until the process ends, and its answer is dropped.
    """
    raised: list[BaseException] = []

    def work() -> None:
        try:
            problem.solve(engine)
        except BaseException as error:  # noqa: BLE001 -- raised again where it is waited for
            raised.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    end = None if time_limit_s is None else time.monotonic() + time_limit_s * _GRACE + _GRACE_S
    while worker.is_alive():
        worker.join(_LISTEN_S)
        if end is not None and time.monotonic() > end:
            return False
    if raised and isinstance(raised[0], _FAILURES):
        raise SolverFailed(
            f"the solver failed: {visible(str(raised[0]))}",
            hint="run again with --time-limit, or leave out requirements until it works",
        ) from raised[0]
    if raised:
        raise raised[0]
    return True


class _Silence:
    """Standard output sent nowhere for as long as any thread wants it.

    The file descriptor belongs to the whole process: the first thread to come turns it away, the
    last one to leave turns it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._kept = -1

    def begin(self) -> None:
        with self._lock:
            if not self._threads:
                if sys.stdout is not None:
                    sys.stdout.flush()
                kept = os.dup(1)
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 1)
                os.close(nowhere)
                self._kept = kept
            self._threads += 1

    def end(self) -> None:
        with self._lock:
            self._threads -= 1
            if not self._threads:
                os.dup2(self._kept, 1)
                os.close(self._kept)


_SILENCE = _Silence()


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """Keep the solver's banner, written by C code, out of a result on standard output."""
    _SILENCE.begin()
    try:
        yield
    finally:
        _SILENCE.end()
