"""The Lagrangian dual of what couples units: a bound, and what each column costs beyond it.

With a price λ ≥ 0 on each limit (a share, a budget, a cap), every unit chooses for itself, and

    L(λ) = Σ_k least of (usd + what it takes, at these prices) - λ b

is what no solution costs less than. L is concave with edges. Smoothed with an entropy of weight τ,
and kept from λ = 0 by a barrier, it has derivatives, which Newton's method follows while τ falls:
some twenty evaluations to eight digits, in numpy. Where no solution exists, L has no upper end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]

_WARM, _COOLER, _NEAR = 0.1, 0.2, 1e-8
"""The entropy's weight at first, in least costs of a unit; what is left of it from step to step;
and the distance of bound and fractions at which it is small enough."""
_STEPS, _HALVINGS, _LEVEL_STEPS = 200, 30, 60
_FAR, _SLOW = 100.0, 0.7
"""Gain of a step in the entropy's weight from which that fell too fast, and how slowly it may."""
_PLACED = 1e-11
_DEAREST = 1e6
"""Price of a limit in what it starts from: more proves nothing that floats can tell."""
_NOTHING = 1e-7
"""Part of the bound that a limit is paid for, below which its price is nothing."""


class Taken(NamedTuple):
    """What columns take of some measures: a share's GB, a cap's disks, a budget's USD.

    Attributes
    ----------
    row : ndarray of int64, shape (n,)
        Which measure.
    amount : ndarray of float, shape (n,)
        How much of it a replica takes.
    """

    row: _Ints
    amount: _Floats


@dataclass(frozen=True)
class Coupled:
    """Units that choose columns, and limits on what all of them take: ``limits @ taken <= right``.

    Attributes
    ----------
    unit, domain, member : ndarray of int64, shape (n,)
        Of each column, by unit. A unit has at most ``most`` replicas in one domain. Where members
        are numbered from 1, the unit is one of each, in one domain; elsewhere the member is 0.
    usd_hr : ndarray of float, shape (n,)
        Of one replica.
    count, most : ndarray of int64, shape (K,)
        Of each unit.
    taken : tuple of Taken
        What the columns take.
    limits : ndarray of float, shape (L, P)
        Limits on the measures.
    right : ndarray of float, shape (L,)
        Their right sides.
    spent_usd_hr : float
        What is spent at any rate.
    """

    unit: _Ints
    domain: _Ints
    member: _Ints
    usd_hr: _Floats
    count: _Ints
    most: _Ints
    taken: tuple[Taken, ...]
    limits: _Floats
    right: _Floats
    spent_usd_hr: float = 0.0

    def priced(self, prices: _Floats) -> _Floats:
        """Return what a replica of each column costs at prices of the limits."""
        weight = prices @ self.limits
        cost = self.usd_hr
        for row, amount in self.taken:
            cost = cost + amount * weight[row]
        return cost

    def take(self, counts: _Floats) -> _Floats:
        """Return what counts take of each measure."""
        measures = self.limits.shape[1]
        result: _Floats = np.zeros(measures)
        for row, amount in self.taken:
            result += np.bincount(row, amount * counts, measures)
        return result


class Best(NamedTuple):
    """Prices of the limits that prove most, (L,), and counts near them, in fractions, (n,)."""

    prices: _Floats
    counts: _Floats


class _Smooth(NamedTuple):
    """The smoothed dual at prices: its value, counts, and what parts choose and cells hold."""

    value: float
    counts: _Floats
    chosen: _Floats
    held: _Floats


def _filled(above: _Floats) -> _Floats:
    """Return which part of a cell is filled, given how far above its cost the level is."""
    filled: _Floats = 1 / (1 + np.exp(-np.maximum(above, -700)))
    return filled


