"""Volumes that can only be in one place together, as one decision.

Groups keep their volumes in one place of a level, and a job has its volumes where its GPUs are.
Where every place is apart from every other, volumes and GPUs are cheapest place by place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.solve.problem import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance
    from planner.solve.rentals import Rentals

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]
    _Flags = NDArray[np.bool_]


def bundled(
    instance: Instance, scope: Scope, admissible: Callable[[Sequence[int]], _Flags]
) -> Iterator[tuple[Scope, _Ints]]:
    """Yield volumes of one replica that must be in one place, and the place of each offer, (O,).

    With their groups and jobs. No place, -1, is where none of them can be.

    Parameters
    ----------
    admissible : callable
        Where some volumes can be, (volumes, O).
    """
    single = {v for v in scope.volumes if instance.volumes[v].replicas == 1}
    mounts = instance.rentals.mounts if instance.rentals is not None else ()
    ties = [tie for tie in scope.ties if tie.same and single.issuperset(tie.members)]
    jobs = [w for w in scope.workloads if single.issuperset(mounts[w])]
    links = [*((tie.members, tie, None) for tie in ties), *((mounts[w], None, w) for w in jobs)]
    open_ = [*_connected(links)]
    while open_:
        mine = open_.pop()
        part = Scope(
            tuple(sorted({v for members, *_ in mine for v in members})),
            tuple(w for *_, w in mine if w is not None),
            tuple(tie for _, tie, _ in mine if tie is not None),
        )
        place = places(instance, part, admissible(part.volumes))
        if place is not None:
            yield part, place
        elif part.workloads and part.ties:  # without the jobs its groups may be bundles still
            open_ += _connected([link for link in mine if link[2] is None])


def _connected(links: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield links that have volumes in common together."""
    part: dict[int, list[Any]] = {}
    for link in links:
        others = {id(part[v]): part[v] for v in link[0] if v in part}.values()
        merged = [link, *(each for other in others for each in other)]
        part.update((v, merged) for members, *_ in merged for v in members)
    yield from {id(mine): mine for mine in part.values()}.values()


def needs_several_nodes(rentals: Rentals, scope: Scope) -> _Flags:
    """Return which volumes of a scope need an offer that several nodes can mount."""
    needs = rentals.shared.copy()
    for w in scope.workloads:
        if (rentals.several_nodes(w) & (rentals.broken[w] == 0)).any():
            needs[list(rentals.mounts[w])] = True
    return needs[list(scope.volumes)]


def places(instance: Instance, scope: Scope, admissible: _Flags) -> _Ints | None:
    """Return a number for the place of each offer, -1 where no volume can be; None: not apart."""
    asked = np.flatnonzero(admissible.any(axis=0))
    looks: list[_Ints] = []
    for level in {tie.level for tie in scope.ties}:
        code, is_single = instance.pairs.facts.numbered(level)
        looks.append(code[asked])
        if not is_single[asked].all():
            return None
    if scope.workloads:
        met = _gpus_met(instance, scope, asked)
        if met is None:
            return None
        there = met.any(axis=0)
        if any(np.isin(look[there], look[~there]).any() for look in looks):
            return None  # a place with disks that meet GPUs and disks that meet none
        looks = [look[there] for look in looks]
        looks.append(np.unique(met[:, there], axis=1, return_inverse=True)[1].reshape(-1))
        asked = asked[there]
    together = np.unique(np.c_[tuple(looks)], axis=0)
    if len({len(together), *(len(np.unique(look)) for look in looks)}) != 1:
        return None  # two levels, or a level and the GPUs, have other places
    place = np.full(len(instance.sites), -1)
    place[asked] = np.unique(looks[0], return_inverse=True)[1]
    return place


def _gpus_met(instance: Instance, scope: Scope, asked: _Ints) -> _Flags | None:
    """Return which GPU offers of a scope's jobs each offer meets; None where places overlap."""
    rentals, limits, jobs = instance.rentals, instance.limits, list(scope.workloads)
    if rentals is None or (limits is not None and limits.limited[jobs].any()):
        return None
    fit = rentals.broken[jobs] == 0
    several = np.array([rentals.several_nodes(w) for w in jobs])
    if ((fit & several).any(axis=1) & (fit & ~several).any(axis=1)).any():
        return None  # what volumes need depends on the GPU
    met: _Flags = rentals.meets[fit.any(axis=0)][:, asked]
    return None if (np.unique(met, axis=1).sum(axis=1) > 1).any() else met


def least_gpus(instance: Instance, scope: Scope, place: _Ints) -> list[dict[int, Decimal]]:
    """Return what each job of a scope costs a month at least, in each place that has its GPUs."""
    rentals, least = instance.rentals, list[dict[int, "Decimal"]]()
    if rentals is None:
        return least
    for w in scope.workloads:
        least.append({})
        for g in np.flatnonzero((rentals.broken[w] == 0) & rentals.meets.any(axis=1)).tolist():
            usd_month = rentals.usd_month(w, g)
            for at in np.unique(place[rentals.meets[g] & (place >= 0)]).tolist():
                least[-1][at] = min(usd_month, least[-1].get(at, usd_month))
    return least


