"""The cheapest plan in few places: branch and bound over sites or providers, without a solver.

With a price v on each replica, a place saves, where it is open, what its columns cost less than v:

    L(v) = Σ v - the most that as many places as may be open save

is what no plan costs less than (Cornuéjols, Fisher and Nemhauser 1977, of the p-median problem). A
subgradient raises it. Where it does not decide, a volume that no open place can hold, of all these
the one with the fewest places, is in one of those; else the place that saves most is open or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from planner.solve.bound import CLOSE
from planner.solve.few_places import FewPlaces
from planner.solve.stats import ScopeOptimum, Undecided

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from planner.solve.dual import Coupled
    from planner.solve.stats import SolveStats

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]
    _Flags = NDArray[np.bool_]

_AT_ROOT, _STEPS = 300, 25
"""Steps of the subgradient before the first branch, and at every other node."""
_PATIENCE, _SHORTEST, _RISE = 5, 0.02, 1e-6
"""Steps without a rise after which they are halved, and how short they get; what is a rise."""
_AHEAD = 1.05
"""How far ahead of the bound the cost is taken to be while no plan is known."""
EQUAL = 1e-12
"""Part of the cost that floats do not tell."""
_WORK, _CHECKED = 3e10, 1e8
"""Numbers to look at before the search ends: a minute or two of a processor, and a third of a
second where a plan is only checked."""
_PART = 30
"""Times less is looked at where a range will do."""
_PLANS = 300
"""Sets of places whose plan is worked out where limits on sums couple them, before it ends."""
_NODES = 100
"""Nodes of a best-first search for a plan, before a search that ends each branch it begins."""
LEAVES = 20
"""Equally cheap sets of places that are compared."""


class PlaceCap(NamedTuple):
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
class PlaceSet:
    """Places among which some allowed ones are enough for the least of all of them.

    Attributes
    ----------
    usd_hr, least : float
        Cost of the best that is known there, infinite where there is none, and of no plan less.
    best : ScopeOptimum | None
        The plan, where it is known already.
    prices : ndarray of float, shape (L,) | None
        Prices of limits on sums that prove most there.
    """

    usd_hr: float
    least: float
    places: _Flags
    best: ScopeOptimum | None = None
    prices: _Floats | None = None


class PlaceCosts:
    """What units cost in each place.

    Attributes
    ----------
    usd_hr : ndarray of float, shape (U, P, R)
        Of a unit in a place, cheapest first: where it has several parts that must be apart, these
        may be in the same place. Infinite where it cannot be.
    wanted : ndarray of int64, shape (U,)
        Parts of each unit.
    spent_usd_hr : float
        What is spent at any rate, less what prices of limits on sums pay back.
    """

    def __init__(self, each: Coupled, prices: _Floats, place: _Ints, places: int) -> None:
        usd_hr = each.priced(prices)
        self.spent_usd_hr = each.spent_usd_hr - float(prices @ each.right)
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
        least = np.add.reduceat(np.minimum.reduceat(usd_hr[order], parts), cells)
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

    def few(self, cap: PlaceCap, is_open: _Flags) -> FewPlaces:
        """Return the search for the best few groups of places, each unit as dear as its least."""
        shape = len(self.wanted), int(cap.group.max()) + 1
        usd_hr, there = np.full(shape, np.inf), np.zeros(shape, np.int64)
        np.minimum.at(usd_hr.T, cap.group, self.usd_hr[:, :, 0].T)
        np.add.at(there.T, cap.group, np.isfinite(self.usd_hr).sum(axis=2).T)
        is_apart = there.max(axis=1) <= 1
        usd_hr *= np.where(is_apart, 1, self.wanted)[:, np.newaxis]
        groups = np.flatnonzero(cap.opened(is_open)).tolist()
        return FewPlaces(usd_hr, np.where(is_apart, self.wanted, 1), groups)

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
            least = float(here[np.arange(len(best)), best].sum())
            return self.spent_usd_hr + least, used
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
        return self.spent_usd_hr + float(self._usd_hr[chosen].sum()), used


class PlaceSearch:
    """The search for the cheapest places that limits allow.

    Attributes
    ----------
    least : float
        What no plan costs less than, once it has ended.
    leaves : list of PlaceSet
        The best, with all that cost the same.
    work : float
        Numbers that were looked at.
    """

    def __init__(
        self,
        cells: PlaceCosts,
        limits: Sequence[PlaceCap],
        is_open: _Flags,
        stats: SolveStats,
        solved: Callable[[_Flags, float], PlaceSet] | None = None,
    ) -> None:
        self._cells, self._limits, self._stats, self._solved = cells, limits, stats, solved
        self._there = np.isfinite(cells.usd_hr).sum(axis=2)
        self._root = _Branch(is_open, ~is_open, np.zeros(0), -np.inf)
        self.leaves: list[PlaceSet] = []
        self.least, self.work, self._left_open = np.inf, 0.0, np.inf

    @property
    def usd_hr(self) -> float:
        """Return the cost of the best, infinite while there is none."""
        return min((leaf.usd_hr for leaf in self.leaves), default=np.inf)

    def begin(self, before: PlaceSearch | None) -> None:
        """Take a plan, or find one, and prove a bound: infinite where there is no plan."""
        root = self._start()
        few = [self._cells.few(cap, self._root.is_open) for cap in self._limits]
        caps = zip(few, self._limits, strict=True)
        if root is None or any(each.fewest > cap.most for each, cap in caps):
            self._root = self._root._replace(bound=np.inf)
            return
        if before is not None:
            self.leaves, self.work = before.leaves[:1], before.work
        elif len(few) == 1:
            self._try_few(few[0], 0)
        if not self.leaves:
            self._descend([root], until_first=True)
        self._root = self._raised(root, _AT_ROOT)

    @property
    def bound(self) -> float:
        """Return what is proven before the first branch."""
        return self._root.bound

    def finish(self) -> None:
        """Search until all is proven, or work or time end."""
        self.leaves = self.leaves[:1]
        if self.bound == np.inf:
            return
        if len(self._limits) == 1 and not self._is_dear(self.bound):
            self._try_few(self._cells.few(self._limits[0], self._root.is_open), _NODES)
        self._descend([self._root])

    def _try_few(self, few: FewPlaces, nodes: int) -> None:
        """Keep the plan at the best places that so many nodes find."""
        (cap,) = self._limits
        places = np.isin(cap.group, few.best(cap.most, nodes).places)
        least, _ = self._cells.least(places)
        if least < np.inf and not self._is_dear(least):
            self._reached(least, places)

    def _start(self) -> _Branch | None:
        """Return where to begin; None where some unit has too few places."""
        ordered = np.sort(self._cells.usd_hr.reshape(len(self._cells.wanted), -1), axis=1)
        rows, wanted = np.arange(len(ordered)), self._cells.wanted
        last = ordered[rows, np.minimum(wanted, ordered.shape[1]) - 1]
        after = ordered[rows, np.minimum(wanted, ordered.shape[1] - 1)]
        if not np.isfinite(last).all():
            return None
        prices = np.where(np.isfinite(after), after, last + np.abs(last))
        return self._root._replace(prices=prices)

    def _descend(self, open_: list[_Branch], *, until_first: bool = False) -> None:
        """Explore nodes and what comes of them, or only until there is a plan."""
        will_do = self._stats.near or self._stats.nodes is not None
        most = _CHECKED if self._stats.forbidden else _WORK / _PART if will_do else _WORK
        while open_ and self.work < most and not self._stats.is_over:
            if until_first and self.leaves:
                return
            open_ += self._explored(open_.pop())
        self.least = min([self.usd_hr, self._left_open, *(node.bound for node in open_)])

    def _is_dear(self, bound: float) -> bool:
        """Return whether nothing that costs so much is wanted."""
        if len(self.leaves) < LEAVES:
            return bound > self.usd_hr * CLOSE
        return bound >= self.usd_hr * (1 - EQUAL)

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
        at = used | is_open if self._solved is None else is_open | free
        if any(limit.opened(at).sum() > limit.most for limit in self._limits):
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
        least = np.minimum(base[:, None], each[:, at]).sum(axis=0) + self._cells.spent_usd_hr
        for n in np.argsort(least, kind="stable").tolist():
            if np.isinf(least[n]) or self._is_dear(float(least[n])):
                break
            places = is_open.copy()
            places[at[n]] = True
            self._reached(float(least[n]), places)

    def _reached(self, least: float, places: _Flags) -> None:
        """Keep a plan's places, and only those that cost no more."""
        leaf = PlaceSet(least, least, places)
        if self._solved is not None:
            self.work += _WORK / _PLANS
            leaf = self._solved(places, self.usd_hr)
            self._left_open = min(self._left_open, max(least, leaf.least))
        is_known = any(np.array_equal(each.places, places) for each in self.leaves)
        if leaf.usd_hr < np.inf and not is_known:
            self.leaves.append(leaf)
            most = self.usd_hr * CLOSE
            self.leaves = [each for each in self.leaves if each.usd_hr <= most]

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
            self.work += each.size
            less = prices[:, None, None] - each
            saving[at] = np.maximum(less, 0).sum(axis=(0, 2))
            saved = [limit.saved(saving, is_open, node.free) for limit in self._limits]
            first = min(range(len(saved)), key=lambda n: saved[n][0])
            limit, (most, beyond) = self._limits[first], saved[first]
            here = self._cells.spent_usd_hr + float(wanted @ prices) - most
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
            prices = np.minimum(prices + step * slope, top)
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