class Lagrangian:
    """The dual of coupled units."""

    def __init__(self, coupled: Coupled) -> None:
        self.coupled = coupled
        keys = coupled.unit, coupled.domain, coupled.member
        self._order = order = np.lexsort(keys[::-1])
        _, new_cell, new = np.logical_or.accumulate(
            [np.diff(key[order], prepend=-1) != 0 for key in keys]
        )
        # A cell is the columns of a unit in one domain, a part those of one member there.
        self._parts, self._part = np.flatnonzero(new), np.cumsum(new) - 1
        self._cells = np.flatnonzero(new_cell[self._parts])
        self._part_cell = np.cumsum(new_cell[self._parts]) - 1
        self._cell_unit = coupled.unit[order][self._parts[self._cells]]
        self._most = np.minimum(coupled.most, coupled.count)[self._cell_unit].astype(float)
        wanted = coupled.count / np.minimum(coupled.most, coupled.count)
        cells = np.bincount(self._cell_unit, minlength=len(coupled.count))
        self.has_room = bool((cells >= wanted).all())
        self._wanted = np.rint(wanted).astype(np.int64)
        self._chooses = cells > self._wanted
        self._units = np.cumsum(cells) - cells
        self._rank = np.arange(len(self._cells)) - np.repeat(self._units, cells)
        self._open = self._chooses[self._cell_unit]
        self._open_unit = (np.cumsum(self._chooses) - 1)[self._cell_unit[self._open]]

    def bound(self, prices: _Floats) -> float:
        """Return what no solution costs less than, in USD per hour."""
        coupled = self.coupled
        least, taken, _ = self._placed(self._least(coupled.priced(prices)[self._order]))
        placed = coupled.spent_usd_hr + (least * self._most)[taken].sum()
        return float(placed - prices @ coupled.right)

    def reduced(self, prices: _Floats) -> _Floats:
        """Return what a solution with a replica at a column costs beyond the bound, at least."""
        cost = self.coupled.priced(prices)[self._order]
        parts = np.minimum.reduceat(cost, self._parts)
        least, taken, last = self._placed(np.add.reduceat(parts, self._cells))
        beyond = least - np.where(taken, least, last[self._cell_unit])
        reduced = np.empty(len(cost))
        beyond = cost - parts[self._part] + beyond[self._part_cell][self._part]
        reduced[self._order] = np.maximum(beyond, 0)
        return reduced

    def _least(self, cost: _Floats) -> _Floats:
        """Return the least of each cell, all its members together."""
        return np.add.reduceat(np.minimum.reduceat(cost, self._parts), self._cells)

    def _placed(self, least: _Floats) -> tuple[_Floats, NDArray[np.bool_], _Floats]:
        """Return the least of each cell, which a unit takes, and the dearest that it takes."""
        order = np.lexsort((least, self._cell_unit))
        taken = np.zeros(len(least), np.bool_)
        taken[order] = self._rank < self._wanted[self._cell_unit]
        return least, taken, least[order][self._units + self._wanted - 1]

    def smooth(self, prices: _Floats, tau: float) -> _Smooth:
        """Return the smoothed dual at prices; a cell holds a part of the most that it can."""
        coupled = self.coupled
        cost = coupled.priced(prices)[self._order]
        least = np.minimum.reduceat(cost, self._parts)
        chosen = np.exp((least[self._part] - cost) / tau)
        sums = np.add.reduceat(chosen, self._parts)
        chosen /= sums[self._part]
        cells = np.add.reduceat(least - tau * np.log(sums), self._cells)
        level = self._levels(cells, tau)
        above = (level[self._cell_unit] - cells)[self._open] / tau
        held = np.ones(len(cells))
        held[self._open] = _filled(above)
        each = cells.copy()
        each[self._open] = -tau * np.logaddexp(0, above)
        value = self._most @ each + level @ (coupled.count * self._chooses)
        counts = chosen * (held * self._most)[self._part_cell][self._part]
        result = np.empty(len(counts))
        result[self._order] = counts
        value += coupled.spent_usd_hr - float(prices @ coupled.right)
        return _Smooth(float(value), result, chosen, held)

    def _levels(self, cells: _Floats, tau: float) -> _Floats:
        """Return the level of each unit up to which its cells fill, so that all is placed."""
        level = np.zeros(len(self.coupled.count))
        if not self._chooses.any():
            return level
        ordered = cells[np.lexsort((cells, self._cell_unit))]
        at = (self._units + self._wanted)[self._chooses]
        spare = tau * np.log(len(cells))
        low, high = ordered[at - 1] - spare, ordered[at] + spare
        here, unit = cells[self._open], self._open_unit
        middle = (low + high) / 2
        for _ in range(_LEVEL_STEPS):
            held = _filled((middle[unit] - here) / tau)
            excess = np.bincount(unit, held) - self._wanted[self._chooses]
            if np.abs(excess).max() < max(_PLACED, 1e-15 * np.abs(middle).max() / tau):
                break
            slope = np.bincount(unit, held * (1 - held)) / tau
            low, high = np.where(excess < 0, middle, low), np.where(excess > 0, middle, high)
            step = middle - excess / np.maximum(slope, 1e-300)
            middle = np.where((step > low) & (step < high), step, (low + high) / 2)
        level[self._chooses] = middle
        return level

    def _curvature(self, here: _Smooth) -> _Floats:
        """Return how what is taken of a measure falls with another's price, times tau, (P, P)."""
        coupled, measures = self.coupled, self.coupled.limits.shape[1]
        counts, held = here.counts[self._order], here.held
        taken = [(t.row[self._order], t.amount[self._order]) for t in coupled.taken]
        result = np.zeros((measures, measures))
        parts = np.zeros((len(self._parts), measures))  # what a replica takes on average
        for row, amount in taken:
            for other, more in taken:
                at = row * measures + other
                result += np.bincount(at, counts * amount * more, measures**2).reshape(result.shape)
            flat = np.bincount(self._part * measures + row, here.chosen * amount, parts.size)
            parts += flat.reshape(parts.shape)
        cells = np.add.reduceat(parts, self._cells)
        full = self._most * held
        result -= (parts * full[self._part_cell][:, None]).T @ parts
        result += (cells * (full * (1 - held))[:, None]).T @ cells
        if self._chooses.any():
            moved = np.add.reduceat(cells * (full * (1 - held))[:, None], self._units)
            room = np.bincount(self._cell_unit, full * (1 - held))
            result -= (moved / np.maximum(room, 1e-300)[:, None]).T @ moved
        return result

    def best(self) -> Best | None:
        """Return the prices that prove most, and counts near them; None where nothing is possible.

        The counts are fractions, and keep the limits up to what tau allows.
        """
        if not self.has_room:
            return None
        coupled = self.coupled
        cost = coupled.usd_hr[self._order]
        scale = float(np.minimum.reduceat(self._least(cost), self._units).mean()) or 1.0
        most = np.maximum.reduceat(-self._least(-cost), self._units)
        never = float(most @ coupled.count) + coupled.spent_usd_hr
        prices, tau = self._start(scale), _WARM * scale
        dearest = prices * _DEAREST
        best, bound = prices, -np.inf
        here = self.smooth(prices, tau)
        cooler, cooled, before = _COOLER, False, None
        for _ in range(_STEPS):
            slope = coupled.limits @ coupled.take(here.counts) - coupled.right
            rise = slope + tau / prices
            curvature = coupled.limits @ self._curvature(here) @ coupled.limits.T
            bend = curvature / tau + np.diag(np.maximum(tau / prices, -slope) / prices)
            unit = prices[:, None] * bend * prices  # prices are measured by themselves
            free = np.flatnonzero((prices < dearest * (1 - 1e-9)) | (rise < 0))
            step = np.zeros(len(prices))
            step[free] = np.linalg.lstsq(unit[np.ix_(free, free)], (rise * prices)[free], 1e-14)[0]
            step *= prices
            gain = float(rise @ step)
            proven = self.bound(prices)
            if proven > bound:
                best, bound = prices, proven
            if bound > never * (1 + 1e-9):
                return None
            is_far = cooled and gain > _FAR * tau
            if (is_far or here is before) and cooler < _SLOW:  # a step sees only what is near
                tau, cooler = tau / cooler**0.5, cooler**0.5
                here = self.smooth(prices, tau)
                continue
            before, cooled = here, gain <= tau
            if cooled:
                spent = coupled.spent_usd_hr + float(coupled.usd_hr @ here.counts + prices @ slope)
                if spent - proven + tau * len(prices) <= _NEAR * abs(bound):
                    break
                cooler = max(cooler**1.5, _COOLER)
                tau *= cooler
                here = self.smooth(prices, tau)
                continue
            prices, here = self._moved(prices, here, step, gain, tau, dearest)
        taken = np.abs(coupled.limits) @ coupled.take(here.counts)
        few = np.where(best * taken > _NOTHING * abs(bound), best, 0)
        near = self.bound(few) >= bound - _NEAR * abs(bound)
        return Best(few if near else best, here.counts)

    def _start(self, scale: float) -> _Floats:
        """Return prices at which each limit's takings cost a part of the units' least."""
        coupled = self.coupled
        each = np.zeros(coupled.limits.shape[1])
        many = np.zeros(coupled.limits.shape[1])
        for row, amount in coupled.taken:
            each += np.bincount(row, amount, len(each))
            many += np.bincount(row, amount > 0, len(each))
        mean = np.abs(coupled.limits).max(axis=1) * (each / np.maximum(many, 1)).max()
        start: _Floats = _WARM * scale / np.where(mean > 0, mean, 1.0)
        return start

    def _moved(
        self,
        prices: _Floats,
        here: _Smooth,
        step: _Floats,
        gain: float,
        tau: float,
        dearest: _Floats,
    ) -> tuple[_Floats, _Smooth]:
        """Return where a step leads, or as far on it as the smoothed dual rises."""
        room = np.maximum(dearest - prices, 1e-300)
        most = max(float((-step / prices).max()) / 0.9, float((step / room).max()))
        length = min(1.0, 1 / max(1e-300, most))
        value = here.value + tau * float(np.log(prices).sum())
        for _ in range(_HALVINGS):
            there = np.minimum(prices + length * step, dearest)
            smooth = self.smooth(there, tau)
            risen = smooth.value + tau * float(np.log(there).sum())
            if risen >= value + 1e-4 * length * gain - 1e-13 * abs(value):
                return there, smooth
            length /= 2
        return prices, here