def least_gpus_usd_hr(instance: Instance, scope: Scope, place: _Ints) -> _Floats:
    """Return what GPUs cost at least in each place, by the hour of a month; the last is no place.

    Infinite where there are none.
    """
    cost = np.zeros(int(place.max(initial=-1)) + 2)
    for least in least_gpus(instance, scope, place):
        usd_month = [float(least.get(at, "inf")) for at in range(len(cost) - 1)]
        cost[:-1] += np.array(usd_month) / instance.demand.policy.hours_per_month
    cost[-1] = np.inf
    return cost


@dataclass(frozen=True)
class Bundles:
    """Which columns are taken together.

    A column of a unit that is in no bundle is a slot of its own. In any other slot each unit of
    the bundle takes one of its columns there.

    Attributes
    ----------
    columns : Columns
        The candidates.
    of_unit : ndarray of int64, shape (K,)
        Bundle of each unit: its first unit.
    inside : ndarray of bool, shape (K,)
        Units that groups or jobs keep in one place, with others or alone.
    slot : ndarray of int64, shape (n,)
        Slot of each column.
    jobs_usd_hr : ndarray of float, shape (n,)
        What the GPUs of a bundle's jobs cost at the slot of a column; infinite where it cannot be.
    """

    columns: Columns
    of_unit: NDArray[np.int64]
    inside: NDArray[np.bool_]
    slot: NDArray[np.int64]
    jobs_usd_hr: NDArray[np.float64]

    @classmethod
    def of(cls, instance: Instance, scope: Scope, columns: Columns) -> Bundles:
        """Return the bundles of single replicas that groups and jobs keep in one place."""
        bundle, slot = np.arange(len(columns.units)), np.arange(len(columns))
        inside = np.zeros(len(bundle), np.bool_)
        usd_hr, first = np.zeros(len(columns)), len(columns)
        unit_of = {unit.members[0]: k for k, unit in enumerate(columns.units)}
        starts = np.searchsorted(columns.unit, np.arange(len(columns.units) + 1))

        def mine(volumes: Sequence[int]) -> list[_Ints]:
            return [np.arange(*starts[[unit_of[v], unit_of[v] + 1]]) for v in volumes]

        def admissible(volumes: Sequence[int]) -> _Flags:
            there = np.zeros((len(volumes), len(instance.sites)), np.bool_)
            for row, i in zip(there, mine(volumes), strict=True):
                row[columns.offer[i]] = True
            return there

        for part, place in bundled(instance, scope, admissible):
            units = [unit_of[v] for v in part.volumes]
            bundle[units], inside[units] = min(units), True
            at = np.concatenate(mine(part.volumes))
            here = place[columns.offer[at]]
            slot[at] = np.where(here < 0, slot[at], first + here)
            first += int(place.max(initial=-1)) + 1
            usd_hr[at] = least_gpus_usd_hr(instance, part, place)[here]
            if instance.rentals is not None and part.workloads:
                needs, several = (
                    needs_several_nodes(instance.rentals, part),
                    instance.rentals.multinode,
                )
                alone = np.isin(columns.volume[at], np.array(part.volumes)[needs])
                usd_hr[at[alone & ~several[columns.offer[at]]]] = np.inf
        for v, o in instance.kept:
            if v in unit_of and inside[unit_of[v]]:
                usd_hr[(columns.volume == v) & (columns.offer != o)] = np.inf
        _, slot = np.unique(slot, return_inverse=True)
        return cls(columns, bundle, inside, slot.astype(np.int64), usd_hr)

    @cached_property
    def of_slot(self) -> NDArray[np.int64]:
        """Return the bundle of each slot."""
        of_slot = np.zeros(self.slot.max(initial=-1) + 1, np.int64)
        of_slot[self.slot] = self.of_unit[self.columns.unit]
        return of_slot

    @cached_property
    def possible(self) -> NDArray[np.bool_]:
        """Return the columns at whose slot every unit of the bundle has one, shape (n,)."""
        fit = np.isfinite(self.jobs_usd_hr)
        pairs = np.unique(np.c_[self.slot, self.columns.unit][fit], axis=0)
        there = np.bincount(pairs[:, 0], minlength=len(self.of_slot))
        needed = np.bincount(self.of_unit, minlength=len(self.of_unit))[self.of_slot]
        return np.asarray(fit & (there == needed)[self.slot])

    def at_best(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the least weight of a bundle that takes each column, shape (n,)."""
        key = self.slot * max(1, len(self.columns.units)) + self.columns.unit
        _, first, cell = np.unique(key, return_index=True, return_inverse=True)
        best = np.full(len(first), np.inf)
        np.minimum.at(best, cell, weight)
        sums = np.bincount(self.slot[first], best, len(self.of_slot))
        return np.asarray(weight - best[cell] + sums[self.slot])
