"""All cheapest ways to choose for a few units, without a solver.

At prices of the limits a solution costs the bound, what each unit's choice costs beyond its least,
and what stays free of each limit, at its price. Few choices keep that sum small. Those of one half
of the units are listed, and those of the other; what one half leaves of limits is looked up
among what the other takes. The sum may be more and more, until there is a solution.
"""

from __future__ import annotations

from itertools import combinations_with_replacement, islice, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from planner.solve.dual import Coupled, Lagrangian

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]
    _Flags = NDArray[np.bool_]

_FIRST, _LAST = 1e-7, 1.0
"""Part of the bound that choices may cost beyond it at first, and at last."""
_MORE, _LITTLE_MORE, _MUCH = 3.0, 1.6, 400_000
"""How much more from then on, the same after so many pairs, and these."""
_OPTIONS, _BITS, _LISTED = 500, 62, 50
"""Choices of a unit, bits of the number of a way, and solutions that are listed, at most."""
WORK, MORE_WORK = 3_000_000, 25_000_000
"""Limits of ways, and pairs of ways, that are looked at: some 0.2 seconds, and one."""
_FIRST_WORK, _AT_ONCE = 100_000, 200_000
"""The same at first, twice as many each time that choices may cost more: where many cost nothing,
there are too many soon. And pairs that are looked at at once."""
_EXACT = 1e-11
"""Part of a limit, or of the cost, that floats may be off."""


class _Ways(NamedTuple):
    """Ways to choose: what each costs beyond the least, takes of each limit, and its number.

    The number has a digit for each unit, to the base of its choices.
    """

    beyond: _Floats
    takes: _Floats
    number: _Ints


class _Limits(NamedTuple):
    """What there is of each limit, its price, and how far off floats may be."""

    right: _Floats
    prices: _Floats
    close: _Floats


class _TooMuch(Exception):
    """There are more ways than can be looked at."""


class Cheapest(NamedTuple):
    """The columns that solutions of least cost have, (n,), and these where they are few, (m, n)."""

    columns: _Flags
    counts: _Ints


