"""Whole numbers near a relaxed solution where groups keep units together: bundles move as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from planner.solve.bundles import Bundles
from planner.solve.certificate import coupled, has_single_places, limits_of
from planner.solve.dual import Coupled, Lagrangian, Taken
from planner.solve.rounding import round_dual

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance, Scope

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]


def round_relaxation(
    instance: Instance,
    scope: Scope,
    columns: Columns,
    values: _Floats,
    reduced: _Floats,
    good_enough: float,
) -> _Ints | None:
    """Return whole counts near a relaxed solution that keep the limits; None where none is found.

    Parameters
    ----------
    values, reduced : ndarray of float, shape (n,)
        Relaxed counts, and reduced costs in USD per hour.
    good_enough : float
        USD per hour at which the search ends.
    """
    limits = [limit for limit in limits_of(instance) if limit.requirement.sums is not None]
    if not limits or not scope.capped or not has_single_places(instance):
        return None
    each = coupled(instance, columns, limits)
    gb = instance.pairs.provision_gb[columns.volume, columns.offer].astype(float)
    options = _Options(Bundles.of(instance, scope, columns), reduced, gb)
    together = options.coupled(each)
    dual = Lagrangian(together)
    best = dual.best()
    if best is None:
        return None
    held = options.values(values)
    counts = round_dual(together, held, dual.reduced(best.prices), best.prices, good_enough)
    return None if counts is None else options.counts_of_columns(counts)


class _Options:
    """What can be taken: a column of a unit, or one of each unit of a bundle at a slot.

    At a slot of several units, those are the cheapest, those of fewest and those of most GB.
    """

    def __init__(self, bundles: Bundles, reduced: _Floats, gb: _Floats) -> None:
        self._bundles = bundles
        sizes = np.bincount(bundles.of_unit)
        near = reduced / (4 * np.abs(reduced).max(initial=1.0))
        picked, (_, slot) = bundles.cheapest(reduced)[0], bundles.cells
        several = sizes[bundles.of_slot[slot]] > 1
        picks, at = [picked], [slot * 3]
        for weight in (gb + near, near - gb):
            picks.append(bundles.cheapest(weight)[0][several])
            at.append(slot[several] * 3 + len(at))
        key = np.concatenate(at)
        bundle = bundles.of_slot[key // 3]
        order = np.lexsort((key, bundle))
        self._picked, key = np.concatenate(picks)[order], key[order]
        start = np.r_[True, np.diff(key) != 0]
        self._option = np.cumsum(start) - 1
        self._key = key[start]
        self._place = np.arange(len(key)) - np.flatnonzero(start)[self._option]

    def coupled(self, each: Coupled) -> Coupled:
        """Return bundles and options as the dual sees them, given units and columns."""
        first, count = self._picked[self._place == 0], len(self._key)
        taken = []
        for row, amount in each.taken:
            for place in range(int(self._place.max(initial=0)) + 1):
                rows, amounts = row[first].copy(), np.zeros(count)
                mine = self._place == place
                rows[self._option[mine]] = row[self._picked[mine]]
                amounts[self._option[mine]] = amount[self._picked[mine]]
                taken.append(Taken(rows, amounts))
        bundle = self._bundles.of_slot[self._key // 3]
        there, unit = np.unique(bundle, return_inverse=True)
        return Coupled(
            unit=unit.astype(np.int64),
            domain=each.domain[first],
            usd_hr=np.bincount(self._option, each.usd_hr[self._picked], count).astype(float),
            count=each.count[there],
            most=each.most[there],
            taken=tuple(taken),
            limits=each.limits,
            right=each.right,
        )

    def values(self, values: _Floats) -> _Floats:
        """Return the relaxed count of each option: of a slot, that of its cheapest."""
        held = np.bincount(self._bundles.slot, values, len(self._bundles.of_slot))
        sizes = np.bincount(self._bundles.of_unit)[self._bundles.of_slot]
        return np.where(self._key % 3 == 0, (held / sizes)[self._key // 3], 0.0)

    def counts_of_columns(self, counts: _Ints) -> _Ints:
        """Return the counts of columns, given those of options."""
        return np.bincount(self._picked, counts[self._option], len(self._bundles.slot)).astype(
            np.int64
        )
