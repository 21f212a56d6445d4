"""Of equally cheap solutions of coupled volumes, take the first.

First are fewer volumes that share a disk for a job, then better stock, then sites that are tied
for more volumes, then the least create keys in volume order. Each is a whole number for each
column, so that several are decided by one program: one weighs more than all that come after it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from planner.solve.decompose import counts_of, disaggregate, nodes_of
from planner.solve.model import Program
from planner.solve.presolve import presolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance, Scope
    from planner.solve.stats import ScopeOptimum, SolveStats


_MOST = 10**7
"""Up to what a packed weight may go: far below what a solver tells from zero."""
_FEW = 2
"""Programs up to which ties are broken at once; before more, one says whether there are any."""
_SEARCHED = 50
"""Columns up to which any tie is searched for; of more, those that a few moves show."""
_WORK = 5e5
"""Work after which ties stay as they are, under a second of a processor; no clock decides."""


def break_ties(
    instance: Instance, scope: Scope, best: ScopeOptimum, stats: SolveStats
) -> ScopeOptimum:
    """Return the first of all solutions of a scope that cost what the best costs."""
    live, counts = _live(instance, scope, best, stats)
    if np.bincount(live.unit).max(initial=0) <= 1 or stats.is_over:
        return best
    if len(live) > _SEARCHED and not scope.workloads:
        free = _reached_for_nothing(instance, live, counts)
        if not free.any():
            return best
        kept = free | (counts > 0)
        live, counts = live.take(kept), counts[kept]
    usd_hr = best.usd_month / instance.demand.policy.hours_per_month
    wanted = list(levels(instance, live))
    if len(list(_packed(live, iter(wanted)))) > _FEW:
        program = Program(instance, scope, live)
        program.hold_cost(usd_hr)
        if _is_alone(program, counts, stats):
            return best
    program = Program(instance, scope, live)
    program.hold_cost(usd_hr)
    counts = break_tie_levels(program, live, iter(wanted), counts, stats)
    chosen = disaggregate(instance, live, counts)
    rented = instance.rent(scope.workloads, chosen)
    if rented is None or not instance.holds(scope, chosen):
        return best
    cost = instance.usd_month(chosen, rented)
    # Floats hold the cost only nearly: what is dearer by less than they see is no equal.
    return replace(best, chosen=chosen, usd_month=cost) if cost <= best.usd_month else best


def _reached_for_nothing(
    instance: Instance, columns: Columns, counts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return the columns to which one or two replicas can move for nothing, shape (n,).

    Where they cannot, ties are sums of many sizes that happen to agree: no solver comes to them.
    """
    pairs = zip(columns.volume.tolist(), columns.offer.tolist(), strict=True)
    usd_hr = [Fraction(instance.usd_hr(v, o)) for v, o in pairs]
    scale = math.lcm(*(usd.denominator for usd in usd_hr))
    whole = np.array([int(usd * scale) for usd in usd_hr], object)
    used = np.flatnonzero(counts)
    same, each = columns.unit[used, None] == columns.unit, np.arange(len(counts))
    start, to = np.nonzero(same & (used[:, None] != each))
    moved = (whole[to] - whole[used[start]]).tolist()
    costs, free = {*moved, 0}, np.zeros(len(counts), np.bool_)
    free[[i for i, usd in zip(to.tolist(), moved, strict=True) if -usd in costs]] = True
    return free


def _is_alone(program: Program, counts: NDArray[np.int64], stats: SolveStats) -> bool:
    """Return whether no other solution that costs as little comes up: there is none, or no end."""
    if not program.exclude(counts):
        return False
    nodes = nodes_of(_WORK, len(counts))
    outcome = stats.record(program.cheapest(time_limit_s=stats.left_s, nodes=nodes), program)
    return outcome.counts is None


def _live(
    instance: Instance, scope: Scope, best: ScopeOptimum, stats: SolveStats
) -> tuple[Columns, NDArray[np.int64]]:
    """Return the columns that an equally cheap solution may use, and how the best does."""
    columns = presolve(instance, scope) if best.columns is None else best.columns
    counts = counts_of(columns, best.chosen)
    relaxed = Program(instance, scope, columns, relaxed=True)
    ideal = stats.record(relaxed.cheapest(time_limit_s=stats.left_s), relaxed)
    if ideal.reduced is None or ideal.bound_usd_hr is None:
        return columns, counts
    hours = instance.demand.policy.hours_per_month
    cost = float(best.usd_month) / hours
    distance = max(cost - ideal.bound_usd_hr, 0) + abs(cost) * 1e-9
    kept = (ideal.reduced <= distance) | (counts > 0)
    return columns.take(kept), counts[kept]


def levels(instance: Instance, columns: Columns) -> Iterator[NDArray[np.int64]]:
    """Yield what is to be least, the most important first: weights of columns, shape (n,)."""
    if instance.pairs.shared:
        yield packed(instance, columns)
    yield instance.penalty[columns.offer]
    yield -instance.tied_volumes[columns.offer]
    yield from keys(columns)


def packed(instance: Instance, columns: Columns) -> NDArray[np.int64]:
    """Return 1 for each column that packs a volume with others for a job, shape (n,)."""
    return np.array([instance.is_packed(o) for o in columns.offer.tolist()], np.int64)


def keys(columns: Columns) -> Iterator[NDArray[np.int64]]:
    """Yield what makes the create keys of each unit least, unit by unit: weights, shape (n,)."""
    for k, unit in enumerate(columns.units):
        mine = np.flatnonzero(columns.unit == k)
        if unit.count == 1:
            rank = np.zeros(len(columns), np.int64)
            rank[mine] = np.arange(len(mine))
            yield rank
            continue
        for column in mine[:-1].tolist():
            least = np.zeros(len(columns), np.int64)
            least[column] = -1
            yield least


def break_tie_levels(
    program: Program,
    columns: Columns,
    wanted: Iterator[NDArray[np.int64]],
    counts: NDArray[np.int64],
    stats: SolveStats,
) -> NDArray[np.int64]:
    """Return the counts that are least at every level in turn, where these counts are possible."""
    for weights in _packed(columns, wanted):
        if stats.is_over:
            break
        value, floor = int(weights @ counts), _floor(columns, weights)
        if value > floor:
            outcome = stats.record(
                program.first(
                    weights.tolist(),
                    time_limit_s=stats.left_s,
                    nodes=nodes_of(_WORK, len(columns)),
                ),
                program,
            )
            if outcome.counts is not None and int(weights @ outcome.counts) <= value:
                counts = outcome.counts
                value = int(weights @ counts)
            if outcome.run.status not in {"optimal", "infeasible"}:
                break
        program.hold(weights.tolist(), value + 0.5)
    return counts


def _packed(columns: Columns, wanted: Iterator[NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
    """Yield several levels as one, as long as the weights stay small; leave out what is decided."""
    packed = np.zeros(len(columns), np.int64)
    room = 1
    for level in wanted:
        span = -_floor(columns, -level) - _floor(columns, level)
        if span == 0:
            continue
        if room > 1 and room * (span + 1) > _MOST:
            yield packed
            packed, room = np.zeros(len(columns), np.int64), 1
        packed = packed * (span + 1) + level
        room *= span + 1
    if room > 1:
        yield packed


def _floor(columns: Columns, weights: NDArray[np.int64]) -> int:
    """Return what the sum of weights cannot fall below: every replica at its least."""
    least = np.full(len(columns.units), np.iinfo(np.int64).max)
    np.minimum.at(least, columns.unit, weights)
    return sum(int(low) * unit.count for low, unit in zip(least, columns.units, strict=True))
