"""Let a plan cost a little more for better stock and fewer sites, in that order."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from planner.requirements.spread import spreads
from planner.solve.decompose import counts_of, disaggregate
from planner.solve.model import Program
from planner.solve.presolve import every_column
from planner.solve.tiebreak import break_tie_levels, keys, packed
from planner.units import difference, usd_month

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.solve.optimum import Optimum
    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance


def with_slack(instance: Instance, start: Optimum, percent: Decimal) -> Optimum:
    """Return the solution of best stock, then fewest sites, then least cost, then least keys.

    Parameters
    ----------
    start : Optimum
        The cheapest solution.
    percent : Decimal
        Of its cost, that the result may cost more.
    """
    hours, stats = instance.demand.policy.hours_per_month, start.stats
    least = start.usd_month if start.bound_month is None else start.bound_month
    most_month = start.usd_month + start.usd_month * percent / 100
    columns = _affordable(instance, most_month)
    counts = counts_of(columns, start.chosen)
    program = Program(instance, instance.whole, columns)
    stats.variables, stats.constraints = program.size
    program.hold_cost(most_month / hours)
    stock = instance.penalty[columns.offer]
    counts = break_tie_levels(program, columns, iter([stock]), counts, stats)
    fewest = program.fewest_sites(time_limit_s=stats.left_s)
    counts = counts if fewest.counts is None else fewest.counts
    program.hold_sites(len({instance.sites[o] for o in columns.offer[counts > 0].tolist()}))
    cheapest = program.cheapest(time_limit_s=stats.left_s)
    counts = counts if cheapest.counts is None else cheapest.counts
    best = _with(instance, start, columns, counts)
    program.hold_cost(best.usd_month / hours)
    last_levels = chain([packed(instance, columns)] if instance.pairs.shared else [], keys(columns))
    counts = break_tie_levels(program, columns, last_levels, counts, stats)
    last = _with(instance, start, columns, counts)
    for solution in (last, best):
        if solution.usd_month <= most_month and instance.holds(instance.whole, solution.chosen):
            return replace(solution, bound_month=least)
    return replace(start, bound_month=least)


def _with(
    instance: Instance, start: Optimum, columns: Columns, counts: NDArray[np.int64]
) -> Optimum:
    chosen = disaggregate(instance, columns, counts)
    rented = instance.rent(start.rented, chosen)
    if rented is None:
        return start
    cost = instance.usd_month(chosen, rented)
    return replace(start, chosen=chosen, rented=rented, usd_month=cost)


def _affordable(instance: Instance, most_month: Decimal) -> Columns:
    """Return every candidate that a solution of at most this cost can have.

    A replica there stands in for one of its volume's least choice, at best for the dearest.
    """
    columns = every_column(instance, instance.whole)
    hours = instance.demand.policy.hours_per_month
    disks = usd_month(instance.least_usd_hr, hours)
    spare = float(difference(most_month, disks)) / hours * (1 + 1e-9)
    usd_hr = instance.least.float_usd_hr
    alone = instance.least.choices()
    dearest = np.array([usd_hr(v, offers or [0]).max() for v, offers in enumerate(alone)])
    volume = columns.volume
    kept = usd_hr(volume, columns.offer) - dearest[volume] <= spare
    for v, demanded in enumerate(instance.pairs.volumes):
        apart = spreads(demanded.replicas, demanded.spread)
        if apart and not instance.least.is_single(demanded.spread):
            kept[volume == v] = True  # where offers lie in several domains, one may displace two
    return columns.take(kept)
