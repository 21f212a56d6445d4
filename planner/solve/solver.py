"""Run a PuLP problem: HiGHS by default, CBC as the fallback.

PuLP says "Optimal" for a run that was stopped with an incumbent, so the two questions are asked
apart: what is the solution worth (``sol_status``), and why did the solver stop.
"""

from __future__ import annotations

import os
import sys
import threading
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
_LISTEN_S = 0.1
_GRACE, _GRACE_S = 1.1, 2.0
"""How far beyond its time limit a solver may run before it is given up."""
_FILTERS = threading.Lock()
"""Who holds it may change the filters of warnings, which all threads share."""
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
    bound : float | None
        What the solver proves of the objective; None where it does not say.
    gap : float
        Distance from the best at which it was allowed to stop.
    """

    solver: str
    status: Status
    termination: Termination
    seconds: float
    bound: float | None = None
    gap: float = 0.0


def run(
    problem: pulp.LpProblem, *, solver: SolverName, time_limit_s: float | None, gap: float = 0.0
) -> Run:
    """Solve a problem in place and say what came of it.

    Parameters
    ----------
    gap : float
        Distance from the best objective at which the solver may stop; zero for the best itself.

    Raises
    ------
    InputError
        When there is no such solver, or it is not installed.
    """
    engine, name = _engine(_known(solver), time_limit_s, gap)
    started = time.monotonic()
    with _silent_stdout():
        ended = _interruptible(problem, engine, time_limit_s)
    seconds = time.monotonic() - started
    if not ended:
        return Run(name, "unknown", "time_limit", seconds, None, gap)
    status = _status(problem)
    termination: Termination = "proven" if status in {"optimal", "infeasible"} else "time_limit"
    return Run(name, status, termination, seconds, _bound(problem, status, gap), gap)


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


def solver_name(solver: SolverName) -> str:
    """Return the name of the solver that would run.

    Raises
    ------
    InputError
        When there is no such solver, or it is not installed.
    """
    return _engine(_known(solver), None, 0.0)[1]


def _known(solver: SolverName) -> SolverName:
    if solver not in SOLVERS:
        known = " or ".join(SOLVERS)
        raise InputError(f"there is no solver {visible(str(solver))!r}", hint=f"choose {known}")
    return solver


def _status(problem: pulp.LpProblem) -> Status:
    if problem.status == pulp.LpStatusInfeasible:
        return "infeasible"  # CBC's "Integer infeasible" is no sol_status of PuLP's
    known: dict[int, Status] = {
        pulp.LpSolutionOptimal: "optimal",
        pulp.LpSolutionIntegerFeasible: "feasible",
        pulp.LpSolutionInfeasible: "infeasible",
    }
    return known.get(problem.sol_status, "unknown")


def _engine(
    solver: SolverName, time_limit_s: float | None, gap: float
) -> tuple[pulp.LpSolver, str]:
    highs = pulp.HiGHS(msg=False, gapAbs=gap, gapRel=0, timeLimit=time_limit_s)
    if solver == "highs" and highs.available():
        return highs, "HiGHS"
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # PuLP 3 carries CBC, 4 will not
        cbc = pulp.PULP_CBC_CMD(msg=False, gapAbs=gap, gapRel=0, timeLimit=time_limit_s)
    if not cbc.available():
        raise InputError(f"the solver {solver} is not installed", hint="pip install highspy")
    return cbc, "CBC"


def _interruptible(
    problem: pulp.LpProblem, engine: pulp.LpSolver, time_limit_s: float | None
) -> bool:
    """Solve in a thread of its own, and return whether that ended.

    C code hears no Ctrl-C, and looks at its clock when it pleases; a thread that waits for it does
    better. One that is given up goes on until the process ends; nobody looks at it again.
    """
    raised: list[BaseException] = []

    def work() -> None:
        try:
            problem.solve(engine)
        except BaseException as error:  # noqa: BLE001 -- raised again where it is waited for
            raised.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    started = time.monotonic()
    while worker.is_alive():
        worker.join(_LISTEN_S)
        waited = time.monotonic() - started
        if time_limit_s is not None and waited > time_limit_s * _GRACE + _GRACE_S:
            return False
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
