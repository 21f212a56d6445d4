"""Solve a part of an instance whose volumes are coupled, and prove it.

A small program is solved as it is. A large one is solved around its relaxation: the relaxed
program gives a bound and each candidate's reduced cost, the candidates of least reduced cost are a
core that is solved in whole numbers, and what that costs is a limit. A candidate whose reduced
cost exceeds the distance between limit and bound is in no solution as good as the one in hand;
where those that are left are few, they are solved to the end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.requirements.policy import ProviderShare
from planner.solve.bundles import Bundles
from planner.solve.heuristic import round_relaxation
from planner.solve.model import FEASIBILITY_TOLERANCE, Outcome, Program
from planner.solve.presolve import Columns, VolumeClass, every_column, presolve
from planner.solve.stats import Undecided

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from planner.solve.problem import Chosen, Instance, Scope
    from planner.solve.stats import SolveStats


SMALL = 3000
"""Columns up to which a program is solved to the last cent at once."""
PROOF = 1e-6
"""Relative gap up to which a large program counts as solved; the record always has the gap."""
_NEAR = 1e-8
"""Relative gap that a solver is asked for where the last cent is out of reach."""
_FIRST_WORK, _WORK = 1e7, 1e8
"""Work for the last cent of a program before its relaxation has to help, and for the proof around
the relaxation: seconds, and about a minute, of a processor. No clock decides, so that every machine
gives the same answer."""
_UNLIMITED = 2**31 - 1
_ROUNDING = 1e-9
_TRIES = 50
"""Solutions that may be within tolerance beyond a limit before the search is given up."""


@dataclass(frozen=True)
class ScopeOptimum:
    """A solution of a scope.

    Attributes
    ----------
    chosen : dict of list of int
        Offers of each volume.
    usd_month : Decimal
        Exact cost, with the cheapest GPUs that it allows.
    bound_month : float | None
        Proven limit of it; None where the cost is proven to be the least.
    columns : Columns
        The candidates among which it was chosen.
    """

    chosen: Chosen
    usd_month: Decimal
    bound_month: float | None
    columns: Columns


def solve_scope(instance: Instance, scope: Scope, stats: SolveStats) -> ScopeOptimum | None:
    """Return the cheapest solution of a scope; None where there is none.

    Raises
    ------
    Undecided
        When time ran out first.
    """
    columns = (every_column if stats.full else presolve)(instance, scope)
    stats.dominated += columns.dominated
    if not stats.full:
        columns = columns.take(Bundles.of(instance, scope, columns).possible)
    if columns.has_empty_domain:
        return None
    if stats.full:
        return _exactly(instance, scope, columns, stats)
    if len(columns) <= SMALL and not _rounds(instance, scope):
        best = _exactly(instance, scope, columns, stats, work=_FIRST_WORK)
        if best is None or best.bound_month is None or (best.chosen and stats.is_over):
            return best
    return _around_relaxation(instance, scope, columns, stats)


def _rounds(instance: Instance, scope: Scope) -> bool:
    """Return whether the relaxation can be rounded: then it is solved first, which costs least."""
    return scope.capped and any(isinstance(r, ProviderShare) for r in instance.requirements)


def _exactly(
    instance: Instance,
    scope: Scope,
    columns: Columns,
    stats: SolveStats,
    *,
    gap: float = 0.0,
    work: float | None = None,
) -> ScopeOptimum | None:
    """Solve a program as it is, to the last cent unless work or time end first."""
    program = Program(instance, scope, columns)
    nodes = min(_nodes(work, len(columns)), stats.nodes or _UNLIMITED)
    for _ in range(_TRIES):
        outcome = stats.record(
            program.cheapest(time_limit_s=stats.left_s, gap_usd_hr=gap, nodes=nodes),
            program,
        )
        if outcome.run.status == "infeasible":
            return None
        if outcome.counts is None:
            if stats.is_over or work is None:
                raise Undecided
            return ScopeOptimum({}, Decimal("Infinity"), 0.0, columns)
        best = _incumbent(instance, scope, columns, outcome)
        runs = instance.rent(scope.workloads, best.chosen) is not None
        if runs and instance.holds(scope, best.chosen):
            return best
        # Within the solver's tolerance of a budget or share, but beyond it: not this one.
        if not program.exclude(outcome.counts):
            program = Program(instance, scope, columns, tolerance=-FEASIBILITY_TOLERANCE)
    raise Undecided


def _nodes(work: float | None, columns: int) -> int:
    """Return the branch-and-bound nodes that are so much work: wide programs have slow nodes."""
    return _UNLIMITED if work is None else max(1, int(work / max(1, columns) ** 1.5))


def _incumbent(
    instance: Instance, scope: Scope, columns: Columns, outcome: Outcome
) -> ScopeOptimum:
    counts = outcome.counts
    if counts is None:
        raise Undecided
    chosen = disaggregate(instance, columns, counts)
    usd_month = instance.usd_month(chosen, instance.rent(scope.workloads, chosen) or {})
    hours = instance.demand.policy.hours_per_month
    exact = outcome.run.status == "optimal" and outcome.run.gap == 0
    bound = None if exact or outcome.bound_usd_hr is None else outcome.bound_usd_hr * hours
    return ScopeOptimum(chosen, usd_month, bound if exact or bound is not None else 0.0, columns)


def _around_relaxation(
    instance: Instance, scope: Scope, columns: Columns, stats: SolveStats
) -> ScopeOptimum | None:
    relaxed = Program(instance, scope, columns, relaxed=True)
    ideal = stats.record(relaxed.cheapest(time_limit_s=stats.left_s), relaxed)
    if ideal.run.status == "infeasible":
        return None
    if ideal.reduced is None or ideal.counts is None or ideal.bound_usd_hr is None:
        raise Undecided
    hours = instance.demand.policy.hours_per_month
    bound_month = ideal.bound_usd_hr * hours * (1 - _ROUNDING)
    best = _rounded(instance, scope, columns, ideal) or _from_core(
        instance, scope, columns, ideal, stats
    )
    if best is None:
        return None
    distance = float(best.usd_month) - bound_month
    to_last_cent = len(columns) <= SMALL and _rounds(instance, scope)
    near_enough = 0.0 if to_last_cent else PROOF * float(best.usd_month)
    if distance > near_enough and not stats.is_over:
        reduced = Bundles.of(instance, scope, columns).at_best(ideal.reduced)
        needed = reduced * hours <= distance + abs(bound_month) * _ROUNDING
        left = columns.take(needed | (ideal.counts > 0))
        gap = 0.0 if to_last_cent else PROOF / 2 * ideal.bound_usd_hr
        better = _polished(instance, scope, left, stats, gap)
        if better is not None and better.usd_month <= best.usd_month:
            best = better
            if to_last_cent and best.bound_month is None:
                return best
    proven = max(bound_month, best.bound_month or bound_month)
    return replace(best, bound_month=proven)


def _polished(
    instance: Instance,
    scope: Scope,
    columns: Columns,
    stats: SolveStats,
    gap: float,
) -> ScopeOptimum | None:
    """Return what a solver makes of the columns that are left, if it makes anything of them."""
    work = _WORK if stats.deadline is None else None
    try:
        return _exactly(instance, scope, columns, stats, gap=gap, work=work)
    except Undecided:
        return None


def _rounded(
    instance: Instance, scope: Scope, columns: Columns, ideal: Outcome
) -> ScopeOptimum | None:
    """Return a solution that is the relaxed one in whole numbers; None where that is none."""
    if ideal.values is None or ideal.reduced is None or ideal.bound_usd_hr is None:
        return None
    good_enough = ideal.bound_usd_hr * (1 + _NEAR)
    counts = round_relaxation(instance, scope, columns, ideal.values, ideal.reduced, good_enough)
    if counts is None:
        return None
    chosen = disaggregate(instance, columns, counts)
    rented = instance.rent(scope.workloads, chosen)
    if rented is None or not instance.holds(scope, chosen):
        return None
    cost = instance.usd_month(chosen, rented)
    return ScopeOptimum(chosen, cost, 0.0, columns)


def _from_core(
    instance: Instance, scope: Scope, columns: Columns, ideal: Outcome, stats: SolveStats
) -> ScopeOptimum | None:
    """Return the solution of the candidates of least reduced cost, of more where it has none."""
    if ideal.counts is None or ideal.reduced is None or ideal.bound_usd_hr is None:
        return None
    size, work = len(columns.units) + SMALL, _WORK
    reduced = Bundles.of(instance, scope, columns).at_best(ideal.reduced)
    gap = PROOF / 2 * ideal.bound_usd_hr
    while True:
        core = columns.take(_core(reduced, ideal.counts, size))
        limit = work if stats.deadline is None else None
        best = _exactly(instance, scope, core, stats, gap=gap, work=limit)
        if best is None and len(core) == len(columns):
            return None
        if best is not None and best.chosen:
            return best
        size, work = size * 4, work * 4


def _core(reduced: NDArray[np.float64], counts: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """Return the columns that the relaxation uses, and those of least reduced cost."""
    if size >= len(reduced):
        return np.ones(len(reduced), np.bool_)
    core = counts > 0
    core[np.argsort(reduced, kind="stable")[:size]] = True
    return core


def counts_of(columns: Columns, chosen: Mapping[int, Sequence[int]]) -> NDArray[np.int64]:
    """Return how often chosen offers use each column: what `disaggregate` undoes."""
    pairs = zip(columns.unit.tolist(), columns.offer.tolist(), strict=True)
    at = {pair: i for i, pair in enumerate(pairs)}
    counts = np.zeros(len(columns), np.int64)
    for k, unit in enumerate(columns.units):
        for v in unit.members:
            for o in chosen[v]:
                counts[at[k, o]] += 1
    return counts


def disaggregate(instance: Instance, columns: Columns, counts: NDArray[np.int64]) -> Chosen:
    """Return the offers of each volume: what a unit has, dealt to its members by create key."""
    chosen: Chosen = {}
    held: list[list[int]] = [[] for _ in columns.units]
    for k, o, count in zip(
        columns.unit.tolist(), columns.offer.tolist(), counts.tolist(), strict=True
    ):
        held[k].extend([o] * count)
    for unit, offers in zip(columns.units, held, strict=True):
        hands = _disaggregate_class(instance, unit, sorted(offers))
        chosen.update(zip(unit.members, hands, strict=True))
    return chosen


def _disaggregate_class(
    instance: Instance, unit: VolumeClass, offers: list[int]
) -> list[list[int]]:
    if unit.spread is None or len(unit.members) == 1:
        starts = range(0, len(offers), unit.replicas)
        return [offers[start : start + unit.replicas] for start in starts]
    places: list[Any] = instance.spread_domains(unit.spread)
    hands = []
    for left in range(len(unit.members), 0, -1):
        held = Counter(places[o] for o in offers)
        # A place that holds a replica of every volume that is left must serve this one too.
        hand = {
            place: min(o for o in offers if places[o] == place)
            for place, count in held.items()
            if count == left
        }
        for o in offers:
            if len(hand) < unit.replicas:
                hand.setdefault(places[o], o)
        hands.append(sorted(hand.values()))
        for o in hands[-1]:
            offers.remove(o)
    return hands
