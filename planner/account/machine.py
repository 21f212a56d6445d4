"""What this machine brings: the state directory with its journal, the solvers, the versions."""

from __future__ import annotations

import os
import platform
import stat
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from importlib import metadata
from typing import TYPE_CHECKING

from planner.account.checks import Check, failed, ok, skipped, warning
from planner.apply.journal import FILE, LOCK, Journal
from planner.apply.state import State, in_order
from planner.demand import demand_from
from planner.errors import Defect, InputError, PlannerError, StateUnusable
from planner.market import addressable, offers_frame
from planner.solve import SOLVERS, optimise
from planner.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from planner.solve import SolverName, SolverRecord

LIBRARIES = ("planner", "pandas", "pulp", "highspy", "httpx", "pydantic", "typer")
_ELSEWHERE = "give it to yourself, or name another place with --state DIR"
_NAMES = {"highs": "HiGHS", "cbc": "CBC"}
_SECONDS = 20.0
_SHOWN = 5


def state_checks(folder: Path) -> list[Check]:
    """Return how the state directory, the journal and what is in doubt stand; nothing changes."""
    try:
        directory = _directory(folder)
        with Journal(folder, write=False) as journal:
            records = journal.records
        state = State(records)
    except StateUnusable as error:
        return [failed("state_directory", error), skipped("in_doubt", "the state is unusable")]
    except OSError as error:
        message = f"{visible(str(folder))}: cannot be used: {error.strerror}"
        broken = failed("state_directory", StateUnusable(message, hint=_ELSEWHERE))
        return [broken, skipped("in_doubt", "the state is unusable")]
    said = "nothing recorded yet"
    if records:
        said = f"readable; records: {len(records)}, disks: {len(state.entries)}"
    facts = {"records": len(records), "disks": len(state.entries), "plans": len(state.plans)}
    return [directory, ok("journal", said, **facts), _doubts(state)]


def _directory(folder: Path) -> Check:
    """Return how the directory stands; raise where it cannot be used."""
    shown = visible(str(folder))
    facts = {"path": str(folder)}
    if not os.path.lexists(folder):
        parent = next(one for one in folder.absolute().parents if os.path.lexists(one))
        if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
            raise StateUnusable(f"{shown}: cannot be made", hint=_ELSEWHERE)
        return ok("state_directory", f"{shown} is not there yet; apply makes it, private", **facts)
    if not folder.is_dir():
        raise StateUnusable(f"{shown}: is no directory", hint=_ELSEWHERE)
    if folder.stat().st_uid != os.geteuid():
        raise StateUnusable(f"{shown}: belongs to another user", hint=_ELSEWHERE)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StateUnusable(f"{shown}: cannot be written", hint=_ELSEWHERE)
    files = [path for name in (FILE, LOCK) if os.path.lexists(path := folder / name)]
    for path in files:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise StateUnusable(f"{visible(str(path))}: is no regular file", hint=_ELSEWHERE)
        if not os.access(path, os.R_OK | os.W_OK):
            raise StateUnusable(f"{visible(str(path))}: cannot be written", hint=_ELSEWHERE)
    shared = [path for path in (folder, *files) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if shared:
        names = ", ".join(visible(str(path)) for path in shared)
        return warning(
            "state_directory",
            f"others may read or write {names}",
            "the next apply takes their rights away; or: chmod -R go= DIR",
            **facts,
        )
    return ok("state_directory", f"{shown} is yours, writable and private", **facts)


def _doubts(state: State) -> Check:
    open_ = [
        entry
        for entry in in_order(state.entries.values())
        if entry.in_doubt or entry.stage == "conflict"
    ]
    if not open_:
        return ok("in_doubt", "no create is in doubt", names=[])
    keys = ", ".join(entry.key for entry in open_[:_SHOWN])
    more = f" and {len(open_) - _SHOWN} more" if len(open_) > _SHOWN else ""
    return warning(
        "in_doubt",
        f"in doubt or in conflict: {keys}{more}; each may be a disk that is billed",
        "planner status shows them; run the same apply again, or end it with planner resolve",
        names=[entry.name for entry in open_],
    )


def solver_checks() -> list[Check]:
    """Return whether each solver is there and finds an optimum that is known."""
    return [_solver(name) for name in SOLVERS]


def _solver(solver: SolverName) -> Check:
    name, label = f"solver_{solver}", _NAMES[solver]
    # A solver that is broken raises whatever it likes; a future holds it, so that it is a finding.
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_tiny, solver)
    error = asked.exception()
    if isinstance(error, InputError):
        says = f"{label} is not installed"
        return skipped(name, says, error.hint) if solver == "cbc" else failed(name, error)
    if isinstance(error, PlannerError):
        return failed(name, error)
    if error is not None:
        says = f"{label} broke: {type(error).__name__}: {visible(str(error))[:200]}"
        return failed(name, Defect(says, hint="install highspy and pulp anew"))
    record, cost = asked.result()
    if record.status != "optimal" or cost != _LEAST or not record.variables:
        says = f"{label} found {cost} USD/h where the least is {_LEAST}"
        return failed(name, Defect(says, hint="take the other one with --solver, and report this"))
    if record.name != label:
        says = f"{label} is not installed, and {record.name} stands in: slower on large demands"
        return warning(name, says, "pip install highspy", seconds=round(record.seconds, 3))
    says = f"{label} proved a plan of {record.variables} variables in {record.seconds:.2f} s"
    return ok(name, says, seconds=round(record.seconds, 3))


def _tiny(solver: SolverName) -> tuple[SolverRecord, Decimal]:
    """Return what the solver makes of two volumes that share the dearer of two providers."""
    rows = [
        {
            "provider": provider,
            "dataCenter": f"{provider}-1",
            "country": "US",
            "spec": {"minCount": 1, "maxCount": most, "pricePerUnit": Decimal(price), "step": 1},
            "stockStatus": "Available",
            "security": "secure_cloud",
        }
        for provider, most, price in (("narrow", 100, "0.0001"), ("wide", 900, "0.0002"))
    ]
    demand = demand_from(
        {
            "version": 1,
            "volumes": [{"name": "a", "size_gb": 100}, {"name": "b", "size_gb": 200}],
            "groups": [{"volumes": ["a", "b"], "same": "provider"}],
        }
    )
    offers = addressable(offers_frame(rows))
    solved = optimise(demand, offers, solver=solver, time_limit_s=_SECONDS, full=True)
    return solved.solver, solved.solver.objective_usd_hr


_LEAST = Decimal("0.06")
"""Both at the wide one: 300 GB at 0.0002 USD."""


def versions() -> Check:
    """Return the versions of what matters."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return ok(
        "versions", ", ".join(f"{name} {version}" for name, version in found.items()), **found
    )
