"""From a demand and a market to a solution: instance, optimum, proof."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeVar

from planner.errors import Defect, Infeasible, InputError, NotProven
from planner.market.gpus import conform_gpus
from planner.present.table import Cell, Section, TableColumn, reading
from planner.present.writers import to_html
from planner.requirements.packing import one_disk_groups
from planner.solve.optimum import Optimum, dual_bound, optimum
from planner.solve.problem import Instance
from planner.solve.purchases import purchases
from planner.solve.rentals import Gpu, gpu_choice
from planner.solve.schedule import schedule
from planner.solve.solution import Placement, placements
from planner.solve.stats import SolveStats, Undecided
from planner.solve.tenures import bought_now
from planner.solve.timeline import Timeline
from planner.text import visible
from planner.units import averaged_usd_hr, difference, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from planner.demand.model import Demand
    from planner.solve.certificate import Multiplier
    from planner.solve.existing import Kept
    from planner.solve.tenures import Tenure

_Result = TypeVar("_Result")

SOLVER = "HiGHS"
PROOF = Decimal("1e-6")
"""Relative gap within which a large program counts as proven; small ones have none."""


@dataclass(frozen=True)
class SolverRecord:
    """How a solution was found.

    Attributes
    ----------
    name : str
        Solver that was asked for, or stood in for it; it had nothing to do where ``variables``
        is zero.
    status : str
        ``optimal``: proven, to the last cent where the gap is zero, else to ``PROOF``;
        ``feasible``: an incumbent.
    termination : str
        Why the search ended: ``proven``, ``time_limit`` or ``work_limit``.
    objective_usd_hr, bound_usd_hr : Decimal
        Cost of disks and averaged GPUs, and the proven limit below which no plan can be.
    gap : float
        ``(objective - bound) / objective``.
    seconds : float
        Wall time of the solvers.
    variables, constraints : int
        Size of the largest program; zero where none was needed.
    dominated : int
        Candidates that no program had to see, because another one is never worse.
    cost_slack_percent : Decimal
        Of the bound, that better stock and fewer sites were allowed to cost.
    multipliers : tuple of Multiplier
        Prices of the policy's limits from which the bound follows, without a solver; empty where
        it does not.
    """

    name: str
    status: Literal["optimal", "feasible"]
    termination: Literal["proven", "time_limit", "work_limit"]
    objective_usd_hr: Decimal
    bound_usd_hr: Decimal
    gap: float
    seconds: float
    variables: int
    constraints: int
    dominated: int
    cost_slack_percent: Decimal
    multipliers: tuple[Multiplier, ...] = ()

    def _repr_html_(self) -> str:
        rows = tuple(
            (name, Cell(value, reading(value, "usd_hr" if "usd_hr" in name else "number").text))
            for name, value in vars(self).items()
            if name != "multipliers"
        )
        columns = (TableColumn("name", "solver"), TableColumn("value", ""))
        return to_html([Section("solver", columns=columns, rows=rows)])


@dataclass(frozen=True)
class Solution:
    """What was chosen, how it was found, and all it was chosen from.

    Attributes
    ----------
    placements : tuple of Placement
        One for each replica, in the demand's order.
    gpus : tuple of Gpu
        One for each workload.
    solver : SolverRecord
        How sure it is.
    instance : Instance
        All pairs and rentals.
    rented : dict of int
        For each workload, which row of the rentals' GPUs.
    schedule : tuple of Tenure
        What is bought later, where volumes grow.
    """

    placements: tuple[Placement, ...]
    gpus: tuple[Gpu, ...]
    solver: SolverRecord
    instance: Instance
    rented: dict[int, int]
    schedule: tuple[Tenure, ...] = ()


def optimise(
    demand: Demand,
    offers: pd.DataFrame,
    gpus: pd.DataFrame | None = None,
    *,
    kept: Sequence[Kept] = (),
    time_limit_s: float | None = None,
    full: bool = False,
    cost_slack: Decimal = Decimal(0),
) -> Solution:
    """Return the cheapest placement of a demand on a market.

    Parameters
    ----------
    demand : Demand
        What is to be stored, under which rules, for which GPU jobs.
    offers : DataFrame
        Columns ``ADDRESSABLE``.
    gpus : DataFrame | None
        Columns ``GPUS``; None where there are no workloads.
    kept : sequence of Kept
        Replicas that live disks already are: see `keep`.
    time_limit_s : float | None
        Seconds for all solvers together.
    full : bool
        Give the solver every candidate of every volume in one program.
    cost_slack : Decimal
        Per cent of the least cost that better stock and fewer sites may cost.

    Returns
    -------
    Solution
        Its solver status says whether it is proven.

    Raises
    ------
    Infeasible
        When no plan satisfies the demand; see `planner.analysis` for the reasons.
    NotProven
        When time ran out before there was any solution.
    FrameError
        When the GPU frame is not one of GPU offers; ``failures`` names each column.
    """
    listed = None if gpus is None else conform_gpus(gpus)
    if demand.grows:
        line = Timeline.of(demand, offers, listed, kept)
        return solve_growing(line, time_limit_s=time_limit_s, full=full, cost_slack=cost_slack)
    instance = Instance.of(demand, offers, listed, kept)
    return solve(instance, kept, time_limit_s=time_limit_s, full=full, cost_slack=cost_slack)


def solve(
    instance: Instance,
    kept: Sequence[Kept] = (),
    *,
    time_limit_s: float | None = None,
    full: bool = False,
    cost_slack: Decimal = Decimal(0),
) -> Solution:
    """Return the cheapest placement of an instance.

    Parameters
    ----------
    instance : Instance
        A demand held against a market.
    kept : sequence of Kept
        What the instance's kept offers stand for.
    time_limit_s, full, cost_slack
        As in `optimise`.

    Raises
    ------
    Infeasible, NotProven
        As `optimise` does.
    """

    def search() -> Optimum | None:
        best = optimum(instance, time_limit_s=time_limit_s, full=full)
        if best is not None and cost_slack > 0:
            from planner.solve.cost_tolerance import with_slack  # noqa: PLC0415 -- with PuLP

            best = with_slack(instance, best, cost_slack)
        return best

    best = within(search, time_limit_s)
    if best is None:
        raise Infeasible("No plan satisfies the demand.")
    return prove(instance, best, cost_slack, kept)


def within(search: Callable[[], _Result], time_limit_s: float | None) -> _Result:
    """Return what a search comes to; `NotProven` where time ran out before it came to anything."""
    try:
        return search()
    except Undecided as error:
        limit = "" if time_limit_s is None else f" in {time_limit_s:g} s"
        raise NotProven(
            f"no plan was found{limit}",
            hint="give it more time with --time-limit, or leave the limit out",
        ) from error


_GROUP = "keep them on one disk with a group: `groups: [{volumes: [a, b], same: disk}]`"


def solve_growing(
    line: Timeline,
    *,
    time_limit_s: float | None = None,
    full: bool = False,
    cost_slack: Decimal = Decimal(0),
) -> Solution:
    """Return the cheapest schedule of a demand that grows, and what of it is bought now.

    The record is of the whole horizon, averaged over its hours.

    Raises
    ------
    InputError
        When volumes share a disk without a group, or cost may be traded for stock and sites.
    Infeasible, NotProven
        As `optimise` does.
    """
    together = one_disk_groups(line.asked)
    shared = {each.disk_group: each.volume for each in line.existing if each.disk_group}
    if alone := [group for group, name in shared.items() if together.get(name) != group]:
        raise InputError(
            f"{visible(', '.join(alone[0]))} share a disk, and no group says that they always do; "
            "growth can be planned for volumes that always share one, or never",
            hint=f"{_GROUP}, or take its id out of `disks`",
        )
    if cost_slack:
        raise InputError(
            "--cost-slack cannot be used where volumes grow",
            hint="leave it out; a least stock level is a requirement: `stock: Medium` on a volume",
        )
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    stats = SolveStats(deadline, full=full)
    best = within(lambda: schedule(line, stats), time_limit_s)
    if best is None and line.crowded:
        jobs = visible(", ".join(line.crowded))
        raise InputError(
            f"no pod can mount a disk for each volume where {jobs} could run",
            hint=_GROUP,
        )
    if best is None:
        raise Infeasible("No schedule satisfies the demand.")
    months, hours = line.horizon, line.demand.policy.hours_per_month
    now = line.chosen(best.stays, 0)
    rented = {w: line.instance.rent_best(w, now) for w in range(len(line.demand.workloads))}
    chosen = {w: g for w, g in rented.items() if g is not None}
    rentals = line.instance.rentals if chosen else None
    gpus = tuple(gpu_choice(rentals, w, g) for w, g in chosen.items() if rentals is not None)
    bought, later = purchases(line, best.stays)
    objective = averaged_usd_hr(best.usd, hours * months)
    bound = objective
    if best.bound_usd is not None:
        bound = min(objective, averaged_usd_hr(best.bound_usd, hours * months))
    record = _record(stats, objective, bound, cost_slack)
    market = line.months[0].offers
    asked = bought_now(line.asked, bought, later)
    instance = Instance.of(asked, market, line.gpus, line.existing)
    if instance.limits is not None:
        for w, g in chosen.items():
            many, most = line.instance.disks_mounted(w, g, now), int(instance.limits.most[g])
            if many > most:
                raise InputError(
                    f"workload {visible(line.demand.workloads[w].name)} would mount {many} disks "
                    f"where one pod can mount {most}",
                    hint=f"leave `max_disks` out, or {_GROUP}",
                )
    return Solution(bought, gpus, record, instance, chosen, later)


def require_listings(demand: Demand, gpus: pd.DataFrame | None, disks: pd.DataFrame | None) -> None:
    """Let a demand pass when every listing that it needs beside the disk offers is given.

    Raises
    ------
    InputError
        When there are workloads and no GPU offers, or named disks and no disks of the account.
    """
    if demand.workloads and gpus is None:
        raise InputError(
            "the demand has workloads, and there are no GPU offers to run them on",
            hint="give the GPU market too: --gpus-file FILE, or gpus= in Python",
        )
    if disks is None and any(volume.disks for volume in demand.volumes):
        raise InputError(
            "the demand names live disks, and the account's disks are not given",
            hint="give the account's disks too: --disks FILE, or disks= in Python",
        )


def prove(
    instance: Instance,
    best: Optimum,
    cost_slack: Decimal = Decimal(0),
    kept: Sequence[Kept] = (),
) -> Solution:
    """Return an optimum as a solution, with its exact cost and proven bound.

    Parameters
    ----------
    instance : Instance
        What was solved.
    best : Optimum
        Its solution.
    cost_slack : Decimal
        Per cent of the least cost that the solution was allowed to cost more.
    kept : sequence of Kept
        What the instance's kept offers stand for.

    Raises
    ------
    Defect
        When cost and bound contradict each other.
    """
    hours = instance.demand.policy.hours_per_month
    floor = dual_bound(instance)
    if floor is None or best.usd_month < floor:
        raise Defect(f"the cost {best.usd_month} is below its exact limit {floor} USD a month")
    rented = tuple(
        gpu_choice(instance.rentals, w, g)
        for w, g in best.rented.items()
        if instance.rentals is not None
    )
    objective = total([instance.disk_usd_hr(best.chosen), *(gpu.usd_hr for gpu in rented)])
    bound, multipliers = objective, best.multipliers
    if best.bound_month is not None and best.usd_month > floor:
        bound = min(objective, averaged_usd_hr(max(floor, best.bound_month), hours))
    if bound == objective or best.bound_month is None or best.bound_month < floor:
        multipliers = ()
    record = replace(_record(best.stats, objective, bound, cost_slack), multipliers=multipliers)
    chosen = [best.chosen[v] for v in range(len(instance.pairs.volumes))]
    live = {o: replica for (_, o), replica in zip(instance.kept, kept, strict=True)}
    return Solution(placements(instance.pairs, chosen, live), rented, record, instance, best.rented)


def _record(
    stats: SolveStats, objective: Decimal, bound: Decimal, cost_slack: Decimal
) -> SolverRecord:
    """Return how a solution was found, and how far from its bound it is."""
    spare = difference(objective, bound)
    stopped: Literal["time_limit", "work_limit"]
    stopped = "work_limit" if stats.deadline is None else "time_limit"
    proven_enough = spare <= objective * PROOF + bound * cost_slack / 100
    return SolverRecord(
        name=SOLVER,
        status="optimal" if proven_enough else "feasible",
        termination="proven" if proven_enough else stopped,
        objective_usd_hr=objective,
        bound_usd_hr=bound,
        gap=float(spare / objective) if objective else 0.0,
        seconds=round(stats.seconds, 3),
        variables=stats.variables,
        constraints=stats.constraints,
        dominated=stats.dominated,
        cost_slack_percent=cost_slack,
    )
