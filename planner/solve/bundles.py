"""Units that a group keeps together, as one decision: a slot for each place they can all be in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance, Scope


@dataclass(frozen=True)
class Bundles:
    """Which columns are taken together.

    A column of a unit that is in no such group is a slot of its own. In any other slot each unit
    of the bundle takes one of its columns there.

    Attributes
    ----------
    columns : Columns
        The candidates.
    of_unit : ndarray of int64, shape (K,)
        Bundle of each unit.
    slot : ndarray of int64, shape (n,)
        Slot of each column.
    """

    columns: Columns
    of_unit: NDArray[np.int64]
    slot: NDArray[np.int64]

    @classmethod
    def of(cls, instance: Instance, scope: Scope, columns: Columns) -> Bundles:
        """Return the bundles of single replicas that groups keep in one place."""
        bundle, place = np.arange(len(columns.units)), np.arange(len(columns))
        unit_of = {unit.members[0]: k for k, unit in enumerate(columns.units)}
        for level, volumes in _together(instance, scope):
            units = [unit_of[v] for v in volumes]
            mine = np.flatnonzero(np.isin(columns.unit, units))
            places = [instance.places(level)[o] for o in columns.offer[mine].tolist()]
            if all(len(domains) == 1 for domains in places):
                first: dict[Any, int] = {}
                for i, domains in zip(mine.tolist(), places, strict=True):
                    place[i] = first.setdefault(domains, i)
                bundle[units] = units[0]
        _, slot = np.unique(place, return_inverse=True)
        return cls(columns, bundle, slot)

    @cached_property
    def of_slot(self) -> NDArray[np.int64]:
        """Return the bundle of each slot."""
        of_slot = np.zeros(self.slot.max(initial=-1) + 1, np.int64)
        of_slot[self.slot] = self.of_unit[self.columns.unit]
        return of_slot

    @cached_property
    def cells(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the unit at its slot that each column is an option of, and the slot of each."""
        key = self.slot * max(1, len(self.columns.units)) + self.columns.unit
        _, first, cell = np.unique(key, return_index=True, return_inverse=True)
        return cell, self.slot[first]

    @cached_property
    def possible(self) -> NDArray[np.bool_]:
        """Return the columns at whose slot every unit of the bundle has one, shape (n,)."""
        there = np.bincount(self.cells[1], minlength=len(self.of_slot))
        needed = np.bincount(self.of_unit, minlength=len(self.of_unit))[self.of_slot]
        return np.asarray((there == needed)[self.slot])

    def cheapest(self, weight: NDArray[np.float64]) -> tuple[NDArray[np.int64], Any]:
        """Return the column of least weight for each unit at each slot, and the slots' sums."""
        cell, slot = self.cells
        order = np.lexsort((weight, cell))
        best = order[np.flatnonzero(np.r_[True, np.diff(cell[order]) != 0])]
        return best, np.bincount(slot, weight[best], len(self.of_slot))

    def at_best(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the least weight of a bundle that takes each column, shape (n,)."""
        best, sums = self.cheapest(weight)
        return np.asarray(weight - weight[best][self.cells[0]] + sums[self.slot])


def _together(instance: Instance, scope: Scope) -> Iterator[tuple[str, list[int]]]:
    """Yield volumes of one replica that groups keep in one place of a level."""
    ties = [
        tie
        for tie in scope.ties
        if tie.same and all(instance.volumes[v].replicas == 1 for v in tie.members)
    ]
    component: dict[int, list[int]] = {}
    levels: dict[int, set[str]] = {}
    for tie in ties:
        merged = list(dict.fromkeys(u for v in tie.members for u in component.get(v, [v])))
        asked = {tie.level}.union(*(levels.get(v, ()) for v in merged))
        for v in merged:
            component[v], levels[v] = merged, asked
    for volumes in {id(each): each for each in component.values()}.values():
        level, *others = levels[volumes[0]]
        if not others:  # what must share a site with one and a region with another stays apart
            yield level, sorted(volumes)