class Enumeration:
    """Ways to choose that keep the limits, and cost little beyond the bound that prices prove.

    Attributes
    ----------
    is_open : bool
        Whether more work may lead to the cheapest.
    """

    def __init__(self, dual: Lagrangian, prices: _Floats) -> None:
        self._coupled = coupled = dual.coupled
        self._bound = abs(dual.bound(prices))
        self._priced, self._reduced = coupled.priced(prices), dual.reduced(prices)
        self._takes = np.zeros((len(self._priced), len(prices)))
        for row, amount in coupled.taken:
            self._takes += (coupled.limits[:, row] * amount).T
        close = _EXACT * (np.abs(coupled.right) + np.abs(self._takes).sum(axis=0))
        self._limits = _Limits(coupled.right, prices, close)
        self._part, self._spare, self._pairs = _FIRST, 0.0, 0
        self._work, self._most, self._limit = 0, _FIRST_WORK, 0
        self.is_open = True

    def cheapest(self, work: int) -> Cheapest | None:
        """Return all solutions of least cost; None where none is near, or that is more work.

        Called again with more work, it goes on.
        """
        self._limit, self.is_open = work, False
        try:
            return self._widened()
        except _TooMuch:
            self.is_open = work < self._work <= self._most
            return None

    def _widened(self) -> Cheapest | None:
        """Return all solutions of least cost, after ways that cost more and more are looked at."""
        while self._part <= _LAST:
            self._spare, self._pairs = (self._part + _EXACT) * self._bound, 0
            options = [*_options(self._coupled, self._reduced <= self._spare)]
            if not all(0 < len(each) <= _OPTIONS for each in options):
                return None
            alike, chosen = self._chosen(options)
            if len(chosen):
                return self._listed(alike, chosen)
            self._part *= _MORE if self._pairs < _MUCH else _LITTLE_MORE
            self._most *= 2
        return None

    def _listed(self, alike: list[list[list[tuple[int, ...]]]], chosen: _Ints) -> Cheapest:
        """Return solutions, given the choices of each unit that are alike, and which are made."""
        columns = np.zeros(len(self._priced), np.bool_)
        for choices, made in zip(alike, chosen.T, strict=True):
            columns[[i for n in np.unique(made).tolist() for each in choices[n] for i in each]] = 1
        few = chosen[: _LISTED if len(chosen) <= _LISTED else 0].tolist()
        counts = np.zeros((len(few), len(columns)), np.int64)
        for row, made in zip(counts, few, strict=True):
            for choices, n in zip(alike, made, strict=True):
                first = min(choices[n], key=lambda each: self._coupled.usd_hr[[*each]].sum())
                np.add.at(row, [*first], 1)
        return Cheapest(columns, counts)

    def _chosen(
        self, options: list[list[tuple[int, ...]]]
    ) -> tuple[list[list[list[tuple[int, ...]]]], _Ints]:
        """Return the choices of each unit that are alike, and which the cheapest make, (m, K)."""
        takes = [np.array([self._takes[[*each]].sum(axis=0) for each in unit]) for unit in options]
        least = np.sum([each.min(axis=0) for each in takes], axis=0)
        most = np.sum([each.max(axis=0) for each in takes], axis=0)
        right, prices, close = self._limits
        # A limit counts where it can be exceeded, or where leaving some of it costs.
        at = np.flatnonzero((prices > 0) | (most > right - close))
        limits = _Limits(right[at], prices[at], close[at])
        units, choices = list[_Ways](), []
        for unit, taken in zip(options, takes, strict=True):
            cost = np.array([self._priced[[*each]].sum() for each in unit])
            beyond = cost - cost.min()
            near = np.flatnonzero(beyond <= self._spare)
            looks = np.c_[np.rint(beyond / (self._bound * _EXACT)), taken[:, at]][near]
            _, first, same = np.unique(looks, axis=0, return_index=True, return_inverse=True)
            alike: list[list[tuple[int, ...]]] = [[] for _ in first]
            for n, number in zip(near.tolist(), same.reshape(-1).tolist(), strict=True):
                alike[number].append(unit[n])
            first = near[first]
            units.append(_Ways(beyond[first], taken[first][:, at], first))
            choices.append(alike)
        return choices, self._together(units, limits, least[at], most[at])

    def _together(
        self, units: list[_Ways], limits: _Limits, least: _Floats, most: _Floats
    ) -> _Ints:
        """Return the cheapest ways to choose for all units that keep the limits, (m, K)."""
        weight = limits.prices + 1e-9 * float(limits.prices.max(initial=1.0))
        range_usd = [float(np.ptp(unit.takes, axis=0) @ weight) for unit in units]
        halves: tuple[list[int], list[int]] = [], []
        bits = [0.0, 0.0]
        # Those without a choice come first, when there is one way still, then what moves most.
        order = sorted(range(len(units)), key=lambda k: (len(units[k].beyond) > 1, -range_usd[k]))
        for k in order:
            at = int(bits[1] < bits[0])
            halves[at].append(k)
            bits[at] += float(np.log2(len(units[k].beyond)))
        if max(bits) > _BITS:
            raise _TooMuch
        left, other = (self._half([units[k] for k in half], limits, least, most) for half in halves)
        pairs = self._joined(left, other, limits)
        self._spend(len(pairs[0]) * len(units))
        chosen = np.zeros((len(pairs[0]), len(units)), np.int64)
        for half, ways, mine in zip(halves, (left, other), pairs, strict=True):
            number = ways.number[mine]
            for k in reversed(half):
                number, chosen[:, k] = np.divmod(number, len(units[k].beyond))
        return chosen

    def _half(self, units: list[_Ways], limits: _Limits, least: _Floats, most: _Floats) -> _Ways:
        """Return the ways to choose for some units that the others can make keep the limits.

        Of all units together ``least`` and ``most`` are taken.
        """
        ways = _Ways(np.zeros(1), np.zeros((1, len(least))), np.zeros(1, np.int64))
        for unit in units:
            least, most = least - unit.takes.min(axis=0), most - unit.takes.max(axis=0)
            self._spend(len(ways.beyond) * len(unit.beyond))
            beyond = (ways.beyond[:, None] + unit.beyond).ravel()
            near = np.flatnonzero(beyond <= self._spare)
            before, option = np.divmod(near, len(unit.beyond))
            self._spend(len(near) * len(least))
            takes = ways.takes[before] + unit.takes[option]
            room = limits.right - takes
            cost = beyond[near] + np.maximum(room - most, 0) @ limits.prices
            kept = (room - least >= -limits.close).all(axis=1) & (cost <= self._spare)
            number = ways.number[before] * len(unit.beyond) + option
            ways = _Ways(beyond[near][kept], takes[kept], number[kept])
        return ways

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > min(self._most, self._limit):
            raise _TooMuch

    def _joined(self, left: _Ways, other: _Ways, limits: _Limits) -> tuple[_Ints, _Ints]:
        """Return the cheapest ways of both halves together that keep the limits, two of (m,)."""
        if not len(left.beyond) or not len(other.beyond):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        spare = self._spare - left.beyond
        windows = [(other.beyond, np.zeros(len(spare)), spare)]
        for limit in np.flatnonzero(limits.prices > 0).tolist():
            high = limits.right[limit] - left.takes[:, limit] + limits.close[limit]
            low = high - spare / limits.prices[limit] - 2 * limits.close[limit]
            windows.append((other.takes[:, limit], low, high))
        right = limits.right + limits.close
        at_prices = [half.beyond - half.takes @ limits.prices for half in (left, other)]
        pairs = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
        for first, second in self._near(windows):
            cost = at_prices[0][first] + at_prices[1][second] + limits.right @ limits.prices
            near = np.flatnonzero(cost <= self._spare)
            takes = left.takes[first[near]] + other.takes[second[near]]
            near = near[(takes <= right).all(axis=1)]
            pairs.append((first[near], second[near], cost[near]))
        first, second, cost = (np.concatenate(each) for each in zip(*pairs, strict=True))
        best = cost <= cost.min(initial=np.inf) + _EXACT * self._bound
        return first[best], second[best]

    def _near(
        self, windows: list[tuple[_Floats, _Floats, _Floats]]
    ) -> Iterator[tuple[_Ints, _Ints]]:
        """Yield pairs of ways, all of those inside the three narrowest windows among them."""

        def pairs(window: tuple[_Floats, _Floats, _Floats]) -> int:
            keys, low, high = np.sort(window[0]), *window[1:]
            return int((np.searchsorted(keys, high, "right") - np.searchsorted(keys, low)).sum())

        (by, least, most), *others = sorted(windows, key=pairs)[:3]
        begin, end = float(by.min()), float(np.ptp(by))
        span, keys = 2 * end + 1.0, by - begin
        at = [(np.zeros(len(least)), np.ones(len(least), np.bool_))]
        for each, low, high in others:  # cells as wide as a window, which lies in two of them
            start, wide = float(each.min()), float((high - low).max()) or 1.0
            cells = np.floor((each - start) / wide)
            keys += cells * span
            here, last = np.floor((low - start) / wide), cells.max()
            at = [
                (first + (here + more) * span, inside & (here + more >= 0) & (here + more <= last))
                for first, inside in at
                for more in (0, 1)
            ]
            span *= last + 1
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        for first, inside in at:
            mine = np.flatnonzero(inside & (most >= begin))
            from_ = np.searchsorted(keys, (first + np.clip(least - begin, 0, end))[mine], "left")
            to = np.searchsorted(keys, (first + np.minimum(most - begin, end))[mine], "right")
            many = np.maximum(to - from_, 0)
            self._pairs += int(many.sum())
            self._spend(int(many.sum()))
            parts = np.cumsum(many) // _AT_ONCE
            for part in np.split(np.arange(len(mine)), np.flatnonzero(np.diff(parts)) + 1):
                sizes = many[part]
                place = np.arange(sizes.sum())
                place -= np.repeat(np.cumsum(sizes) - sizes - from_[part], sizes)
                yield np.repeat(mine[part], sizes), order[place]


