"""At few places: what units cost at least, and at which places little, where only so many may open.

Where nothing else couples units, a most number of sites (or providers) leaves the p-median problem:
so many places that the units, each at the cheapest of them, cost least. With a price on placing
each unit, a place saves what units cost less there, and the places that save most prove a bound;
subgradient steps raise it. Places near those, and exchanges of one for another, are
a solution, often the best. Branch and bound over places closes what is left, as far as its work
goes: it counts nodes, and looks at no clock.
"""

from __future__ import annotations

from functools import cached_property
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]
    _Flags = NDArray[np.bool_]

_PROOF = 1e-7
"""Relative distance to the bound at which places count as the best."""
_FIRST, _STEPS, _STALE, _KEPT = 250, 25, 12, 0.7
"""Steps that raise the bound at first, and at each node; those in vain before they shorten; and
what a step keeps of the one before."""
_SHORTEST, _ROUNDING, _HOPE = 1e-3, 1e-12, 0.1
"""The shortest step; what floats do not tell; and how far above the bound costs may be at most."""
_COVERS = 20_000
"""Nodes of the search for the fewest places."""
_FAR = 10.0
"""What a unit without a place costs, in the dearest place of any."""


class Few(NamedTuple):
    """What units cost at a most number of places: at least, and at some places of these."""

    least: float
    most: float
    places: tuple[int, ...]


class _Node(NamedTuple):
    """Places that are open, and those that may be still; the prices of units that prove most."""

    open: tuple[int, ...]
    free: _Flags
    price: _Floats
    saving: _Floats


