"""Whole numbers near the dual's fractions where units have several members: all move as one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from planner.solve.dual import Coupled, Lagrangian, Taken
from planner.solve.rounding import round_dual

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]


_SEED = 20


def round_units(
    dual: Lagrangian,
    values: _Floats,
    prices: _Floats,
    good_enough: float,
    *,
    quick: bool = False,
) -> _Ints | None:
    """Return whole counts near relaxed ones that keep the limits; None where none are found.

    See `round_dual`.
    """
    coupled = dual.coupled
    reduced, enough = dual.reduced(prices), good_enough - coupled.spent_usd_hr
    if not coupled.member.any():
        return round_dual(coupled, values, reduced, prices, enough, quick=quick)
    options = _Options(coupled, reduced)
    together = options.coupled
    reduced = Lagrangian(together).reduced(prices)
    counts = round_dual(together, options.values(values), reduced, prices, enough, quick=quick)
    return None if counts is None else options.counts_of_columns(counts)


class _Options:
    """What can be taken: a column of a unit, or one of each of its members in a domain.

    Where there are members, those are the cheapest, those of least and those of most amount. Of
    options of a unit that take the same, only the cheapest is left.
    """

    def __init__(self, each: Coupled, reduced: _Floats) -> None:
        self._each, alone = each, each.member == 0
        cell = np.where(alone, np.arange(len(alone)), len(alone) + each.domain)
        _, self._cell = np.unique(cell, return_inverse=True)
        near, amount = reduced / (4 * np.abs(reduced).max(initial=1.0)), each.taken[0].amount
        picked, option = [], []
        for number, weight in enumerate((reduced, amount + near, near - amount)):
            order = np.lexsort((weight, each.member, self._cell))
            keys = self._cell[order], each.member[order]
            first = order[np.logical_or(*(np.diff(key, prepend=-1) != 0 for key in keys))]
            picked.append(first if not number else first[~alone[first]])
            option.append(number * len(alone) + self._cell[picked[-1]])
        self._picked = np.concatenate(picked)
        _, at, self._option = np.unique(
            np.concatenate(option), return_index=True, return_inverse=True
        )
        unit, alone = each.unit[self._picked[at]], alone[self._picked[at]]
        takes = np.zeros(len(at), np.uint64)
        random = np.random.default_rng(_SEED)
        for row, amount in each.taken:  # what is equal then is equal, measure by measure
            by_row = random.integers(1, 2**63, each.limits.shape[1], np.uint64)
            np.add.at(takes, self._option, (by_row[row] * amount.view(np.uint64))[self._picked])
        takes[alone] = np.flatnonzero(alone)
        usd_hr = np.bincount(self._option, each.usd_hr[self._picked])
        order = np.argsort(usd_hr, kind="stable")
        _, first, same = np.unique(
            np.c_[unit.astype(np.uint64), takes][order],
            axis=0,
            return_index=True,
            return_inverse=True,
        )
        self._left, self._as = order[first], np.empty(len(order), np.int64)
        self._as[order] = same.reshape(-1)

    @property
    def coupled(self) -> Coupled:
        """Return the options as columns."""
        each, left, picked, option = self._each, self._left, self._picked, self._option
        order = np.argsort(option, kind="stable")
        sizes = np.bincount(option)
        place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        taken = []
        for row, amount in each.taken:
            for at in (order[place == number] for number in range(int(sizes.max()))):
                rows, amounts = np.zeros(len(sizes), np.int64), np.zeros(len(sizes))
                rows[option[at]], amounts[option[at]] = row[picked[at]], amount[picked[at]]
                taken.append(Taken(rows[left], amounts[left]))
        first = picked[order[place == 0]][left]
        return replace(
            each,
            unit=each.unit[first],
            domain=each.domain[first],
            member=np.zeros(len(first), np.int64),
            usd_hr=np.bincount(option, each.usd_hr[picked])[left].astype(float),
            taken=tuple(taken),
        )

    def values(self, values: _Floats) -> _Floats:
        """Return the relaxed count of each option: that of a domain is that of its cheapest."""
        sizes = np.bincount(self._option)
        held = np.bincount(self._cell, values)
        each = held / sizes[: len(held)]
        return np.bincount(self._as[: len(held)], each, len(self._left)).astype(float)

    def counts_of_columns(self, counts: _Ints) -> _Ints:
        """Return the counts of columns, given those of options."""
        every = np.zeros(len(self._as))
        every[self._left] = counts
        taken = np.bincount(self._picked, every[self._option], len(self._cell))
        return taken.astype(np.int64)