def _options(coupled: Coupled, open_: _Flags) -> Iterator[list[tuple[int, ...]]]:
    """Yield the ways to choose for each unit among some columns, a few more than there may be."""
    starts = np.searchsorted(coupled.unit, np.arange(len(coupled.count) + 1))
    for k, count in enumerate(coupled.count.tolist()):
        mine = np.arange(starts[k], starts[k + 1])[open_[starts[k] : starts[k + 1]]]
        by_domain: dict[int, list[int]] = {}
        for i, domain in zip(mine.tolist(), coupled.domain[mine].tolist(), strict=True):
            by_domain.setdefault(domain, []).append(i)
        members = np.unique(coupled.member[starts[k] : starts[k + 1]]).tolist()
        options: list[tuple[int, ...]] = []
        if members[-1]:
            for inside in by_domain.values():
                each = [[i for i in inside if coupled.member[i] == m] for m in members]
                options += islice(product(*each), _OPTIONS + 1)
        else:
            most = int(min(coupled.most[k], count))
            places = [*by_domain.values()] if most < count else [mine.tolist()]
            options += islice(_replicas(places, count, most), _OPTIONS + 1)
        yield options


def _replicas(places: Sequence[list[int]], count: int, most: int) -> Iterator[tuple[int, ...]]:
    """Yield all ways to put so many replicas into places, in each at most so many."""
    if not places:
        yield from [()] * (not count)
        return
    first, *rest = places
    for n in range(max(0, count - most * len(rest)), min(most, count) + 1):
        for here in combinations_with_replacement(first, n):
            for others in _replicas(rest, count - n, most):
                yield (*here, *others)
