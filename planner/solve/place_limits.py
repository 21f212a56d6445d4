"""Plans in few places: where a policy limits sites or providers, alone or beside sums."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from planner.requirements.policy import PlaceLimit
from planner.solve.bound import CLOSE
from planner.solve.certificate import chooses_by_units, coupled, limits_of
from planner.solve.dual import Coupled, Lagrangian, Taken
from planner.solve.place_search import EQUAL, LEAVES, PlaceCap, PlaceCosts, PlaceSearch, PlaceSet
from planner.solve.presolve import presolve
from planner.solve.stats import ScopeOptimum, Undecided

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from planner.solve.certificate import Choice
    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance, Scope
    from planner.solve.stats import SolveStats

    _Floats = NDArray[np.float64]
    _Flags = NDArray[np.bool_]

_EXCLUDED = np.uint32(1 << 31)
"""A bit that stands for no rule: the offer is at a place that is not open."""
_ROUNDS = 3
"""Prices of limits on sums that are tried: those of any places, and of the best that are known."""
_NEAR = 1e-4
"""How near to its bound a plan anywhere has to be, to see whether it keeps limits on places."""
_SMALL = 400
"""Columns up to which limits on sums and on places are left to a solver."""


def best_in_few_places(
    instance: Instance,
    scope: Scope,
    stats: SolveStats,
    solved: Callable[..., ScopeOptimum | None],
) -> ScopeOptimum | None:
    """Return the cheapest solution where sites or providers are limited; None where there is none.

    Parameters
    ----------
    solved : callable
        Solves an instance that has no such limit, with other ``stats`` where they are given.

    Raises
    ------
    Undecided
        Where something else than sums couples units too, or it takes too much work.
    """
    limits = [limit for limit in instance.requirements if isinstance(limit, PlaceLimit)]
    are_sums = all(limit.sums is not None for limit in instance.requirements if limit not in limits)
    if stats.full or not (scope.capped and limits and are_sums and chooses_by_units(instance)):
        raise Undecided
    columns = presolve(instance, scope)
    sums = limits_of(instance)
    if sums and len(columns) <= _SMALL:
        raise Undecided
    stats.dominated += columns.dominated
    stats.look_at(len(columns), len(columns.units))
    plans = _AtPlaces(instance, columns, coupled(instance, columns, sums), limits, solved)
    if sums:
        free = _within(instance, plans.admissible, limits)
        anywhere = solved(free, stats=replace(stats, near=_NEAR))
        if anywhere is not None and instance.holds(scope, anywhere.chosen):
            anywhere = solved(free)
        if anywhere is None or instance.holds(scope, anywhere.chosen):
            return anywhere
    search = plans.searched(stats)
    if not search.leaves:
        if search.least < np.inf:
            raise Undecided
        return None
    leaves = [plans.solved(leaf.places, np.inf) for leaf in search.leaves[:LEAVES]]
    known = [leaf.best for leaf in leaves if leaf.best is not None]
    if not known:
        raise Undecided
    best = min(known, key=lambda each: each.usd_month)
    hours = instance.demand.policy.hours_per_month
    is_proven = search.least >= search.usd_hr * (1 - EQUAL) and best.bound_month is None
    bound = None if is_proven else min(search.least * hours, float(best.usd_month))
    live = plans.live(
        [leaf for leaf in leaves if leaf.best is None or leaf.best.usd_month == best.usd_month]
    )
    return replace(best, bound_month=bound, columns=columns.take(live), multipliers=())


class _AtPlaces:
    """The plans of an instance at places.

    Parameters
    ----------
    choice : Choice
        Its columns and limits on sums, as the dual sees them.
    limits : sequence of PlaceLimit
        Its limits on places.

    Attributes
    ----------
    admissible : ndarray of bool, shape (V, O)
        Pairs that are columns.
    """

    def __init__(
        self,
        instance: Instance,
        columns: Columns,
        choice: Choice,
        limits: Sequence[PlaceLimit],
        solved: Callable[..., ScopeOptimum | None],
    ) -> None:
        self._instance, self._columns, self._choice = instance, columns, choice
        self._limits, self._solved = limits, solved
        facts = instance.pairs.facts
        level = "site" if any(limit.level == "site" for limit in limits) else "provider"
        self._number, _ = facts.numbered(level)
        self._place = self._number[columns.offer[choice.column]]
        _, first = np.unique(self._number, return_index=True)
        self._caps = [
            PlaceCap(facts.numbered(limit.level)[0][first], limit.value) for limit in limits
        ]
        self._is_open = np.zeros(len(first), np.bool_)
        self._is_open[self._number[columns.offer[choice.kept]]] = True
        self.admissible = _admissible(instance, columns)
        self._known: dict[bytes, PlaceSet] = {}

    def searched(self, stats: SolveStats) -> PlaceSearch:
        """Return the search for the best places, after it."""
        together = self._choice.coupled
        if not len(self._place):
            raise Undecided
        prices = np.zeros(len(together.right))
        solved = self.solved if len(prices) else None
        if solved is not None:
            best = Lagrangian(together).best()
            prices = prices if best is None else best.prices
        search: PlaceSearch | None = None
        for _ in range(_ROUNDS):
            cells = PlaceCosts(together, prices, self._place, len(self._is_open))
            other = PlaceSearch(cells, self._caps, self._is_open, stats, solved)
            other.begin(search)
            if search is not None and other.bound <= search.bound:
                break
            search = other
            if not search.leaves or search.leaves[0].prices is None:
                break
            prices = search.leaves[0].prices
        if search is None:
            raise Undecided
        search.finish()
        return search

    def solved(self, places: _Flags, most: float) -> PlaceSet:
        """Return the best plan at some places, unless it costs more than most."""
        key = places.tobytes()
        if key not in self._known:
            best = self._solved_at(places, most)
            if best.best is None:
                return best
            self._known[key] = best
        return self._known[key]

    def _solved_at(self, places: _Flags, most: float) -> PlaceSet:
        prices, hours = None, self._instance.demand.policy.hours_per_month
        if len(self._choice.coupled.right):
            dual = Lagrangian(_at(self._choice.coupled, places[self._place]))
            best = dual.best()
            if best is None:
                return PlaceSet(np.inf, np.inf, places)
            prices, least = best.prices, dual.bound(best.prices)
            if least > most * CLOSE:
                return PlaceSet(np.inf, least, places)
        there = self.admissible & places[self._number]
        cheapest = self._solved(_within(self._instance, there, self._limits))
        if cheapest is None or not self._instance.holds(self._instance.whole, cheapest.chosen):
            return PlaceSet(np.inf, np.inf, places)
        usd_hr, bound = float(cheapest.usd_month) / hours, cheapest.bound_month
        least = usd_hr if bound is None else bound / hours
        return PlaceSet(usd_hr, least, places, cheapest, prices)

    def live(self, leaves: Sequence[PlaceSet]) -> _Flags:
        """Return the columns that a plan that costs as little as those of leaves may have, (n,)."""
        columns, choice, result = self._columns, self._choice, self._choice.kept.copy()
        for leaf in leaves:
            mine = leaf.best.columns if leaf.best is not None else None
            if mine is None:
                result[choice.column] |= _as_cheap(choice.coupled, leaf.places[self._place])
                continue
            members = zip(mine.unit.tolist(), mine.offer.tolist(), strict=True)
            pairs = {(v, o) for k, o in members for v in mine.units[k].members}
            at = zip(columns.volume.tolist(), columns.offer.tolist(), strict=True)
            result |= np.array([pair in pairs for pair in at])
        return result


def _admissible(instance: Instance, columns: Columns) -> _Flags:
    """Return which pairs are columns, for all volumes of a unit, (V, O)."""
    each = np.zeros((len(columns.units), len(instance.sites)), np.bool_)
    each[columns.unit, columns.offer] = True
    unit = np.zeros(len(instance.volumes), np.int64)
    for k, volumes in enumerate(columns.units):
        unit[list(volumes.members)] = k
    return np.asarray(each[unit])


def _within(instance: Instance, admissible: _Flags, limits: Sequence[PlaceLimit]) -> Instance:
    """Return an instance on some pairs, without limits on places."""
    policy = instance.demand.policy
    for limit in limits:
        policy = limit.lifted(policy)
    broken = np.where(admissible, instance.pairs.broken, instance.pairs.broken | _EXCLUDED)
    pairs = replace(instance.pairs, broken=broken)
    demand = instance.demand.model_copy(update={"policy": policy})
    return replace(instance, demand=demand, pairs=pairs)


def _as_cheap(each: Coupled, there: _Flags) -> _Flags:
    """Return the columns that some least choice among those at some places may have."""
    dual = Lagrangian(
        replace(_at(each, there), taken=(), limits=np.zeros((0, 0)), right=np.zeros(0))
    )
    none = np.zeros(0)
    result = np.zeros(len(there), np.bool_)
    result[there] = dual.reduced(none) <= dual.bound(none) * (CLOSE - 1)
    return result


def _at(each: Coupled, there: _Flags) -> Coupled:
    """Return some columns as the dual sees them."""
    at = np.flatnonzero(there)
    return replace(
        each,
        unit=each.unit[at],
        domain=each.domain[at],
        member=each.member[at],
        usd_hr=each.usd_hr[at],
        taken=tuple(Taken(t.row[at], t.amount[at]) for t in each.taken),
    )
