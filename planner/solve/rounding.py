"""A primal heuristic: whole numbers near relaxed counts that keep the limits on sums.

The fractions are rounded so that what is taken stays near what they take. Then some two dozen
replicas at a time may move between two places whose room runs out: of all ways to move some of them
the best is found, by sorting what one half of them does and looking up what the other half needs.
At the prices of the dual many moves cost nothing but the room that they leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from planner.solve.dual import Coupled

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

_ROUNDS, _VAIN, _QUICK, _PATIENCE = 6000, 400, 30, 40
"""Sets of moves that are looked at, all in all and without a better plan, the same where a range
will do, and those after which it starts afresh."""
_LONGER, _HOPEFUL, _SOLVED = 4, 1e-5, 3000
"""Times as long a search goes on that is this near, as a part of the cost, where more columns than
a solver is asked about have no other."""
_MADE, _LOOKED_AT = 24, 64
"""Moves of a set, and ways to make them of which every limit is looked at: all of half as many."""
_PAIRS = 0.75
"""How often all moves of a set touch the same two places; few volumes need more."""
_NOISE = (0.02, 0.2, 1.0)
"""How far moves that cost more than others may come before them: parts of what may be saved."""
_SELDOM = 0.05
"""How often a limit is looked at where nothing is lost, beside those where something is."""
_LEAST, _FREE = 1e-6, 1e-9
"""Parts of the cost that are looked for at least, and of a column's that count as nothing."""
_SEED = 20
_NEAR = 1e-3
"""Part of a replica from which a fraction is one to round up."""
_DUST = 1e-12
_DEARER, _EXCESS = 1.2, 10.0
"""What it costs to exceed a limit, in its price, or in the dearest way to keep it."""


