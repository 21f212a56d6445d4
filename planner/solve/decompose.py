"""Solve a part of an instance whose volumes are coupled, and prove it.

A small program is solved as it is. A large one is solved around its relaxation: the relaxed
program gives a bound and each candidate's reduced cost, the candidates of least reduced cost are a
core that is solved in whole numbers, and what that costs is a limit. A candidate whose reduced
cost exceeds the distance between limit and bound is in no solution as good as the one in hand;
where those that are left are few, they are solved to the end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from planner.errors import Defect
from planner.requirements.policy import ProviderShare
from planner.solve.bundles import Bundles
from planner.solve.certificate import (
    as_multipliers,
    bound_month,
    coupled,
    has_single_places,
    limits_of,
    proves,
)
from planner.solve.dual import Lagrangian
from planner.solve.enumerate import MORE_WORK, WORK, Enumeration
from planner.solve.heuristic import round_units
from planner.solve.model import FEASIBILITY_TOLERANCE, Outcome, Program
from planner.solve.presolve import Columns, VolumeClass, every_column, lacks_places, presolve
from planner.solve.stats import ScopeOptimum, Undecided
from planner.solve.whole_gb import eased, remainder_month, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from planner.solve.certificate import Choice, Multiplier
    from planner.solve.dual import Best
    from planner.solve.problem import Chosen, Instance, Scope
    from planner.solve.stats import SolveStats


SMALL = 3000
"""Columns up to which a program is solved to the last cent at once."""
_ENUMERATED = 50
"""Columns up to which a solver is faster than rounding."""
_SEARCHED, _SEARCHED_TOGETHER = 3000, 600
"""Columns up to which a rounded program is searched further, of volumes alone and in groups."""
_LAST_CENT = 300
"""Columns up to which one that is proven already is searched for the last cent."""
PROOF = 1e-6
"""Relative gap up to which a large program counts as solved; the record always has the gap."""
_NEAR = 1e-8
"""Relative gap that a solver is asked for where the last cent is out of reach."""
_RARELY, _RARELY_TOGETHER = 1e-4, 5e-4
"""Relative gap from which a search of many columns rarely leads nearer, the same."""
_ENOUGH = 9e-7
"""Relative gap at which a large program is rounded well enough."""
_LITTLE_WORK, _FIRST_WORK, _WORK = 1e6, 1e7, 1e8
"""Work for a program before more solutions are listed, for its last cent before its relaxation has
to help, and for the proof around the relaxation: half a second, seconds, and about a minute, of a
processor. No clock decides, so that every machine gives the same answer."""
_UNLIMITED = 2**31 - 1
_ROUNDING = 1e-9
_EXACT, _NOTHING = 1e-13, Fraction(1, 10**9)
"""Relative gap that floats see where there is none, and what is nothing in USD a month."""
_USED = 1e-3
"""Part of a replica from which a relaxed column counts as used."""
_TRIES = 50
"""Solutions that may be within tolerance beyond a limit before the search is given up."""


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
        return exactly(instance, scope, columns, stats)
    if scope.capped and lacks_places(instance, columns):
        return None
    at_once = min(_ENUMERATED, SMALL) if _rounds(instance, scope) else SMALL
    if len(columns) <= at_once:
        best = _at_once(instance, scope, columns, stats)
        if best is None or best.bound_month is None or (best.chosen and stats.is_over):
            return best
    return _around_relaxation(instance, scope, columns, stats)


def _at_once(
    instance: Instance, scope: Scope, columns: Columns, stats: SolveStats
) -> ScopeOptimum | None:
    """Solve a small program: what its relaxation uses first, then what may be in a better one.

    Often these are the same few columns.
    """
    if len(columns) > _ENUMERATED and not stats.is_over:
        relaxed = Program(instance, scope, columns, relaxed=True)
        ideal = stats.record(relaxed.cheapest(time_limit_s=stats.left_s), relaxed)
        if ideal.run.status == "infeasible":
            return None
        if ideal.reduced is not None and ideal.bound_usd_hr is not None:
            least = ideal.bound_usd_hr
            used = ideal.reduced <= abs(least) * _ROUNDING
            best = exactly(instance, scope, columns.take(used), stats, work=_FIRST_WORK)
            if best is not None and best.chosen:
                usd_hr = float(best.usd_month) / instance.demand.policy.hours_per_month
                needed = used | (ideal.reduced <= usd_hr - least + abs(usd_hr) * _ROUNDING)
                columns = columns.take(needed)
                if best.bound_month is None and len(columns) == np.count_nonzero(used):
                    return best
    return exactly(instance, scope, columns, stats, work=_FIRST_WORK)


def _rounds(instance: Instance, scope: Scope) -> bool:
    """Return whether the relaxation can be rounded: then it is solved first, which costs least."""
    return scope.capped and any(isinstance(r, ProviderShare) for r in instance.requirements)


def exactly(
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
    nodes = min(nodes_of(work, len(columns)), stats.nodes or _UNLIMITED)
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


def nodes_of(work: float | None, columns: int) -> int:
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


class _Listing(NamedTuple):
    """A search that lists the solutions of least cost, and the columns that its columns are."""

    enumeration: Enumeration
    choice: Choice


class _Ideal(NamedTuple):
    """The relaxation of a scope: its fractions, reduced costs, and what it proves, with what.

    Reduced costs are beyond ``relaxed_month``; that GB are whole can prove more. ``listed`` is the
    optimum, where all solutions of least cost were listed soon.
    """

    values: NDArray[np.float64]
    reduced: NDArray[np.float64]
    relaxed_month: float
    bound_month: float
    multipliers: tuple[Multiplier, ...] = ()
    rounded: NDArray[np.int64] | None = None
    least_month: Fraction = Fraction(0)
    listing: _Listing | None = None
    listed: ScopeOptimum | None = None

    @property
    def used(self) -> NDArray[np.bool_]:
        """Return the columns that hold more than nothing."""
        used: NDArray[np.bool_] = self.values > _USED
        return used


def _relaxed(
    instance: Instance, scope: Scope, columns: Columns, stats: SolveStats
) -> _Ideal | None:
    """Return the relaxation of a scope; None where it has no solution."""
    hours, limits = instance.demand.policy.hours_per_month, limits_of(instance)
    counts = None
    is_apart = scope.capped and limits and has_single_places(instance)
    choice = coupled(instance, columns, limits) if is_apart else None
    if choice is not None and len(choice.column):
        dual = Lagrangian(choice.coupled)
        best = dual.best()
        if best is None:
            return None
        if proves(instance, scope):
            return _from_dual(instance, columns, choice, dual, best, stats)
        _, prices = as_multipliers(limits, best.prices)
        rounded = round_units(
            dual,
            best.counts,
            prices,
            dual.bound(prices) * (1 + max(_ENOUGH, stats.near)),
            quick=stats.near > 0,
        )
        if rounded is not None:
            counts = choice.on_columns(rounded, kept=1).astype(np.int64)
    if stats.is_over:
        raise Undecided
    relaxed = Program(instance, scope, columns, relaxed=True)
    ideal = stats.record(relaxed.cheapest(time_limit_s=stats.left_s), relaxed)
    if ideal.run.status == "infeasible":
        return None
    if ideal.reduced is None or ideal.values is None or ideal.bound_usd_hr is None:
        raise Undecided
    reduced = Bundles.of(instance, scope, columns).at_best(ideal.reduced)
    bound_usd_month = ideal.bound_usd_hr * hours * (1 - _ROUNDING)
    return _Ideal(ideal.values, reduced, bound_usd_month, bound_usd_month, (), counts)


def _from_dual(
    instance: Instance,
    columns: Columns,
    choice: Choice,
    dual: Lagrangian,
    best: Best,
    stats: SolveStats,
) -> _Ideal:
    """Return the relaxation that prices of limits prove; a small one rounded to the last GB."""
    limits, hours = limits_of(instance), instance.demand.policy.hours_per_month
    is_small = len(columns) <= SMALL and not choice.coupled.member.any()
    short = shortened(dual, best.prices, limits) if is_small else best.prices
    prices = eased(instance, limits, short)
    if dual.bound(prices) < dual.bound(short) * (1 - _NEAR):
        prices = short
    multipliers, prices = as_multipliers(limits, prices)
    bound = bound_month(instance, multipliers)
    if bound is None:
        raise Defect("prices of limits prove nothing")
    relaxed_month = dual.bound(prices) * hours * (1 - _ROUNDING)
    stats.look_at(len(columns), len(columns.units) + len(prices))
    reduced = choice.on_columns(dual.reduced(prices), never=np.inf)
    values = choice.on_columns(best.counts, kept=1)
    ideal = _Ideal(values, reduced, relaxed_month, float(bound), multipliers)
    if len(columns) <= SMALL and not stats.near:
        listing = _Listing(Enumeration(dual, prices), choice)
        ideal = ideal._replace(listing=listing)
        listed = _listed(instance, instance.whole, columns, listing, WORK, stats)
        if listed is not None:
            return ideal._replace(listed=listed)
    rounded = round_units(
        dual,
        best.counts,
        prices,
        float(bound) / hours * (1 + max(_ENOUGH, stats.near)),
        quick=stats.near > 0,
    )
    if rounded is None:
        return ideal
    if is_small:
        usd_hr = float(choice.coupled.usd_hr @ rounded) + choice.coupled.spent_usd_hr
        kept = columns.take(reduced <= usd_hr * (1 + _ROUNDING) - relaxed_month / hours)
        plain = bound_month(instance, multipliers, whole_gb=False) or bound
        at = {(m.limit, m.place): m.usd_hr for m in multipliers}
        rest = remainder_month(instance, kept, limits, at)
        least = max(Fraction(bound), Fraction(plain) + rest)
        enough = float(least) / hours * (1 + _EXACT)
        if usd_hr > enough and len(kept) > _ENUMERATED:
            rounded = round_units(dual, rounded.astype(float), prices, enough, quick=stats.near > 0)
        ideal = ideal._replace(least_month=least)
    counts = None if rounded is None else choice.on_columns(rounded, kept=1).astype(np.int64)
    return ideal._replace(rounded=counts)


def _around_relaxation(
    instance: Instance, scope: Scope, columns: Columns, stats: SolveStats
) -> ScopeOptimum | None:
    ideal = _relaxed(instance, scope, columns, stats)
    if ideal is None:
        return None
    if ideal.listed is not None:
        return ideal.listed
    best = _rounded(instance, scope, columns, ideal)
    if best is not None and best.bound_month is None:
        return best
    best = best or _from_core(instance, scope, columns, ideal, stats)
    best = best and _listed_later(instance, scope, columns, ideal, best, stats)
    if best is None or best.bound_month is None:
        return best
    return _searched(instance, scope, columns, ideal, best, stats)


def _listed(
    instance: Instance,
    scope: Scope,
    columns: Columns,
    listing: _Listing,
    work: int,
    stats: SolveStats,
) -> ScopeOptimum | None:
    """Return the optimum where so much work lists all of about its cost, which floats cannot tell.

    Among more than a few of these a solver chooses.
    """
    cheapest = listing.enumeration.cheapest(work)
    if cheapest is None:
        return None
    used = columns.take(listing.choice.on_columns(cheapest.columns.astype(float), kept=1) > 0)
    best = None
    for counts in cheapest.counts:
        on_columns = listing.choice.on_columns(counts, kept=1).astype(np.int64)
        chosen = disaggregate(instance, columns, on_columns)
        rented = instance.rent(scope.workloads, chosen)
        if rented is not None and instance.holds(scope, chosen):
            usd_month = instance.usd_month(chosen, rented)
            if best is None or usd_month < best.usd_month:
                best = ScopeOptimum(chosen, usd_month, None, used)
    if not len(cheapest.counts):
        best = _polished(instance, scope, used, stats, 0.0, _FIRST_WORK)
    return None if best is None or best.bound_month is not None else best


def _left(instance: Instance, columns: Columns, ideal: _Ideal, best: ScopeOptimum) -> Columns:
    """Return the columns that may be in a solution as good as the one in hand."""
    distance = float(best.usd_month) - ideal.relaxed_month + abs(ideal.bound_month) * _ROUNDING
    needed = ideal.reduced * instance.demand.policy.hours_per_month <= distance
    return columns.take(needed | ideal.used)


def _better(best: ScopeOptimum, other: ScopeOptimum | None) -> ScopeOptimum:
    """Return the cheaper of two, or the first proven by what is proven of the second.

    The second is of all columns that may be in one cheaper than the first.
    """
    if other is None or other.usd_month <= best.usd_month:
        return other or best
    usd_month = float(best.usd_month)
    bound = min(other.bound_month or 0.0, usd_month)
    return replace(best, bound_month=bound) if usd_month - bound <= PROOF * usd_month else best


def _listed_later(
    instance: Instance,
    scope: Scope,
    columns: Columns,
    ideal: _Ideal,
    best: ScopeOptimum,
    stats: SolveStats,
) -> ScopeOptimum:
    """Return the optimum where a short search proves it, or else a longer list of solutions."""
    if ideal.listing is None or not ideal.listing.enumeration.is_open or stats.is_over:
        return best
    left = _left(instance, columns, ideal, best)
    best = _better(best, _polished(instance, scope, left, stats, 0.0, _LITTLE_WORK))
    if best.bound_month is None:
        return best
    return _listed(instance, scope, columns, ideal.listing, MORE_WORK, stats) or best


def _searched(
    instance: Instance,
    scope: Scope,
    columns: Columns,
    ideal: _Ideal,
    best: ScopeOptimum,
    stats: SolveStats,
) -> ScopeOptimum:
    """Return the best of the columns that may be in a solution as good as the one in hand."""
    hours = instance.demand.policy.hours_per_month
    near_enough = PROOF / 2 * ideal.bound_month / hours
    attempts = [(near_enough, _WORK)]
    if len(columns) <= SMALL and _rounds(instance, scope):
        attempts.insert(0, (0.0, _FIRST_WORK))
    for gap, most in attempts if not stats.near else ():
        spare = float(best.usd_month) - max(ideal.bound_month, best.bound_month or 0.0)
        if (gap and spare <= PROOF * float(best.usd_month)) or stats.is_over:
            continue
        left = _left(instance, columns, ideal, best)
        work = most
        if ideal.rounded is not None and proves(instance, scope) and stats.deadline is None:
            part = spare / float(best.usd_month)
            work = _worth_trying(
                scope, len(left), part, most, is_first=not gap or len(attempts) == 1
            )
        if not work:
            break
        limit = work if stats.deadline is None or not gap else None
        best = _better(best, _polished(instance, scope, left, stats, gap, limit))
        if best.bound_month is None:
            return best
    if best.bound_month is not None and best.bound_month > ideal.bound_month:
        return best
    return replace(best, bound_month=ideal.bound_month, multipliers=ideal.multipliers)


def _worth_trying(scope: Scope, left: int, gap: float, work: float, *, is_first: bool) -> float:
    """Return the work for a search of so many columns that are left: none where it is in vain.

    Where rounding is near already, a long search, or one of many columns, comes no nearer.
    """
    together = bool(scope.ties or scope.workloads)
    many, near = (_SEARCHED_TOGETHER, _RARELY_TOGETHER) if together else (_SEARCHED, _RARELY)
    if gap > near:
        return work
    if left > (_LAST_CENT if gap <= PROOF else many):
        return 0
    if together:
        return work
    return min(work, _FIRST_WORK) if is_first else 0


def _polished(
    instance: Instance,
    scope: Scope,
    columns: Columns,
    stats: SolveStats,
    gap: float,
    work: float | None,
) -> ScopeOptimum | None:
    """Return what a solver makes of the columns that are left, if it makes anything of them."""
    try:
        return exactly(instance, scope, columns, stats, gap=gap, work=work)
    except Undecided:
        return None


def _rounded(
    instance: Instance, scope: Scope, columns: Columns, ideal: _Ideal
) -> ScopeOptimum | None:
    """Return a solution that is the relaxed one in whole numbers; None where that is none.

    Where none can be cheaper it is proven; of its columns those stay that another may have too.
    """
    if ideal.rounded is None:
        return None
    chosen = disaggregate(instance, columns, ideal.rounded)
    rented = instance.rent(scope.workloads, chosen)
    if rented is None or not instance.holds(scope, chosen):
        return None
    usd_month = instance.usd_month(chosen, rented)
    if usd_month > ideal.least_month + _NOTHING:
        return ScopeOptimum(chosen, usd_month, 0.0, columns)
    free = ideal.reduced * instance.demand.policy.hours_per_month <= _ROUNDING * float(usd_month)
    return ScopeOptimum(chosen, usd_month, None, columns.take(free | (ideal.rounded > 0)))


def _from_core(
    instance: Instance, scope: Scope, columns: Columns, ideal: _Ideal, stats: SolveStats
) -> ScopeOptimum | None:
    """Return the solution of the candidates of least reduced cost, of more where it has none."""
    size, work = len(columns.units) + SMALL, _WORK
    gap = PROOF / 2 * ideal.bound_month / instance.demand.policy.hours_per_month
    while True:
        core = columns.take(_core(ideal.reduced, ideal.used, size))
        limit = work if stats.deadline is None else None
        best = exactly(instance, scope, core, stats, gap=gap, work=limit)
        if best is None and len(core) == len(columns):
            return None
        if best is not None and best.chosen:
            # What is proven of a part of the columns is not proven of all.
            return best if len(core) == len(columns) else replace(best, bound_month=0.0)
        if stats.near:
            raise Undecided
        size, work = size * 4, work * 4


def _core(reduced: NDArray[np.float64], used: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return the columns that the relaxation uses, and those of least reduced cost."""
    if size >= len(reduced):
        return np.ones(len(reduced), np.bool_)
    core = used.copy()
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
