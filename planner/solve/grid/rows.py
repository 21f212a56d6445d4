"""From a point of a grid to its row: solved, checked, and told in figures."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.errors import Defect
from planner.frames import EXACT, TEXT, WHOLE, YES_NO, Column
from planner.market import place_text
from planner.market.merge import key_order
from planner.solve.grid.first_conflict import first_conflict
from planner.solve.instance import Instance
from planner.solve.kept import keep
from planner.solve.optimise import prove
from planner.solve.optimum import Undecided, optimum
from planner.solve.slack import with_slack
from planner.solve.verify import verify
from planner.text import visible
from planner.units import plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from planner.solve.grid.variants import Point, Variants
    from planner.solve.kept import Kept
    from planner.solve.optimise import Solution
    from planner.solve.solver import SolverName

SWEEP = (
    Column("feasible", YES_NO, "whether there is a plan; null: not decided in time"),
    Column("status", TEXT, "optimal; feasible: not proven in time; infeasible; unknown"),
    Column("usd_hr", EXACT, "disks and averaged GPUs, USD per hour, exact Decimal; null: no plan"),
    Column("usd_month", EXACT, "the same in a month of the policy's hours; null: no plan"),
    Column("disk_usd_month", EXACT, "disks alone, exact Decimal; null: no plan"),
    Column("gpu_usd_month", EXACT, "GPUs alone, exact Decimal; null: no plan"),
    Column("gb", WHOLE, "what is provisioned; null: no plan"),
    Column("disks", WHOLE, "how many are bought or kept; null: no plan"),
    Column("sites", WHOLE, "how many have disks; null: no plan"),
    Column("providers", WHOLE, "how many have disks; null: no plan"),
    Column("where", TEXT, "the sites by provider, data centre and country; null: no plan"),
    Column("why", TEXT, "why there is no plan, in one sentence; empty where there is one"),
)
"""Columns of a sweep, behind one column for each key of its grid."""

_SITES_TOLD = 8
_NO_PLAN = {column.name: None for column in SWEEP}
_PLACE = ("provider", "data_center", "country")


@dataclass(frozen=True)
class Task:
    """What the plans of all points have in common; it is sent to every worker.

    Attributes
    ----------
    variants : Variants
        Their demands and markets.
    disks : DataFrame | None
        Columns ``DISKS``.
    recorded : dict
        (volume, replica) → ids of disks bought as that replica.
    solver, time_limit_s, cost_slack
        As `sweep` has them.
    """

    variants: Variants
    disks: pd.DataFrame | None
    recorded: dict[tuple[str, int], tuple[str, ...]]
    solver: SolverName
    time_limit_s: float | None
    cost_slack: Decimal


def solved(task: Task, points: Sequence[Point]) -> list[dict[str, Any]]:
    """Return the columns ``SWEEP`` of each point."""
    rows, known = list[dict[str, Any]](), None
    for point in points:
        if known is None or known[0] != task.variants.of_market(point):
            known = (task.variants.of_market(point), task.variants.market_at(point))
        rows.append(_row(task, point, *known[1]))
    return rows


def _row(
    task: Task, point: Point, offers: pd.DataFrame, gpus: pd.DataFrame | None
) -> dict[str, Any]:
    demand = task.variants.demand_at(point)
    kept: tuple[Kept, ...] = ()
    if task.disks is not None:
        kept = keep(demand, task.disks, task.recorded, offers)[0]
    instance = Instance.of(demand, offers, gpus, kept)
    try:
        found = optimum(instance, solver=task.solver, time_limit_s=task.time_limit_s)
        if found is not None and task.cost_slack > 0:
            found = with_slack(instance, found, task.cost_slack)
    except Undecided:
        limit = task.time_limit_s
        why = "no plan was found" + ("" if limit is None else f" in {limit:g} s")
        return {**_NO_PLAN, "status": "unknown", "why": why}
    if found is None:
        why = first_conflict(instance)
        return {**_NO_PLAN, "feasible": False, "status": "infeasible", "why": why}
    solution = prove(instance, found, task.cost_slack, kept)
    violations = verify(
        demand, offers, solution.placements, gpus=gpus, rented=solution.gpus, disks=task.disks
    )
    if violations:
        where = task.variants.text(point) or "the demand as it is"
        raise Defect(f"the solution fails its own check ({where}): {'; '.join(violations)}")
    return _measured(solution, demand.policy.hours_per_month)


def _measured(solution: Solution, hours: int) -> dict[str, Any]:
    """Return the figures of a solution, exact amounts of its placements and GPUs."""
    placed, rented = solution.placements, solution.gpus
    disk_usd_hr = total(one.usd_hr for one in placed)
    disks = usd_month(disk_usd_hr, hours)
    gpus = total(usd_month(gpu.usd_hr_on, gpu.hours_per_month) for gpu in rented)
    amounts = {
        "usd_hr": total([disk_usd_hr, *(gpu.usd_hr for gpu in rented)]),
        "usd_month": total([disks, gpus]),
        "disk_usd_month": disks,
        "gpu_usd_month": gpus,
    }
    sites = {tuple(getattr(one, name) for name in _PLACE) for one in placed}
    return {
        "feasible": True,
        "status": solution.solver.status,
        **{name: Decimal(plain(amount)) for name, amount in amounts.items()},
        "gb": sum(one.provision_gb for one in placed),
        "disks": sum(len(one.disk_sizes_gb) for one in placed),
        "sites": len(sites),
        "providers": len({one.provider for one in placed}),
        "where": _where(sites),
        "why": "",
    }


def _where(sites: set[tuple[Any, ...]]) -> str:
    ordered = sorted(sites, key=key_order)
    texts = [
        visible(place_text(dict(zip(_PLACE, site, strict=True)))) for site in ordered[:_SITES_TOLD]
    ]
    more = len(ordered) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more else "")