def round_dual(
    coupled: Coupled,
    values: _Floats,
    reduced: _Floats,
    prices: _Floats,
    good_enough: float,
    *,
    quick: bool = False,
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
    quick : bool
        End it soon after nothing gets better.
    """
    counts = _rounded(coupled, values, prices)
    if counts is None:
        return None
    return _Search(coupled, reduced, prices).run(counts, good_enough, _QUICK if quick else _VAIN)


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


class _Moves(NamedTuple):
    """Replicas that may move, at most one of each unit: from column, to column, and at what cost.

    What the limits notice of each move is (m, L).
    """

    start: _Ints
    to: _Ints
    usd: _Floats
    effect: _Floats


class _Sums(NamedTuple):
    """All ways to make some moves: cost, and what the limits notice; way n makes the bits of n."""

    usd: _Floats
    effect: _Floats

    @classmethod
    def of(cls, moves: _Moves, mine: slice) -> _Sums:
        """Return the ways to make some of the moves."""
        usd, effect = np.zeros(1), np.zeros((1, moves.effect.shape[1]))
        for each, noticed in zip(moves.usd[mine], moves.effect[mine], strict=True):
            usd, effect = np.r_[usd, usd + each], np.r_[effect, effect + noticed]
        return cls(usd, effect)


class _Search:
    """A local search: of all ways to make a set of moves, the best, again and again.

    What exceeds a limit that has a price can be moved elsewhere, at about that price and in whole
    steps; so counts are worth what they cost and that.
    """

    def __init__(self, coupled: Coupled, reduced: _Floats, prices: _Floats) -> None:
        self._coupled, self._reduced, self._prices = coupled, reduced, prices
        self._random = np.random.default_rng(_SEED)
        self._most = np.minimum(coupled.most, coupled.count)[coupled.unit]
        domain = np.where(self._most < coupled.count[coupled.unit], coupled.domain, -1)
        self._cell = coupled.unit * (int(domain.max(initial=0)) + 2) + domain + 1
        order = np.lexsort((reduced, coupled.unit))
        self._best = order[np.searchsorted(coupled.unit[order], np.arange(len(coupled.count)))]
        dearest, step = np.zeros(len(prices)), np.zeros(len(prices), np.int64)
        free = reduced <= _FREE * float(coupled.usd_hr.mean())
        self._place: dict[int, _Ints] = {}  # of the columns, for each limit that any takes of
        for row, amount in coupled.taken:
            rows = np.unique(row)  # limits and measures are numbered alike
            dearest[rows] = np.divide(
                coupled.usd_hr, amount, out=np.zeros(len(amount)), where=amount > 0
            ).max(initial=0)
            self._place |= {limit: row for limit in rows.tolist() if limit not in self._place}
            np.gcd.at(step, row[free], np.rint(amount[free]).astype(np.int64))
        self._penalty = np.where(prices > 0, _DEARER * prices, _EXCESS * dearest)
        self._step = np.where(prices > 0, step, 0)

    def run(self, counts: _Ints, good_enough: float, vain: int) -> _Ints | None:
        """Return the best counts found that keep the limits, or None.

        Where nothing gets better for a while, the search goes on from the best counts after one
        limit is filled as cheaply as its columns allow, whatever that does to the others.
        """
        best, least, stale, spare, better = None, np.inf, 0, np.inf, 0
        usd, room = self._state(counts)
        hopeful = good_enough * (1 + _HOPEFUL)
        more = _LONGER * vain if vain == _VAIN and len(self._most) > _SOLVED else vain
        for n in range(_ROUNDS):
            most = more if least <= hopeful else vain
            if least <= good_enough or n - better > (
                most if best is not None else max(vain, 3 * _PATIENCE)
            ):
                break
            left = max(self._merit(usd, room) - good_enough, _LEAST * good_enough)
            if best is None or left < spare / 2:
                spare = left
            is_stuck = stale == _PATIENCE
            afresh, stale = is_stuck and best is not None, 0 if is_stuck else stale + 1
            if is_stuck and best is not None:
                counts, (usd, room) = best, self._state(best)
            elif is_stuck:
                self._penalty = self._penalty * _EXCESS
            moved = self._moved(counts, room, spare, afresh=afresh)
            if moved is None:
                continue
            after = self._state(moved)
            if afresh or self._merit(*after) <= self._merit(usd, room) + _DUST * abs(usd):
                counts, (usd, room) = moved, after
                if usd < least and (room >= 0).all():
                    best, least, stale, better = counts, usd, 0, n
        return best

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

    def _merit(self, usd: Any, room: _Floats) -> Any:  # noqa: ANN401 -- a number, or several
        """Return what counts cost, and what it costs to keep the limits that they exceed."""
        return usd + np.where(room < 0, self._step - room, 0) @ self._penalty

    def _moved(self, counts: _Ints, room: _Floats, spare: float, *, afresh: bool) -> _Ints | None:
        """Return counts after the best way to make some moves at a limit; None without any."""
        limit = self._limit(counts, room, spare)
        if limit is None:
            return None
        limit, moves = self._moves(counts, room, spare, limit, afresh=afresh)
        is_few = len(moves.start) <= _MADE // 2
        half = len(moves.start) // (1 if is_few else 2)
        if not len(moves.start):
            return None
        left, right = _Sums.of(moves, slice(half)), _Sums.of(moves, slice(half, None))
        order = np.argsort(right.effect[:, limit], kind="stable")
        effect, usd = right.effect[order, limit], right.usd[order]
        is_less = usd <= np.minimum.accumulate(usd)
        cheapest = np.maximum.accumulate(np.where(is_less, np.arange(len(order)), 0))
        dust = _DUST * float(np.abs(room).sum())
        until = np.searchsorted(effect, room[limit] + dust - left.effect[:, limit], side="right")
        other = order[cheapest[np.maximum(until, 1) - 1]]
        cost = left.usd + right.usd[other]
        near = np.lexsort((cost, until == 0))[: None if is_few else _LOOKED_AT]
        after = room - left.effect[near] - right.effect[other[near]]
        after[np.abs(after) <= dust] = 0
        if afresh:
            after[:, np.arange(len(room)) != limit] = 0
        best = near[int(np.argmin(self._merit(cost[near], after)))]
        made = int(best) | int(other[best]) << half
        those = [n for n in range(len(moves.start)) if made >> n & 1]
        counts = counts.copy()
        np.subtract.at(counts, moves.start[those], 1)
        np.add.at(counts, moves.to[those], 1)
        return counts

    def _limit(self, counts: _Ints, room: _Floats, spare: float) -> int | None:
        """Return a limit at which something is lost, any by chance; None where nothing is."""
        coupled, used = self._coupled, np.flatnonzero(counts)
        loss = np.where(room < 0, self._penalty * -room, self._prices * room)
        loss += _SELDOM * spare * (self._prices > 0)
        lost = self._reduced[used] * counts[used] / 2
        for row, _ in coupled.taken:
            for column in (used, self._best[coupled.unit[used]]):
                loss += np.bincount(row[column], lost, len(loss))
        loss[[limit for limit in range(len(loss)) if limit not in self._place]] = 0
        if not loss.any():
            return None
        return int(self._random.choice(len(loss), p=loss / loss.sum()))

    def _moves(
        self, counts: _Ints, room: _Floats, spare: float, limit: int, *, afresh: bool
    ) -> tuple[int, _Moves]:
        """Return cheap moves to a limit's place or from it, and the limit that they are to fill.

        Of the places where room has a price most sets touch one more, some any.
        """
        coupled, used, random = self._coupled, np.flatnonzero(counts), self._random
        priced = self._prices > 0
        live = np.flatnonzero(self._reduced <= spare)
        starts = np.searchsorted(coupled.unit[live], np.arange(len(coupled.count) + 1))
        first, sizes = starts[coupled.unit[used]], np.diff(starts)[coupled.unit[used]]
        start = np.repeat(used, sizes)
        to = live[np.arange(len(start)) - np.repeat(np.cumsum(sizes) - sizes - first, sizes)]
        full, place = np.bincount(self._cell, counts), self._place[limit]
        fits = (full[self._cell[to]] < self._most[to]) | (self._cell[to] == self._cell[start])
        fits &= ((place[start] == limit) | (place[to] == limit)) & (start != to)
        start, to = start[fits], to[fits]
        other = np.where(place[start] == limit, place[to], place[start])
        other[~priced[other] | (other == limit)] = -1
        if not afresh and len(other) and random.random() < _PAIRS:
            many = np.sqrt(np.bincount(other + 1))
            second = int(random.choice(len(many), p=many / many.sum())) - 1
            start, to = start[other == second], to[other == second]
            if second >= 0 and self._prices[second] > self._prices[limit]:
                limit = second
        key = self._reduced[to] - self._reduced[start]
        key += random.exponential(spare * float(random.choice(_NOISE)), len(key))
        order = np.argsort(key)
        _, firsts = np.unique(coupled.unit[start[order]], return_index=True)
        picked = random.permutation(order[np.sort(firsts)][:_MADE])
        start, to = start[picked], to[picked]
        effect = np.zeros((len(start), len(room)))
        for row, amount in coupled.taken:
            effect += (coupled.limits[:, row[to]] * amount[to]).T
            effect -= (coupled.limits[:, row[start]] * amount[start]).T
        return limit, _Moves(start, to, coupled.usd_hr[to] - coupled.usd_hr[start], effect)
