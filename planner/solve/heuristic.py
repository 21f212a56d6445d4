"""A primal heuristic for a provider's share: whole numbers near a relaxed solution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from planner.requirements.policy import ProviderShare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

_MOVES = 1000
"""Moves that are held against each other at a time: pairs are this many squared."""
_ROUNDS = 80
_PATIENCE = 6
"""Samples without a better pair, after which a few random moves give a fresh start."""
_KICK = 3
_SEED = 20
_POOL = 8
"""Cheapest alternatives of a volume that are moved to."""


def round_relaxation(
    instance: Instance,
    columns: Columns,
    values: _Floats,
    reduced: _Floats,
    good_enough: float,
) -> _Ints | None:
    """Return whole counts near a relaxed solution that keep the share; None where none is found.

    Parameters
    ----------
    values, reduced : ndarray of float, shape (n,)
        Relaxed counts, and reduced costs in USD per hour.
    good_enough : float
        USD per hour of reduced cost and unused room at which the search ends.
    """
    shares = [limit.value for limit in instance.requirements if isinstance(limit, ProviderShare)]
    if not shares:
        return None
    counts = _rounded(columns, values)
    if counts is None:
        return None
    search = _Search(instance, columns, reduced, float(shares[0]))
    return search.run(counts, good_enough)


def _rounded(columns: Columns, values: _Floats) -> _Ints | None:
    """Return each unit's replicas at their largest parts; None where several would be split."""
    counts = np.floor(values + 1e-6).astype(np.int64)
    placed = np.bincount(columns.unit, weights=counts, minlength=len(columns.units))
    rest = values - counts
    for k in np.flatnonzero(placed < [unit.count for unit in columns.units]).tolist():
        unit = columns.units[k]
        mine = np.flatnonzero(columns.unit == k)
        if unit.count > 1 and unit.spread is not None:
            return None
        for i in mine[np.argsort(-rest[mine], kind="stable")][: unit.count - int(placed[k])]:
            counts[i] += 1
    return counts


