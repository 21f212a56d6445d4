"""The cheapest plan in few places: branch and bound over sites or providers, without a solver.

With a price v on each replica, a place saves, where it is open, what its columns cost less than v:

    L(v) = Σ v - the most that as many places as may be open save

is what no plan costs less than (Cornuéjols, Fisher and Nemhauser 1977, of the p-median problem). A
subgradient raises it. Where it does not decide, a volume that no open place can hold, of all these
the one with the fewest places, is in one of those; else the place that saves most is open or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from planner.requirements.policy import PlaceLimit
from planner.solve.bound import CLOSE
from planner.solve.certificate import chooses_by_units, coupled
from planner.solve.dual import Coupled, Lagrangian
from planner.solve.presolve import presolve
from planner.solve.stats import ScopeOptimum, Undecided

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance, Scope
    from planner.solve.stats import SolveStats

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]
    _Flags = NDArray[np.bool_]

_EXCLUDED = np.uint32(1 << 31)
"""A bit that stands for no rule: the offer is at a place that is not open."""
_AT_ROOT, _STEPS = 300, 25
"""Steps of the subgradient before the first branch, and at every other node."""
_PATIENCE, _SHORTEST, _RISE = 5, 0.02, 1e-6
"""Steps without a rise after which they are halved, and how short they get; what is a rise."""
_AHEAD = 1.05
"""How far ahead of the bound the cost is taken to be while no plan is known."""
_EQUAL = 1e-12
"""Part of the cost that floats do not tell."""
_WORK, _CHECKED = 3e9, 1e8
"""Numbers to look at before the search ends: some seconds of a processor, and a third of one where
a plan is only checked."""
_LEAVES = 20
"""Equally cheap sets of places that are compared."""


class _Limit(NamedTuple):
    """Most groups of places that may be open, and the group of each place, (P,)."""

    group: _Ints
    most: int

    def opened(self, places: _Flags) -> _Flags:
        """Return which groups have a place among some, (G,)."""
        return np.bincount(self.group, places, int(self.group.max()) + 1) > 0

    def saved(self, saving: _Floats, is_open: _Flags, free: _Flags) -> tuple[float, _Floats]:
        """Return the most that places save, and what each group does beyond the last one that may.

        Those of a group that is open already may all be.
        """
        each = np.bincount(self.group, saving * (is_open | free), int(self.group.max()) + 1)
        opened = self.opened(is_open)
        left = self.most - int(opened.sum())
        others = np.sort(each[~opened])[::-1]
        last = others[left - 1] if 0 < left <= len(others) else 0.0 if left else np.inf
        beyond = np.where(opened, np.inf, each - last)
        return float(each[opened].sum() + others[:left].sum()), beyond


class _Branch(NamedTuple):
    """Places that are open, those that may be, prices of replicas (U,), and what it proves."""

    is_open: _Flags
    free: _Flags
    prices: _Floats
    bound: float


@dataclass(frozen=True)
class _Leaf:
    """Places among which some allowed ones are enough for the least of all of them."""

    usd_hr: float
    places: _Flags


class _Cells:
    """What units cost in each place.

    Attributes
    ----------
    usd_hr : ndarray of float, shape (U, P, R)
        Of a unit in a place, cheapest first: where it has several parts that must be apart, these
        may be in the same place. Infinite where it cannot be.
    wanted : ndarray of int64, shape (U,)
        Parts of each unit.
    """

    def __init__(self, each: Coupled, place: _Ints, places: int) -> None:
        keys = each.unit, place, each.domain, each.member
        order = np.lexsort(keys[::-1])
        *_, new_cell, new = np.logical_or.accumulate(
            [np.diff(key[order], prepend=-1) != 0 for key in keys]
        )
        parts = np.flatnonzero(new)
        cells = np.flatnonzero(new_cell[parts])
        first = order[parts[cells]]
        self._unit, self._place, self._domain = (key[first] for key in keys[:3])
        most = np.minimum(each.most, each.count)
        self.wanted = np.rint(each.count / most).astype(np.int64)
        least = np.add.reduceat(np.minimum.reduceat(each.usd_hr[order], parts), cells)
        self._usd_hr = least * most[self._unit]
        many = (self.wanted > 1) | (np.bincount(each.unit, each.member, len(most)) > 0)
        apart = np.unique(np.c_[self._unit, self._domain][many[self._unit]], axis=0)
        self._is_nested = len(apart) == int(many[self._unit].sum())
        if not self._is_nested and each.member.any():
            raise Undecided  # a group or job may be in several of these places at once
        by_cost = np.lexsort((self._usd_hr, self._place, self._unit))
        key = (self._unit * places + self._place)[by_cost]
        _, start, size = np.unique(key, return_index=True, return_counts=True)
        rank = np.arange(len(key)) - np.repeat(start, size)
        kept = rank < self.wanted[self._unit[by_cost]]
        at, rank = by_cost[kept], rank[kept]
        shape = len(most), places, int(rank.max()) + 1
        self.usd_hr = np.full(shape, np.inf)
        self.usd_hr[self._unit[at], self._place[at], rank] = self._usd_hr[at]
        self.is_single = int(self.wanted.max()) == 1

    def least(self, places: _Flags) -> tuple[float, _Flags]:
        """Return what all units cost where some places are open, and the places that they use."""
        used = np.zeros(len(places), np.bool_)
        at = np.flatnonzero(places)
        if not len(at):
            return np.inf, used
        if self.is_single:
            here = self.usd_hr[:, at, 0]
            best = here.argmin(axis=1)
            used[at[best]] = True
            return float(here[np.arange(len(best)), best].sum()), used
        mine = np.flatnonzero(places[self._place])
        keys = self._unit[mine], self._domain[mine]
        if self._is_nested or not len(mine):
            chosen = mine[np.lexsort((self._usd_hr[mine], keys[0]))]
        else:
            order = np.lexsort((self._usd_hr[mine], keys[1], keys[0]))
            new = (np.diff(np.c_[keys][order], axis=0, prepend=-1) != 0).any(axis=1)
            chosen = mine[order[new]]
            chosen = chosen[np.lexsort((self._usd_hr[chosen], self._unit[chosen]))]
        sizes = np.bincount(self._unit[chosen], minlength=len(self.wanted))
        if (sizes < self.wanted).any():
            return np.inf, used
        rank = np.arange(len(chosen)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        chosen = chosen[rank < self.wanted[self._unit[chosen]]]
        used[self._place[chosen]] = True
        return float(self._usd_hr[chosen].sum()), used


class _Branching:
    """The search for the cheapest places that limits allow.

    Attributes
    ----------
    least : float
        What no plan costs less than, once it has ended.
    leaves : list of _Leaf
        The best, with all that cost the same.
    """

    def __init__(
        self, cells: _Cells, limits: Sequence[_Limit], is_open: _Flags, stats: SolveStats
    ) -> None:
        self._cells, self._limits, self._stats = cells, limits, stats
        self._there = np.isfinite(cells.usd_hr).sum(axis=2)
        self._root = is_open
        self.leaves: list[_Leaf] = []
        self.least, self._work = np.inf, 0.0

    @property
    def usd_hr(self) -> float:
        """Return the cost of the best, infinite while there is none."""
        return min((leaf.usd_hr for leaf in self.leaves), default=np.inf)

    def run(self) -> None:
        """Search until all is proven, or work or time end."""
        ordered = np.sort(self._cells.usd_hr.reshape(len(self._cells.wanted), -1), axis=1)
        rows, wanted = np.arange(len(ordered)), self._cells.wanted
        last = ordered[rows, np.minimum(wanted, ordered.shape[1]) - 1]
        after = ordered[rows, np.minimum(wanted, ordered.shape[1] - 1)]
        if not np.isfinite(last).all():
            return
        prices = np.where(np.isfinite(after), after, 2 * last)
        root = _Branch(self._root, ~self._root, prices, -np.inf)
        self._descend([root], until_first=True)
        root = self._raised(root, _AT_ROOT)
        self.leaves = [leaf for leaf in self.leaves if leaf.usd_hr <= self.usd_hr * CLOSE][:1]
        self._descend([root])

    def _descend(self, open_: list[_Branch], *, until_first: bool = False) -> None:
        """Explore nodes and what comes of them, or only until there is a plan."""
        most = _CHECKED if self._stats.forbidden else _WORK
        while open_ and self._work < most and not self._stats.is_over:
            if until_first and self.leaves:
                return
            open_ += self._explored(open_.pop())
        self.least = min([self.usd_hr, *(node.bound for node in open_)])

    def _is_dear(self, bound: float) -> bool:
        """Return whether nothing that costs so much is wanted."""
        if len(self.leaves) < _LEAVES:
            return bound > self.usd_hr * CLOSE
        return bound >= self.usd_hr * (1 - _EQUAL)

    def _explored(self, node: _Branch) -> list[_Branch]:
        """Return the nodes that a node branches into, the best last; none where it is decided."""
        is_open, free = node.is_open, node.free
        opened = [limit.opened(is_open) for limit in self._limits]
        for limit, groups in zip(self._limits, opened, strict=True):
            if groups.sum() >= limit.most:
                free = free & groups[limit.group]
        is_over = any(
            groups.sum() > limit.most for limit, groups in zip(self._limits, opened, strict=True)
        )
        if is_over or self._is_dear(node.bound) or self._is_ended(is_open, free):
            return []
        lacking = (self._there * is_open).sum(axis=1) < self._cells.wanted
        if not self._can_cover(lacking, is_open, free):
            return []
        if self._is_last(is_open):
            self._try_each(is_open, free)
            return []
        node = self._raised(node._replace(free=free), _STEPS)
        return [] if self._is_dear(node.bound) else self._branched(node, lacking)

    def _is_ended(self, is_open: _Flags, free: _Flags) -> bool:
        """Return whether the least of all that may be open decides: too dear, or few enough."""
        least, used = self._cells.least(is_open | free)
        if np.isinf(least) or self._is_dear(least):
            return True
        if any(limit.opened(used | is_open).sum() > limit.most for limit in self._limits):
            return False
        self._reached(least, is_open | free)
        return True

    def _can_cover(self, lacking: _Flags, is_open: _Flags, free: _Flags) -> bool:
        """Return whether places that may be open could hold all that the open ones do not."""
        there = (self._there[lacking] > 0).sum(axis=0) * free
        for limit in self._limits:
            covered = np.sort(np.bincount(limit.group, there))[::-1]
            left = limit.most - int(limit.opened(is_open).sum())
            opened = np.bincount(limit.group, there)[limit.opened(is_open)].sum()
            if covered[: max(left, 0)].sum() + opened < lacking.sum():
                return False
        return True

    def _is_last(self, is_open: _Flags) -> bool:
        """Return whether one more place may be open, and all that there is to know is which."""
        (limit, *others) = self._limits
        return not others and self._cells.is_single and int(is_open.sum()) == limit.most - 1

    def _try_each(self, is_open: _Flags, free: _Flags) -> None:
        """Look at every place that may be the last one."""
        each = self._cells.usd_hr[:, :, 0]
        base = each[:, is_open].min(axis=1, initial=np.inf)
        at = np.flatnonzero(free)
        least = np.minimum(base[:, None], each[:, at]).sum(axis=0)
        for n in np.argsort(least, kind="stable").tolist():
            if np.isinf(least[n]) or self._is_dear(float(least[n])):
                break
            places = is_open.copy()
            places[at[n]] = True
            self._reached(float(least[n]), places)

    def _reached(self, usd_hr: float, places: _Flags) -> None:
        """Keep a plan's places, and only those that cost no more."""
        self.leaves.append(_Leaf(usd_hr, places))
        most = self.usd_hr * CLOSE
        self.leaves = [leaf for leaf in self.leaves if leaf.usd_hr <= most]

    def _raised(self, node: _Branch, steps: int) -> _Branch:
        """Return a node with prices that prove more, and without places that are too dear."""
        is_open, at = node.is_open, np.flatnonzero(node.is_open | node.free)
        each, wanted = self._cells.usd_hr[:, at], self._cells.wanted
        saving = np.zeros(len(is_open))
        top = np.full(len(wanted), np.inf)
        if self._cells.is_single:  # no replica is worth more than where it can be already
            top = each[:, is_open[at], 0].min(axis=1, initial=np.inf)
        prices = best = np.minimum(node.prices, top)
        bound, free, length, stale = node.bound, node.free, 1.0, 0
        for _ in range(steps):
            self._work += each.size
            less = prices[:, None, None] - each
            saving[at] = np.maximum(less, 0).sum(axis=(0, 2))
            saved = [limit.saved(saving, is_open, node.free) for limit in self._limits]
            first = min(range(len(saved)), key=lambda n: saved[n][0])
            limit, (most, beyond) = self._limits[first], saved[first]
            here = float(wanted @ prices) - most
            if here > bound:
                stale = 0 if here > bound + _RISE * abs(here) else stale + 1
                bound, best = here, prices
                keep = bound - beyond[limit.group] <= self.usd_hr * CLOSE
                free = node.free & keep
            else:
                stale += 1
            if self._is_dear(bound):
                break
            if stale >= _PATIENCE:
                length, stale, prices = length / 2, 0, best
                if length < _SHORTEST:
                    break
            taken = is_open[at] | (node.free[at] & (beyond[limit.group[at]] >= 0))
            slope = wanted - (less[:, taken] > 0).sum(axis=(1, 2))
            slope = np.where((slope > 0) & (prices >= top), 0, slope)
            norm = float(slope @ slope)
            if not norm:
                break
            ahead = self.usd_hr if np.isfinite(self.usd_hr) else bound * _AHEAD
            step = length * max(ahead - here, _RISE * abs(ahead)) / norm
            prices = np.clip(prices + step * slope, 0, top)
        return _Branch(is_open, free, best, bound)

    def _branched(self, node: _Branch, lacking: _Flags) -> list[_Branch]:
        """Return the nodes that a node branches into, the best last."""
        is_open, free, prices, bound = node
        saving = np.maximum(prices[:, None, None] - self._cells.usd_hr, 0).sum(axis=(0, 2))
        if not lacking.any():
            at = int(np.where(free, saving, -1).argmax())
            there = np.arange(len(free)) == at
            return [
                _Branch(is_open, free & ~there, prices, bound),
                _Branch(is_open | there, free & ~there, prices, bound),
            ]
        there = (self._there[lacking] > 0) & free
        fewest = np.flatnonzero(there[int(there.sum(axis=1).argmin())])
        nodes = []
        for at in fewest[np.argsort(-saving[fewest], kind="stable")].tolist():
            opened = is_open.copy()
            opened[at], free = True, free & (np.arange(len(free)) != at)
            nodes.append(_Branch(opened, free, prices, bound))
        return nodes[::-1]


