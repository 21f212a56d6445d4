"""The optimum of an instance: as much of it as possible without a solver.

1. Every volume takes its least choice. Where nothing couples the volumes, that is the optimum.
2. Volumes that groups or workloads connect are decided together, component by component; where
   their least choices satisfy what connects them, these are the optimum of the component.
3. Where the result keeps within the policy, it is the optimum of all. Else, where only numbers of
   sites and providers are limited, the cheapest few are searched for; or everything is decided in
   one program.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from planner.errors import Defect
from planner.present.progress import tracked
from planner.solve.common_place import best_common_place
from planner.solve.place_limits import best_in_few_places
from planner.solve.stats import ScopeOptimum, SolveStats, Undecided
from planner.units import total, usd_month

if TYPE_CHECKING:
    from planner.solve.certificate import Multiplier
    from planner.solve.presolve import Columns
    from planner.solve.problem import Chosen, Instance, Scope


@dataclass(frozen=True)
class Optimum:
    """A solution of an instance.

    Attributes
    ----------
    chosen : dict of list of int
        Offers of each volume, one entry for each replica, by create key.
    rented : dict of int
        GPU offer of each workload.
    usd_month : Decimal
        Exact cost of disks and GPUs in a month.
    bound_month : Decimal | None
        Proven limit of the cost; None where the cost is proven to be the least.
    stats : SolveStats
        How it was solved.
    multipliers : tuple of Multiplier
        What proves the limit without a solver; empty where a solver does.
    """

    chosen: Chosen
    rented: dict[int, int]
    usd_month: Decimal
    bound_month: Decimal | None
    stats: SolveStats
    multipliers: tuple[Multiplier, ...] = ()


def optimum(
    instance: Instance,
    *,
    time_limit_s: float | None = None,
    full: bool = False,
    tie_break: bool = True,
    nodes: int | None = None,
    near: float = 0.0,
) -> Optimum | None:
    """Return the cheapest solution; None where there is none.

    Parameters
    ----------
    time_limit_s : float | None
        Seconds for all solvers together.
    full : bool
        Give the solver every candidate of every volume at once, and hold the result against that
        of the presolve.
    tie_break : bool
        Of equally cheap solutions, take the first by stock, sites and keys.
    nodes : int | None
        Branch-and-bound nodes after which a program is given up, on every machine alike.
    near : float
        Relative distance to the bound that will do; where it is not 0, no long search follows
        rounding, and there may be no such solution.

    Raises
    ------
    Undecided
        When time ran out before there was any solution.
    Defect
        When presolve and full program contradict each other.
    """
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    if instance.demand.workloads and instance.rentals is None:
        return None
    stats = SolveStats(deadline, nodes=nodes, near=near)
    if not full:
        best = _presolved(instance, stats, tie_break=tie_break)
        return None if best is None else _optimum(instance, best, stats)
    all_of_it = SolveStats(deadline, full=True)
    whole = _solved(instance, instance.whole, all_of_it, tie_break=False)
    if whole is not None and whole.bound_month is not None:
        return _optimum(instance, whole, all_of_it)
    best = _presolved(instance, stats, tie_break=tie_break)
    if (whole is None) != (best is None):
        raise Defect("presolve and full program do not agree whether there is a plan")
    if whole is None or best is None:
        return None
    if whole.usd_month > best.usd_month or (
        best.bound_month is None and whole.usd_month < best.usd_month
    ):
        raise Defect(f"presolve finds {best.usd_month}, the full program {whole.usd_month}")
    return _optimum(instance, best if best.bound_month is None else whole, all_of_it)


def solve_columns(instance: Instance, columns: Columns, gap_usd_hr: float = 0.0) -> Optimum | None:
    """Return the cheapest solution of an instance on some columns of the whole; None without one.

    With ``gap_usd_hr`` one that near to the cheapest will do.

    Raises
    ------
    Undecided
        When it takes too much work.
    """
    from planner.solve.decompose import exactly  # noqa: PLC0415 -- it loads PuLP and HiGHS

    if columns.has_empty_domain:
        return None
    stats = SolveStats()
    best = exactly(instance, instance.whole, columns, stats, gap=gap_usd_hr, work=WORK)
    if best is not None and not best.chosen:
        raise Undecided
    return None if best is None else _optimum(instance, best, stats)


WORK = 1e7
"""Work for one program of some columns: seconds of a processor."""


def dual_bound(instance: Instance) -> Decimal | None:
    """Return the exact monthly cost below which no solution is; None where a part has no choice.

    Every volume at its least choice, every workload on its cheapest GPUs, wherever they are.
    """
    count = len(instance.pairs.volumes)
    costs = [instance.least.cost(volume) for volume in range(count)]
    if None in costs:
        return None
    hours = instance.demand.policy.hours_per_month
    disks = usd_month(total(cost for cost in costs if cost is not None), hours)
    rentals = instance.rentals
    if rentals is None:
        return None if instance.demand.workloads else disks
    anywhere = np.ones(len(rentals.gpus), np.bool_)
    cheapest = {w: rentals.best(w, anywhere) for w in range(len(rentals.workloads))}
    if None in cheapest.values():
        return None
    gpus = (rentals.usd_month(w, g) for w, g in cheapest.items() if g is not None)
    return total([disks, *gpus])


def _optimum(instance: Instance, best: ScopeOptimum, stats: SolveStats) -> Optimum:
    rented = instance.rent(instance.whole.workloads, best.chosen)
    if rented is None:
        raise Defect("a workload has no GPUs in a solution")
    return Optimum(
        chosen=dict(sorted(best.chosen.items())),
        rented=rented,
        usd_month=instance.usd_month(best.chosen, rented),
        bound_month=None if best.bound_month is None else _exact(best.bound_month),
        stats=stats,
        multipliers=best.multipliers,
    )


def _exact(bound_month: float) -> Decimal:
    """Return a bound that floats proved as a decimal that is not above it."""
    return Decimal(bound_month).quantize(Decimal("1e-9"), ROUND_FLOOR)


def least_month(instance: Instance) -> Decimal | None:
    """Return the exact least monthly cost where no solver is needed to know it, else None."""
    if dual_bound(instance) is None:
        return None
    try:
        best = _presolved(instance, SolveStats(forbidden=True), tie_break=False)
    except Undecided:
        return None
    return None if best is None else best.usd_month


def _presolved(instance: Instance, stats: SolveStats, *, tie_break: bool) -> ScopeOptimum | None:
    alone = instance.least.choices()
    if None in alone:
        return None
    chosen: Chosen = {v: offers for v, offers in enumerate(alone) if offers is not None}
    bounds: list[float] = []
    for component in tracked(instance.components, "Solving coupled parts"):
        part = solve_component(instance, component, chosen, stats, tie_break=tie_break)
        if part is None:
            return None
        chosen.update(part.chosen)
        if part.bound_month is not None:
            bounds.append(float(part.usd_month) - part.bound_month)
    if instance.holds(instance.whole, chosen):
        cost = _cost(instance, instance.whole, chosen)
        return (
            None
            if cost is None
            else ScopeOptimum(chosen, cost, float(cost) - sum(bounds) if bounds else None)
        )
    return _solved(instance, instance.whole, stats, tie_break=tie_break)


def solve_component(
    instance: Instance, scope: Scope, alone: Chosen, stats: SolveStats, *, tie_break: bool
) -> ScopeOptimum | None:
    """Return the optimum of a component, given every volume's least choice.

    Where that has volumes share a disk for a job, others may cost the same and share none.
    """
    chosen = {v: alone[v] for v in scope.volumes}
    packs = any(instance.is_packed(o) for offers in chosen.values() for o in offers)
    if not packs and instance.holds(scope, chosen):
        cost = _cheapest_gpus(instance, scope, chosen)
        if cost:
            return ScopeOptimum(chosen, cost, None)
    together = best_common_place(instance, scope)
    if together is not None:
        return ScopeOptimum(together, _cost(instance, scope, together) or total([]), None)
    return _solved(instance, scope, stats, tie_break=tie_break)


def _solved(
    instance: Instance, scope: Scope, stats: SolveStats, *, tie_break: bool
) -> ScopeOptimum | None:
    """Return what the cheapest few places allow, or a solver finds.

    The solver is loaded where there is something to solve.
    """
    try:
        best = best_in_few_places(
            instance, scope, stats, partial(_presolved, stats=stats, tie_break=False)
        )
    except Undecided:
        if stats.forbidden:
            raise
        from planner.solve.decompose import solve_scope  # noqa: PLC0415 -- it loads PuLP and HiGHS

        best = solve_scope(instance, scope, stats)
    if best is None or best.bound_month is not None or not tie_break:
        return best
    columns = best.columns
    if columns is not None and np.bincount(columns.unit).max(initial=0) <= 1:
        return best
    from planner.solve.tiebreak import break_ties  # noqa: PLC0415 -- the same

    return break_ties(instance, scope, best, stats)


def _cost(instance: Instance, scope: Scope, chosen: Chosen) -> Decimal | None:
    """Return the monthly cost with the cheapest GPUs there, None where there are none."""
    rented = instance.rent(scope.workloads, chosen)
    return None if rented is None else instance.usd_month(chosen, rented)


def _cheapest_gpus(instance: Instance, scope: Scope, chosen: Chosen) -> Decimal | None:
    """Return the cost where every workload has its cheapest GPUs beside chosen disks."""
    rentals = instance.rentals
    if rentals is None or not scope.workloads:
        return _cost(instance, scope, chosen)
    anywhere = np.ones(len(rentals.gpus), np.bool_)
    rented = instance.rent(scope.workloads, chosen)
    if rented is None:
        return None
    for w, here in rented.items():
        best = rentals.best(w, anywhere)
        if best is None or rentals.usd_month(w, here) != rentals.usd_month(w, best):
            return None
    return instance.usd_month(chosen, rented)


__all__ = ["Optimum", "SolveStats", "Undecided", "dual_bound", "optimum", "solve_component"]
