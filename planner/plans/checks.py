"""The record of a plan: what is computed from the choice, and whether what is said follows.

Nothing is solved again. What needs no solver is held exactly. Where volumes are coupled by limits
on sums, multipliers prove the bound, and what they prove is computed again; any other bound that
a solver proved can only be held between what is exact.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.solve.certificate import bound_month
from planner.solve.optimise import PROOF
from planner.solve.optimum import dual_bound, least_month
from planner.solve.schedule import least_usd
from planner.solve.tenures import horizon_usd
from planner.units import averaged_usd_hr, difference, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.demand.model import Demand
    from planner.solve.optimise import SolverRecord
    from planner.solve.problem import Instance
    from planner.solve.rentals import Gpu
    from planner.solve.solution import Placement
    from planner.solve.tenures import Tenure
    from planner.solve.timeline import Timeline


_ROUNDING = Decimal("1e-9")
"""USD per hour that averaging the GPUs one by one may differ from averaging their sum."""


def totals(
    placements: Sequence[Placement], gpus: Sequence[Gpu], hours_per_month: int
) -> dict[str, Any]:
    """Return the run-rate: exact amounts, USD per hour and month.

    What is new, and bought by the plan, are the disks; GPUs are rented when they are needed.
    """
    disk_usd_hr = total(placement.usd_hr for placement in placements)
    gpu_usd_hr = total(gpu.usd_hr for gpu in gpus)
    gpu_months = (usd_month(gpu.usd_hr_on, gpu.hours_per_month) for gpu in gpus)
    return {
        "disk_usd_hr": disk_usd_hr,
        "gpu_usd_hr": gpu_usd_hr,
        "usd_hr": total([disk_usd_hr, gpu_usd_hr]),
        "usd_month": total([usd_month(disk_usd_hr, hours_per_month), *gpu_months]),
        "hours_per_month": hours_per_month,
        "new_usd_hr": total(p.usd_hr for p in placements if p.action != "keep"),
    }


def horizon_totals(
    demand: Demand, placements: Sequence[Placement], schedule: Sequence[Tenure]
) -> dict[str, Any]:
    """Return what all disks cost over the horizon; nothing where there is none."""
    months = demand.policy.months
    if not months:
        return {}
    usd = horizon_usd(demand, placements, schedule)
    return {"horizon_usd": usd, "horizon_months": months}


def schedule_violations(
    record: SolverRecord,
    line: Timeline,
    placements: Sequence[Placement],
    later: Sequence[Tenure],
) -> Iterator[str]:
    """Yield where a solver's record contradicts a schedule, and what the market allows."""
    usd, least = horizon_usd(line.asked, placements, later), least_usd(line)
    hours = line.demand.policy.hours_per_month * line.horizon
    cost, bound = record.objective_usd_hr, record.bound_usd_hr
    # What pods can mount may have been known otherwise: of jobs, nothing costs less than the least.
    is_exact = least is not None and least.bound_usd is None and not line.demand.workloads
    if not line.demand.workloads and cost != averaged_usd_hr(usd, hours):
        yield "the solver's objective is not the average of the schedule"
    if least is None or cost < averaged_usd_hr(least.bound_usd or least.usd, hours) - _ROUNDING:
        yield "the schedule costs less than this market allows"
    elif is_exact and abs(bound - averaged_usd_hr(least.usd, hours)) > _ROUNDING:
        yield "the solver's bound is not the least that this market allows"
    yield from _status_violations(record, cost)


def record_violations(
    record: SolverRecord, instance: Instance, placements: Sequence[Placement], gpus: Sequence[Gpu]
) -> Iterator[str]:
    """Yield where a solver's record contradicts the choice it is the record of."""
    disks = total(placement.usd_hr for placement in placements)
    cost = total([disks, *(gpu.usd_hr for gpu in gpus)])
    if record.objective_usd_hr != cost:
        yield "the solver's objective is not the sum of the placements and GPUs"
    hours = instance.demand.policy.hours_per_month
    floor, least = dual_bound(instance), least_month(instance)
    if floor is None or record.bound_usd_hr < averaged_usd_hr(floor, hours) - _ROUNDING:
        yield "the solver's bound is below what this market allows"
    elif least is not None and abs(record.bound_usd_hr - averaged_usd_hr(least, hours)) > _ROUNDING:
        yield "the solver's bound is not the least that this market allows"
    if record.multipliers:
        proven = bound_month(instance, record.multipliers)
        spare = None if proven is None else averaged_usd_hr(proven, hours) - record.bound_usd_hr
        if spare is None or spare < -_ROUNDING:
            yield "the solver's bound is more than the multipliers in the plan prove"
    yield from _status_violations(record, cost)


def _status_violations(record: SolverRecord, cost: Decimal) -> Iterator[str]:
    """Yield where what a record says of its proof does not follow from cost and bound."""
    spare = difference(cost, record.bound_usd_hr)
    allowed = cost * PROOF + record.bound_usd_hr * record.cost_slack_percent / 100
    is_proven = spare <= allowed
    if spare < 0 or (record.status == "optimal", record.termination == "proven") != (
        is_proven,
        is_proven,
    ):
        yield "the solver's status does not follow from its cost and bound"
    if cost and record.gap != float(spare / cost):
        yield "the solver's gap is not its distance from the bound"