def best_in_few_places(
    instance: Instance,
    scope: Scope,
    stats: SolveStats,
    solved: Callable[[Instance], ScopeOptimum | None],
) -> ScopeOptimum | None:
    """Return the cheapest solution where limits on sites and providers are all that couples units.

    None where there is none.

    Parameters
    ----------
    solved : callable
        Solves an instance that has no such limit.

    Raises
    ------
    Undecided
        Where something else couples them, or it takes too much work.
    """
    limits = [limit for limit in instance.requirements if isinstance(limit, PlaceLimit)]
    is_alone = scope.capped and limits and len(limits) == len(instance.requirements)
    if stats.full or not is_alone or not chooses_by_units(instance):
        raise Undecided
    columns = presolve(instance, scope)
    stats.dominated += columns.dominated
    choice = coupled(instance, columns, ())
    level = "site" if any(limit.level == "site" for limit in limits) else "provider"
    numbers, _ = instance.pairs.facts.numbered(level)
    _, first = np.unique(numbers, return_index=True)
    caps = [
        _Limit(instance.pairs.facts.numbered(limit.level)[0][first], limit.value)
        for limit in limits
    ]
    is_open = np.zeros(len(first), np.bool_)
    is_open[numbers[columns.offer[choice.kept]]] = True
    place = numbers[columns.offer[choice.column]]
    if not len(place):
        raise Undecided
    search = _Branching(_Cells(choice.coupled, place, len(first)), caps, is_open, stats)
    search.run()
    stats.look_at(len(columns), len(columns.units))
    if not search.leaves:
        if search.least < np.inf:
            raise Undecided
        return None
    best: ScopeOptimum | None = None
    live, admissible = choice.kept.copy(), _admissible(instance, columns)
    for leaf in search.leaves[:_LEAVES]:
        cheapest = solved(_within(instance, admissible & leaf.places[numbers], limits))
        if cheapest is None or not instance.holds(scope, cheapest.chosen):
            continue
        if best is None or cheapest.usd_month < best.usd_month:
            best, live = cheapest, choice.kept.copy()
        if cheapest.usd_month == best.usd_month:
            live[choice.column] |= _as_cheap(choice.coupled, leaf.places[place])
    if best is None:
        raise Undecided
    hours = instance.demand.policy.hours_per_month
    is_proven = search.least >= search.usd_hr * (1 - _EQUAL)
    bound = None if is_proven else (search.least + choice.coupled.spent_usd_hr) * hours
    return replace(best, bound_month=bound, columns=columns.take(live))


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
    at = np.flatnonzero(there)
    here = replace(
        each,
        unit=each.unit[at],
        domain=each.domain[at],
        member=each.member[at],
        usd_hr=each.usd_hr[at],
        taken=(),
        limits=np.zeros((0, 0)),
        right=np.zeros(0),
    )
    dual = Lagrangian(here)
    none = np.zeros(0)
    result = np.zeros(len(there), np.bool_)
    result[at] = dual.reduced(none) <= dual.bound(none) * (CLOSE - 1)
    return result
