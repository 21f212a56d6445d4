"""A primal heuristic: whole numbers near relaxed counts that keep the limits on sums.

The fractions are rounded so that what is taken stays near what they take. Then one limit after the
other is filled: of all ways to make up to four moves that touch no other limit, the cheapest that
keeps it. At the prices of the dual many moves cost nothing but the room that they leave, so that
few are needed; what four moves do is found by sorting what two do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from planner.solve.dual import Coupled

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

_LIVE, _POOL = 6000, 24_000
"""Columns of least reduced cost that replicas move to; every third time they are drawn of more."""
_PAIRED = 300
"""Moves of which pairs are formed, on either side: a pair is one of so many squared."""
_STEPS, _ROUNDS, _WIDE = 200, 40, 2
_COSTLY, _UNDONE = 12, 4
"""Of so many costliest replicas, how many are moved back for a fresh start."""
_SEED = 20
_NEAR = 1e-3
"""Part of a replica from which a fraction is one to round up."""
_DUST = 1e-12
_EXCESS = 10.0
"""What it costs to exceed a limit, in the dearest way to keep it."""


class _Moves(NamedTuple):
    """Replicas that may move: from column, to column, cost, and what limits notice, (m, L)."""

    start: _Ints
    to: _Ints
    usd: _Floats
    effect: _Floats


class _MovePairs(NamedTuple):
    """None, one or two moves: which (-1 for none), cost, and effect on one limit."""

    first: _Ints
    second: _Ints
    usd: _Floats
    effect: _Floats


def round_dual(
    coupled: Coupled, values: _Floats, reduced: _Floats, prices: _Floats, good_enough: float
) -> _Ints | None:
    """Return whole counts near relaxed ones that keep the limits; None where none are found.

    Parameters
    ----------
    values, reduced : ndarray of float, shape (n,)
        Relaxed counts, and reduced costs in USD per hour.
    prices : ndarray of float, shape (L,)
        Of the limits.
    good_enough : float
        USD per hour at which the search ends.
    """
    counts = _rounded(coupled, values, prices)
    if counts is None:
        return None
    return _Fill(coupled, reduced, prices).run(counts, good_enough)


def _rounded(coupled: Coupled, values: _Floats, prices: _Floats) -> _Ints | None:
    """Return whole counts that take of each limit about what the values do.

    Units come by size, so that what is left over at last is small; each replica goes where the sum
    of what was rounded so far stays nearest to that of the fractions. None where one has no room.
    """
    counts: _Ints = np.floor(values + _DUST**0.5).astype(np.int64)
    rest = values - counts
    placed = np.bincount(coupled.unit, counts, len(coupled.count))
    missing = (coupled.count - placed).astype(np.int64)
    split = missing[coupled.unit] > 0
    weight = prices[:, None] * coupled.limits
    takes = np.zeros((len(values), len(prices)))
    for row, amount in coupled.taken:
        takes[split] += (weight[:, row[split]] * amount[split]).T
    size = np.abs(takes).max(axis=1)
    largest = np.zeros(len(coupled.count))
    np.maximum.at(largest, coupled.unit, size)
    starts = np.searchsorted(coupled.unit, np.arange(len(coupled.count) + 1))
    ahead = np.zeros(len(prices))  # what was rounded, beyond the fractions
    for k in np.argsort(-largest, kind="stable").tolist():
        if not missing[k]:
            continue
        mine = np.arange(starts[k], starts[k + 1])
        ahead -= rest[mine] @ takes[mine]
        most = min(coupled.most[k], coupled.count[k])
        for _ in range(int(missing[k])):
            inside = np.zeros(len(mine), np.int64)
            if most < coupled.count[k]:
                same = coupled.domain[mine][:, None] == coupled.domain[mine]
                inside = same @ counts[mine]
            open_ = mine[(inside < most) & (rest[mine] > min(_NEAR, rest[mine].max()))]
            open_ = open_ if len(open_) else mine[inside < most]
            if not len(open_):
                return None
            off = np.square(ahead + takes[open_]).sum(axis=1)
            to = open_[int(np.argmin(off))]
            counts[to] += 1
            ahead = ahead + takes[to]
    return counts


class _Fill:
    """A local search over up to four moves at a time, one limit after the other."""

    def __init__(self, coupled: Coupled, reduced: _Floats, prices: _Floats) -> None:
        self._coupled, self._reduced, self._prices = coupled, reduced, prices
        self._starts = np.searchsorted(coupled.unit, np.arange(len(coupled.count) + 1))
        self._near = np.argsort(reduced, kind="stable")
        self._most = np.minimum(coupled.most, coupled.count)[coupled.unit]
        domain = np.where(self._most < coupled.count[coupled.unit], coupled.domain, -1)
        self._cell = coupled.unit * (int(domain.max(initial=0)) + 2) + domain + 1
        dearest = np.zeros(len(prices))
        for row, amount in coupled.taken:
            each = np.divide(
                coupled.usd_hr, amount, out=np.zeros(len(amount)), where=amount > 0
            ).max(initial=0)
            dearest[np.unique(row)] = each  # limits and measures are numbered alike
        self._penalty = _EXCESS * dearest

    def run(self, counts: _Ints, good_enough: float) -> _Ints | None:
        """Return the best counts found that keep the limits, or None.

        Where no limit can be filled better, some of the costliest replicas go back to where they
        would be cheapest, and the limits are filled again.
        """
        random = np.random.default_rng(_SEED)
        best, least = None, np.inf
        pool = _POOL
        for attempt in range(_ROUNDS):
            near = self._near[: pool if attempt % 3 == _WIDE else _LIVE]
            if len(near) > _LIVE:
                near = near[np.unique((random.random(_LIVE) ** 2 * len(near)).astype(np.int64))]
            self._live = np.sort(near)
            counts, usd, is_kept = self._descended(counts)
            if is_kept and usd < least:
                best, least = counts, usd
            if least <= good_enough:
                break
            if best is None:  # it takes more than the columns of least reduced cost
                pool = len(self._near)
            counts = self._undone(counts if best is None else best, random)
        return best

    def _descended(self, counts: _Ints) -> tuple[_Ints, float, bool]:
        """Return counts after every limit is filled, their cost, and whether they keep them all."""
        usd, room = self._state(counts)
        stuck = np.zeros(len(room), np.bool_)
        for _ in range(_STEPS):
            saving = np.where(room < 0, -self._penalty * room, self._prices * room)
            saving[stuck] = 0
            limit = int(np.argmax(saving))
            if saving[limit] <= 0:
                break
            moved = self._filled(counts, room, limit)
            after = self._state(moved)
            if self._merit(*after) < self._merit(usd, room) - _DUST * abs(usd):
                counts, (usd, room) = moved, after
                stuck[:] = False
            else:
                stuck[limit] = True
        return counts, usd, bool((room >= 0).all())

    def _undone(self, counts: _Ints, random: np.random.Generator) -> _Ints:
        """Return counts with some of the costliest replicas where their unit's are cheapest.

        Where all are where they are cheapest, some go to another place that is as cheap.
        """
        coupled, counts = self._coupled, counts.copy()
        used, none = np.flatnonzero(counts), _DUST * float(coupled.usd_hr @ counts)
        costly = used[np.argsort(-self._reduced[used], kind="stable")]
        costly = costly[self._reduced[costly] > none][:_COSTLY]
        for start in random.permutation(costly if len(costly) else used)[:_UNDONE].tolist():
            k = coupled.unit[start]
            mine = np.arange(self._starts[k], self._starts[k + 1])
            cell = self._cell[mine]
            inside = (cell[:, None] == cell) @ counts[mine]
            mine = mine[(inside < self._most[mine]) | (cell == self._cell[start])]
            to = mine[int(np.argmin(self._reduced[mine]))]
            if not len(costly):
                to = random.choice(mine[self._reduced[mine] <= none])
            counts[start] -= 1
            counts[to] += 1
        return counts

    def _state(self, counts: _Ints) -> tuple[float, _Floats]:
        """Return the cost of counts, and the room that they leave at each limit."""
        coupled = self._coupled
        used = np.flatnonzero(counts)
        taken = np.zeros(coupled.limits.shape[1])
        for row, amount in coupled.taken:
            taken += np.bincount(row[used], amount[used] * counts[used], len(taken))
        room = coupled.right - coupled.limits @ taken
        room[np.abs(room) <= _DUST * taken.sum()] = 0
        return float(coupled.usd_hr[used] @ counts[used]), room

    def _merit(self, usd: float, room: _Floats) -> float:
        return usd + float(self._penalty @ np.maximum(-room, 0))

    def _filled(self, counts: _Ints, room: _Floats, limit: int) -> _Ints:
        """Return counts after the cheapest moves that keep a limit and touch no other one."""
        moves = self._moves(counts, room, limit)
        unit = self._coupled.unit[moves.start]
        left, right = (
            self._pairs(moves, np.flatnonzero(unit % 2 == side), limit) for side in (0, 1)
        )
        order = np.argsort(right.effect, kind="stable")
        effect, usd = right.effect[order], right.usd[order]
        least = np.minimum.accumulate(usd)
        until = np.searchsorted(effect, room[limit] - left.effect, side="right")
        cost = np.where(until > 0, left.usd + least[until - 1], np.inf)
        best = int(np.argmin(cost))
        if np.isfinite(cost[best]):
            other = int(order[int(np.flatnonzero(usd[: until[best]] == least[until[best] - 1])[0])])
        else:  # too far away for four moves: as near as they lead
            best, other = int(np.argmin(left.effect)), int(order[0])
        counts = counts.copy()
        for pairs, at in ((left, best), (right, other)):
            for move in (pairs.first[at], pairs.second[at]):
                if move >= 0:
                    counts[moves.start[move]] -= 1
                    counts[moves.to[move]] += 1
        return counts

    def _moves(self, counts: _Ints, room: _Floats, limit: int) -> _Moves:
        """Return moves of single replicas that leave the other limits alone, or their room."""
        coupled = self._coupled
        used, live = np.flatnonzero(counts), self._live
        starts = np.searchsorted(coupled.unit[live], np.arange(len(coupled.count) + 1))
        first, sizes = starts[coupled.unit[used]], np.diff(starts)[coupled.unit[used]]
        start = np.repeat(used, sizes)
        inside = np.arange(len(start)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        to = live[np.repeat(first, sizes) + inside]
        full = np.bincount(self._cell, counts)
        fits = (full[self._cell[to]] < self._most[to]) | (self._cell[to] == self._cell[start])
        kept = np.flatnonzero(fits & (start != to))
        start, to = start[kept], to[kept]
        effect = np.zeros((len(start), len(room)))
        for row, amount in coupled.taken:
            effect += (coupled.limits[:, row[to]] * amount[to]).T
            effect -= (coupled.limits[:, row[start]] * amount[start]).T
        others = np.delete(np.arange(len(room)), limit)
        spare = np.maximum(room[others], 0) / 4
        kept = np.flatnonzero((effect[:, others] <= spare).all(axis=1))
        usd = coupled.usd_hr[to[kept]] - coupled.usd_hr[start[kept]]
        return _Moves(start[kept], to[kept], usd, effect[kept])

    def _pairs(self, moves: _Moves, mine: _Ints, limit: int) -> _MovePairs:
        """Return none, one or two of some moves, the cheapest at the limit's price."""
        saving = moves.usd[mine] + self._prices[limit] * moves.effect[mine, limit]
        mine = mine[np.argsort(saving, kind="stable")[:_PAIRED]]
        unit = self._coupled.unit[moves.start[mine]]
        first, second = np.triu_indices(len(mine), 1)
        apart = unit[first] != unit[second]
        none = np.full(1, -1)
        first = np.r_[none, mine, mine[first[apart]]]
        second = np.r_[none, np.full(len(mine), -1), mine[second[apart]]]
        usd, effect = np.r_[moves.usd, 0.0], np.r_[moves.effect[:, limit], 0.0]
        return _MovePairs(first, second, usd[first] + usd[second], effect[first] + effect[second])