class _Search:
    """A local search over single moves and pairs of them, cheapest first, no randomness."""

    def __init__(
        self, instance: Instance, columns: Columns, reduced: _Floats, share: float
    ) -> None:
        self._columns, self._reduced, self._share = columns, reduced, share
        offers = instance.pairs.offers
        names = offers["provider"].tolist()
        numbers = {name: n for n, name in enumerate(dict.fromkeys(names))}
        self._provider = np.array([numbers[name] for name in names], np.int64)[columns.offer]
        self._providers = len(numbers)
        volume = columns.volume
        self._gb = instance.pairs.provision_gb[volume, columns.offer].astype(float)
        price = np.array([float(usd or 0) for usd in offers["usd_gb_hr"]])
        self._usd_hr = self._gb * price[columns.offer]
        # A GB too much must cost more than any move that mends it can.
        self._penalty = 10 * float(price.max())
        single = np.array([unit.count == 1 for unit in columns.units])
        order = np.lexsort((reduced, columns.unit))
        starts = np.flatnonzero(np.r_[True, np.diff(columns.unit[order]) != 0])
        sizes = np.diff(np.r_[starts, len(order)])
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order)) - np.repeat(starts, sizes)
        movable = np.flatnonzero(single[columns.unit] & (rank < _POOL))
        self._is_movable = np.zeros(len(columns), np.bool_)
        self._is_movable[movable] = True
        self._cheapest = order[starts]
        self._movable = movable[np.argsort(reduced[movable], kind="stable")]

    def run(self, counts: _Ints, good_enough: float) -> _Ints | None:
        """Return the best counts found that keep the share, or None."""
        random = np.random.default_rng(_SEED)
        self._start(counts)
        best, best_usd_hr, idle = None, np.inf, 0
        for _ in range(_ROUNDS):
            idle = 0 if self._improve(random) else idle + 1
            if self._usd < best_usd_hr and self._excess() <= 0:
                best, best_usd_hr = self._counts.copy(), self._usd
            if best_usd_hr <= good_enough:
                break
            if idle > _PATIENCE:
                idle = 0
                moves = self._sample(random)
                if not len(moves):
                    break
                for to in random.choice(moves, _KICK):
                    self._move(int(to))
        return best

    def _improve(self, random: np.random.Generator) -> bool:
        """Make the best pair of moves, half of the time after taking back a costly one."""
        before, undone = self._merit(), None
        costly = np.flatnonzero((self._counts > 0) & (self._reduced > 0) & self._is_movable)
        if len(costly) and random.random() < 0.5:  # noqa: PLR2004 -- half of the time
            undone = int(random.choice(costly))
            self._move(int(self._cheapest[self._columns.unit[undone]]))
        moves = self._best(self._sample(random), before)
        for to in moves or ():
            self._move(to)
        if moves is None and undone is not None and self._merit() >= before:
            self._move(undone)
            return False
        return moves is not None or undone is not None

    def _merit(self) -> float:
        """Return the cost, and far more for every GB too much."""
        over = self._load - self._share * self._load.sum()
        return self._usd + self._penalty * float(np.maximum(over, 0).sum())

    def _start(self, counts: _Ints) -> None:
        self._counts = counts.copy()
        self._at = np.full(len(self._columns.units), -1, np.int64)
        used = np.flatnonzero(counts)
        self._at[self._columns.unit[used]] = used
        self._load = np.bincount(
            self._provider, weights=self._gb * counts, minlength=self._providers
        )
        self._usd = float(self._usd_hr @ counts)

    def _move(self, to: int) -> None:
        """Move the only replica of a column's unit to that column."""
        k = self._columns.unit[to]
        start = self._at[k]
        self._counts[start] -= 1
        self._counts[to] += 1
        self._load[self._provider[start]] -= self._gb[start]
        self._load[self._provider[to]] += self._gb[to]
        self._usd += self._usd_hr[to] - self._usd_hr[start]
        self._at[k] = to

    def _excess(self) -> float:
        return float(np.maximum(self._load - self._share * self._load.sum(), 0).max())

    def _sample(self, random: np.random.Generator) -> _Ints:
        """Return columns to move to, where their replica is not already; rather the cheap ones."""
        away = self._movable[self._at[self._columns.unit[self._movable]] != self._movable]
        if len(away) <= _MOVES:
            return np.asarray(away)
        near = (random.random(_MOVES) ** 2 * len(away)).astype(np.int64)
        return np.asarray(away[np.unique(near)])

    def _best(self, moves: _Ints, before: float) -> list[int] | None:
        """Return the move or pair of moves of most merit, None where that is not below before."""
        start = self._at[self._columns.unit[moves]]
        change = np.zeros((len(moves) + 1, self._providers))  # the last one moves nothing
        rows = np.arange(len(moves))
        np.add.at(change, (rows, self._provider[moves]), self._gb[moves])
        np.add.at(change, (rows, self._provider[start]), -self._gb[start])
        usd_hr = np.r_[self._usd_hr[moves] - self._usd_hr[start], 0.0]
        over = self._load - self._share * self._load.sum()
        tilt = change - self._share * change.sum(axis=1, keepdims=True)
        merit = self._usd + usd_hr[:, None] + usd_hr[None, :]
        reach = 2 * tilt.max(axis=0, initial=0)
        for p in np.flatnonzero(over + reach > 0).tolist():
            merit += self._penalty * np.maximum(over[p] + tilt[:, None, p] + tilt[None, :, p], 0)
        unit = np.r_[self._columns.unit[moves], -1]
        merit[unit[:, None] == unit[None, :]] = np.inf
        best = int(np.argmin(merit))
        if merit.flat[best] >= before - 1e-12 * abs(before):
            return None
        pair = divmod(best, len(moves) + 1)
        return [int(moves[i]) for i in pair if i < len(moves)]
