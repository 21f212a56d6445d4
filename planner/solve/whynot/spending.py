"""What disks cost at least, of all or of one owner, whatever everything together costs.

This is the least budget that works, where GPUs or other owners have a say in the total.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from planner.solve.decompose import Undecided, deal
from planner.solve.model import Program
from planner.solve.presolve import every_column, needed_columns
from planner.units import difference, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planner.solve.decompose import Effort
    from planner.solve.problem import Chosen, Instance

_MANY = 100_000


def spent_month(
    instance: Instance, chosen: Mapping[int, Sequence[int]], owner: str | None
) -> Decimal:
    """Return what chosen disks cost in a month, of one owner or of all."""
    volumes = instance.pairs.volumes
    mine = {v: o for v, o in chosen.items() if owner is None or volumes[v].owner == owner}
    return usd_month(instance.disk_usd_hr(mine), instance.demand.policy.hours_per_month)


def floor_spending(instance: Instance, owner: str | None) -> Decimal:
    """Return what the disks of one owner, or all, cost at least, were every volume alone."""
    volumes = enumerate(instance.pairs.volumes)
    mine = [v for v, volume in volumes if owner is None or volume.owner == owner]
    costs = (instance.least.cost(v) for v in mine)
    hours = instance.demand.policy.hours_per_month
    return usd_month(total(cost for cost in costs if cost is not None), hours)


def least_spending(instance: Instance, owner: str | None, effort: Effort) -> Chosen | None:
    """Return a solution in which the disks of one owner, or all, cost least; None without one.

    Raises
    ------
    Undecided
        When it is too large, or no solver proves it in time.
    """
    # Volumes that only their owner sets apart may be alike to a program without his budget.
    columns = (needed_columns if owner is None else every_column)(instance, instance.whole)
    if len(columns) > _MANY:
        raise Undecided
    if columns.lacks:
        return None
    program = Program(instance, instance.whole, columns)
    volumes = instance.pairs.volumes
    amounts = [
        instance.pairs.usd_hr(v, o) if owner is None or volumes[v].owner == owner else Decimal(0)
        for v, o in zip(columns.volume.tolist(), columns.offer.tolist(), strict=True)
    ]
    outcome = effort.took(program.first(_scaled(amounts), time_limit_s=effort.left_s), program)
    if outcome.run.status == "infeasible":
        return None
    if outcome.run.status != "optimal" or outcome.counts is None:
        raise Undecided
    return deal(instance, columns, outcome.counts)


def _scaled(amounts: Sequence[Decimal]) -> list[float]:
    """Return amounts as numbers whose least difference a solver can see."""
    known = sorted({*amounts})
    steps = [difference(b, a) for a, b in pairwise(known)]
    unit = max(min(steps), known[-1] / 10**9) if steps else Decimal(1)
    return [float(amount / unit) for amount in amounts]