class FewPlaces:
    """The best of few places.

    Parameters
    ----------
    cost : ndarray of float, shape (U, P)
        Of a unit in each place, of one of its copies where they are apart; infinite where it
        cannot be.
    apart : ndarray of int64, shape (U,)
        How many places a unit needs.
    fixed : sequence of int
        Places that are open in any case.
    """

    def __init__(self, cost: _Floats, apart: NDArray[np.int64], fixed: Sequence[int] = ()) -> None:
        self._fits = np.isfinite(cost)
        self._dearest = float(cost[self._fits].max(initial=0.0)) or 1.0
        self._far = _FAR * self._dearest * (1 + float(apart.sum()))
        self._cost = np.where(self._fits, cost, self._far)
        self._apart, self._fixed = apart, tuple(dict.fromkeys(fixed))
        self._ranks = np.arange(int(apart.max(initial=1)))
        self._rows = list[int]()  # of units that may be at more places than others, only the others
        for mask in sorted({*map(_mask, self._fits)}, key=int.bit_count):
            if not any(row & mask == row for row in self._rows):
                self._rows.append(mask)
        self._price: _Floats | None = None

    # How few there may be.

    @cached_property
    def fewest(self) -> int:
        """Return a number of places below which some unit has none, or too few."""
        open_ = sum(1 << place for place in self._fixed)
        rows = [row for row in self._rows if not row & open_]
        few, nodes = _apart_rows(rows), [_COVERS]
        while not _covers(rows, few, nodes):
            few += 1
        return max(few + len(self._fixed), int(self._apart.max(initial=0)))

    # The best of so many.

    def best(self, count: int, nodes: int) -> Few:
        """Return what units cost at so many places at most, with so many nodes of a search.

        Infinite where not every unit has its places there; ``places`` are the best known.
        """
        count = min(count, self._cost.shape[1])
        if count < len(self._fixed):
            return Few(np.inf, np.inf, ())
        free = np.ones(self._cost.shape[1], np.bool_)
        free[list(self._fixed)] = False
        places, most = self._exchanged(self._fixed, count)
        start = np.sort(self._cost, axis=1)[:, :2].mean(axis=1)
        start = np.minimum(start, self._dearest) if self._price is None else self._price
        least, root = self._raised(_Node(self._fixed, free, start, start[:0]), count, most, _FIRST)
        self._price = root.price
        more = self._exchanged(self._near(root, count), count)
        places, most = min((places, most), more, key=lambda each: each[1])
        heap, number = [(least, 0, root)], 0
        while heap and heap[0][0] < most * (1 - _PROOF) and number < nodes:
            least, _, node = heappop(heap)
            for child in self._children(node, count):
                number += 1
                proven, raised = self._raised(child, count, most, _STEPS)
                more = self._exchanged(self._near(raised, count), count)
                places, most = min((places, most), more, key=lambda each: each[1])
                if proven < most * (1 - _PROOF):
                    heappush(heap, (max(proven, least), number, raised))
        least = min(most, heap[0][0]) if heap else most
        if most < self._far:
            return Few(least, most, places)
        return Few(least if least < self._far else np.inf, np.inf, ())

    def _levels(self, places: Sequence[int]) -> tuple[float, _Floats]:
        """Return what units cost at places but for the dearest copy of each, and that, (U,)."""
        here = self._cost[:, list(places)]
        missing = np.full((len(here), max(0, len(self._ranks) - here.shape[1])), self._far)
        here = np.sort(np.hstack([here, missing]), axis=1)[:, : len(self._ranks)]
        others = float(here[self._ranks < self._apart[:, np.newaxis] - 1].sum())
        return others, here[np.arange(len(here)), self._apart - 1]

    def _exchanged(self, places: Sequence[int], count: int) -> tuple[tuple[int, ...], float]:
        """Return places with more that help, and with each exchanged as long as that helps."""
        chosen = list(places)[:count]
        while len(chosen) < count:
            others, level = self._levels(chosen)
            gain = np.minimum(level[:, np.newaxis], self._cost).sum(axis=0)
            gain[chosen] = np.inf
            chosen.append(int(gain.argmin()))
        is_better = True
        while is_better:
            is_better = False
            for place in [place for place in chosen if place not in self._fixed]:
                rest = [each for each in chosen if each != place]
                others, level = self._levels(rest)
                costs = others + np.minimum(level[:, np.newaxis], self._cost).sum(axis=0)
                costs[rest] = np.inf
                to = int(costs.argmin())
                if costs[to] < costs[place] * (1 - _ROUNDING):
                    chosen, is_better = [*rest, to], True
        others, level = self._levels(chosen)
        return tuple(sorted(chosen)), others + float(level.sum())

    def _near(self, node: _Node, count: int) -> list[int]:
        """Return the places of a node that are open, and those that save most."""
        saving = np.where(node.free, node.saving, -np.inf)
        more = np.argsort(-saving, kind="stable")[: min(count - len(node.open), node.free.sum())]
        return [*node.open, *more.tolist()]

    def _raised(self, node: _Node, count: int, most: float, steps: int) -> tuple[float, _Node]:
        """Return what is proven of a node after steps that raise it, and the node then."""
        idle = np.flatnonzero(node.free)
        cost, held = self._cost[:, idle], self._cost[:, list(node.open)]
        more = min(count - len(node.open), len(idle))
        price, best, length, stale = node.price, -np.inf, 1.0, 0
        result, step = node, np.zeros(len(price))
        for _ in range(steps):
            saved = np.maximum(price[:, np.newaxis] - cost, 0).sum(axis=0)
            top = np.argpartition(-saved, more - 1)[:more] if more else idle[:0]
            paid = np.maximum(price[:, np.newaxis] - held, 0).sum()
            value = float(self._apart @ price - paid - saved[top].sum())
            stale += 1
            if value > best:
                saving = np.zeros(len(node.free))
                saving[idle] = saved
                best, stale, result = value, 0, node._replace(price=price, saving=saving)
                if best >= most * (1 - _PROOF):
                    break
            elif stale >= _STALE:
                length, stale, price = length / 2, 0, result.price
                step = np.zeros(len(price))
                if length < _SHORTEST:
                    break
                continue
            below = (cost[:, top] < price[:, np.newaxis]).sum(axis=1)
            slope = self._apart - below - (held < price[:, np.newaxis]).sum(axis=1)
            step = slope + _KEPT * step
            steep = float(step @ step)
            if not slope.any() or not steep:
                break
            aim = min(most, best + _HOPE * abs(best))
            price = price + length * (aim - value) / steep * step
        return best, result

    def _children(self, node: _Node, count: int) -> Iterator[_Node]:
        """Yield what a node divides into: the places of a unit without one, or one open or not."""
        open_, here = node.open, node.free.copy()
        here[list(open_)] = True
        bare = ~self._fits[:, list(open_)].any(axis=1)
        options = self._fits & here
        if bare.any():
            rows = np.flatnonzero(bare)
            row = rows[int(options[rows].sum(axis=1).argmin())]
            tried = np.flatnonzero(options[row])
            tried = tried[np.argsort(-node.saving[tried], kind="stable")]
        else:
            tried = np.flatnonzero(node.free)
            tried = tried[[int(node.saving[tried].argmax())]] if len(tried) else tried
        free = node.free.copy()
        for place in tried.tolist() if len(open_) < count else ():
            free[place] = False
            child = node._replace(open=(*open_, place), free=free.copy())
            if self._may_do(child, count):
                yield child
        if not bare.any() and len(tried) and len(open_) < count:
            child = node._replace(free=free)
            if self._may_do(child, count):
                yield child

    def _may_do(self, node: _Node, count: int) -> bool:
        """Return whether the places that may open could hold every unit, as far as is easy."""
        open_, free = sum(1 << place for place in node.open), _mask(node.free)
        rows = [row & free for row in self._rows if not row & open_]
        return all(rows) and _apart_rows(rows) <= count - len(node.open)


def _mask(flags: _Flags) -> int:
    """Return flags as the bits of a number."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def _apart_rows(rows: Sequence[int]) -> int:
    """Return how many of some sets, one after the other, have nothing in common."""
    taken, count = 0, 0
    for row in rows:
        if not row & taken:
            taken, count = taken | row, count + 1
    return count


def _covers(rows: Sequence[int], few: int, nodes: list[int]) -> bool:
    """Return whether so few places may meet all sets; also where the work for it runs out."""
    if not rows or nodes[0] <= 0:
        return True
    if _apart_rows(rows) > few:
        return False
    nodes[0] -= 1
    first = rows[0]
    places = [1 << p for p in range(first.bit_length()) if first >> p & 1]
    places.sort(key=lambda place: -sum(1 for row in rows if row & place))
    return any(_covers([r for r in rows if not r & place], few - 1, nodes) for place in places)
