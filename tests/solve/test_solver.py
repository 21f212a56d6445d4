"""The solver's room: what its C code prints, also when several threads are in it."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from threading import Barrier

import pulp
import pytest

from planner.errors import SolverFailed
from planner.solve.solver import _silent_stdout, run


def _is_nowhere() -> bool:
    return os.path.samestat(os.fstat(1), os.stat(os.devnull))  # noqa: PTH116 -- samestat wants both


def test_standard_output_is_where_it_was_once_the_solver_is_done(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What C code writes meanwhile is gone; before and after it arrives."""
    os.write(1, b"before ")
    with _silent_stdout():
        assert _is_nowhere()
        os.write(1, b"banner ")
    os.write(1, b"after")
    assert capfd.readouterr().out == "before after"


def test_the_first_to_leave_does_not_take_the_way_back_with_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Two threads that overlap, A in, B in, A out, B out: still silent for B, and then heard."""
    first, second = _silent_stdout(), _silent_stdout()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert _is_nowhere()
    second.__exit__(None, None, None)
    assert not _is_nowhere()
    os.write(1, b"heard")
    assert capfd.readouterr().out == "heard"


@pytest.mark.slow
def test_what_waits_to_be_printed_is_not_lost_to_a_second_thread() -> None:
    """Text in Python's buffer while a solver runs is not flushed into nowhere by another run."""
    script = """
        from planner.solve.solver import _silent_stdout
        with _silent_stdout():
            print("waiting")
            with _silent_stdout():
                pass
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(script)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        text=True,
    )
    assert done.stdout == "waiting\n"


def _program() -> pulp.LpProblem:
    problem = pulp.LpProblem("knapsack", pulp.LpMaximize)
    taken = [problem.add_variable(f"x{n}", cat=pulp.LpBinary) for n in range(12)]
    problem.setObjective(pulp.lpSum((n + 3) * one for n, one in enumerate(taken)))
    problem += pulp.lpSum((2 * n + 5) * one for n, one in enumerate(taken)) <= 60
    return problem


def test_several_threads_leave_the_process_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    """Four at once, again and again: one answer, standard output and warnings as before."""
    before, start = list(warnings.filters), Barrier(4)

    def solve(_: int) -> float:
        start.wait(60)
        values = set()
        for _ in range(3):
            problem = _program()
            assert run(problem, time_limit_s=None).status == "optimal"
            values.add(round(pulp.value(problem.objective), 6))
        (value,) = values
        return float(value)

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(solve, range(4)))) == 1
    assert list(warnings.filters) == before
    os.write(1, b"heard")
    assert capfd.readouterr().out == "heard"


def test_a_failure_of_the_solver_is_an_error_of_planner(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a library raises is said as planner's own error, with what to do."""

    def broken(*_: object, **__: object) -> None:
        raise pulp.PulpSolverError("no licence\x1b[31m")

    monkeypatch.setattr(pulp.LpProblem, "solve", broken)
    with pytest.raises(SolverFailed, match=r"the solver failed: no licence\\x1b") as caught:
        run(_program(), time_limit_s=None)
    assert caught.value.hint
