"""The columns of a program: which candidates a solver has to look at at all.

Two presolves, both of which keep an optimum, and of equal ones the first:

alike       Volumes that differ in nothing that the program can see are one unit with a count.
dominated   A candidate goes where another one of the same volume looks the same to every
            constraint and comes first by exact cost, stock, volumes tied at its site and key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.requirements.policy import PlaceLimit
from planner.requirements.spread import spreads
from planner.solve.bound import CLOSE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from planner.demand.model import Volume
    from planner.solve.problem import Instance, Scope


_View = tuple[str, ...]
"""What the constraints see of a volume's offer: levels of places and of spread, ``multinode``."""
_SPREAD = "spread "


@dataclass(frozen=True)
class VolumeClass:
    """Volumes that are alike, decided together.

    Attributes
    ----------
    members : tuple of int
        Volumes.
    replicas : int
        Of each of them.
    spread : str | None
        Level at which the replicas of one must differ; None where they need not.
    """

    members: tuple[int, ...]
    replicas: int
    spread: str | None

    @property
    def count(self) -> int:
        """Return the replicas of all members together."""
        return self.replicas * len(self.members)

    @property
    def most(self) -> int:
        """Return how many of these replicas one offer, or one domain, may hold."""
        return self.count if self.spread is None else len(self.members)


@dataclass(frozen=True)
class Columns:
    """Units, and the candidates a program chooses from: n columns, by unit and create key.

    Attributes
    ----------
    units : tuple of VolumeClass
        By first member.
    unit, offer : ndarray of int64, shape (n,)
        What each column places where.
    dominated : int
        Candidates of volumes that were left out.
    """

    units: tuple[VolumeClass, ...]
    unit: NDArray[np.int64]
    offer: NDArray[np.int64]
    dominated: int

    def __len__(self) -> int:
        return len(self.unit)

    def take(self, kept: NDArray[np.bool_]) -> Columns:
        """Return some of the columns."""
        return Columns(self.units, self.unit[kept], self.offer[kept], self.dominated)

    @property
    def volume(self) -> NDArray[np.int64]:
        """Return a volume of each column's unit, shape (n,)."""
        first = np.array([unit.members[0] for unit in self.units], np.int64)
        return first[self.unit]

    @property
    def has_empty_domain(self) -> bool:
        """Return whether some unit has no column."""
        return len(np.unique(self.unit)) < len(self.units)


def every_column(instance: Instance, scope: Scope) -> Columns:
    """Return every volume as its own unit, with every candidate."""
    units = tuple(_unit(instance, (v,)) for v in scope.volumes)
    admissible = instance.pairs.broken[list(scope.volumes)] == 0
    unit, offer = np.nonzero(admissible)
    return Columns(units, unit, offer, 0)


def lacks_places(instance: Instance, columns: Columns) -> bool:
    """Return whether the most places there may be cannot hold what the columns take at least.

    Under a share of 0.2 there are five providers, and as many sites.
    """
    pairs, at = instance.pairs, (columns.volume, columns.offer)
    for requirement in instance.requirements:
        what, level = requirement.sums or ("", None)
        if level is None:
            continue
        least = np.full(len(columns.units), np.iinfo(np.int64).max)
        sizes = pairs.provision_gb if what == "gb" else pairs.disks
        np.minimum.at(least, columns.unit, sizes[at])
        taken = sum(int(x) * unit.count for x, unit in zip(least, columns.units, strict=True))
        part, more = requirement.room(instance.demand)
        for limit in instance.requirements:
            inside = isinstance(limit, PlaceLimit) and limit.level in {level, "site"}
            if inside and taken > limit.value * (part * taken + more):
                return True
    return False


def presolve(instance: Instance, scope: Scope) -> Columns:
    """Return units of volumes that are alike, with the candidates that are not dominated."""
    units = _units(instance, scope)
    views = _views(instance, scope)
    by_view: dict[_View, list[int]] = {}
    looks_at = frozenset().union(
        *(requirement.looks_at for requirement in instance.requirements * scope.capped)
    )
    if instance.limits is not None and scope.workloads:
        looks_at |= {"disks"}  # of a pod that can mount only some
    found_units, found_offers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    forced = {v for v, _ in (*instance.forced, *instance.kept)}
    for k, unit in enumerate(units):
        if unit.members[0] in forced:
            found_offers.append(np.flatnonzero(instance.pairs.broken[unit.members[0]] == 0))
            found_units.append(np.full(len(found_offers[-1]), k))
        else:
            by_view.setdefault(views[unit.members[0]], []).append(k)
    for view, members in by_view.items():
        volumes = np.array([units[k].members[0] for k in members], np.int64)
        rows, offers = _first_of_each(instance, volumes, view)
        kept = _cheapest_of_each(instance, volumes[rows], offers, view, looks_at=looks_at)
        found_units.append(np.array(members, np.int64)[rows[kept]])
        found_offers.append(offers[kept])
    numbers, offer = np.concatenate(found_units), np.concatenate(found_offers)
    order = np.lexsort((offer, numbers))
    sizes = np.array([len(unit.members) for unit in units], np.int64)
    firsts = [unit.members[0] for unit in units]
    admissible = [np.count_nonzero(instance.pairs.broken[v] == 0) for v in firsts]
    all_pairs = int((np.array(admissible, np.int64) * sizes).sum())
    left_out = all_pairs - int(sizes[numbers].sum())
    return Columns(units, numbers[order], offer[order], left_out)


def _unit(instance: Instance, members: tuple[int, ...]) -> VolumeClass:
    volume = instance.pairs.volumes[members[0]]
    apart = spreads(volume.replicas, volume.spread)
    return VolumeClass(members, volume.replicas, volume.spread if apart else None)


def _units(instance: Instance, scope: Scope) -> tuple[VolumeClass, ...]:
    """Return volumes that are alike together; those in groups and workloads stay alone."""
    mounts = instance.rentals.mounts if instance.rentals is not None else ()
    alone = {v for tie in scope.ties for v in tie.members}
    alone |= {v for w in scope.workloads for v in mounts[w]} | {v for v, _ in instance.forced}
    alone |= {v for v, _ in instance.kept}
    alone |= {v for members in instance.shared_disks.values() for v in members}
    owners = {
        requirement.owner for requirement in instance.requirements if requirement.owner is not None
    }
    alike: dict[Any, list[int]] = {}
    for v in scope.volumes:
        volume = instance.pairs.volumes[v]
        if v in alone or not _single(instance, volume):
            alike[v] = [v]
        else:
            owner = volume.owner if volume.owner in owners else None
            # All that a program sees of what it asks of offers is which candidates are left.
            admissible = np.packbits(instance.pairs.broken[v] == 0).tobytes()
            look = admissible, volume.need_gb, volume.replicas, volume.spread, owner
            alike.setdefault(look, []).append(v)
    return tuple(_unit(instance, tuple(members)) for members in alike.values())


def _single(instance: Instance, volume: Volume) -> bool:
    """Return whether counts by domain can be dealt out to volumes: each offer is in one."""
    return not spreads(volume.replicas, volume.spread) or instance.least.is_single(volume.spread)


def _views(instance: Instance, scope: Scope) -> dict[int, _View]:
    """Return what the constraints of a scope see of each volume's offer."""
    common = set[str]()
    for requirement in instance.requirements * scope.capped:
        common |= requirement.levels
    seen = {v: set(common) for v in scope.volumes}
    for tie in scope.ties:
        for v in tie.members:
            seen[v].add(tie.level)
    for w in scope.workloads:
        for v in instance.rentals.mounts[w] if instance.rentals is not None else ():
            seen[v] |= {"site", "multinode"}
    for v, levels in seen.items():
        volume = instance.pairs.volumes[v]
        if spreads(volume.replicas, volume.spread):
            levels.add(_SPREAD + volume.spread)
    return {v: tuple(sorted(levels)) for v, levels in seen.items()}


def _codes(instance: Instance, view: _View, *, grid: bool) -> NDArray[np.int64]:
    """Return a number for what is seen of each offer, and the sizes it sells, shape (O,)."""
    offers = instance.pairs.offers
    facts: list[Sequence[Any]] = [
        offers["multinode"].fillna(value=False).tolist()
        if level == "multinode"
        else instance.spread_domains(level.removeprefix(_SPREAD))
        if level.startswith(_SPREAD)
        else instance.places(level)
        for level in view
    ]
    if instance.pairs.shared:  # what several volumes choose together, none does for itself
        facts.append([o if o in instance.pairs.shared else -1 for o in range(len(offers))])
    if grid:
        facts += [offers[name].astype(object).map(str).tolist() for name in _GRID]
    numbers: dict[tuple[Any, ...], int] = {}
    rows = zip(*facts, strict=True) if facts else [()] * len(offers)
    return np.array([numbers.setdefault(tuple(row), len(numbers)) for row in rows], np.int64)


_GRID = ("min_gb", "step_gb", "max_gb")


def _first_of_each(
    instance: Instance, volumes: NDArray[np.int64], view: _View
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (row, offer) of the first candidate of each class that sells the same sizes.

    Equal sizes cost what their prices say, so one order of all offers decides for every volume.
    """
    codes, order = _codes(instance, view, grid=True), instance.static_order
    admissible = instance.pairs.broken[volumes] == 0
    rows, offers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for code in range(codes.max() + 1 if len(codes) else 0):
        members = order[codes[order] == code]
        inside = admissible[:, members]
        sold = np.flatnonzero(inside.any(axis=1))
        rows.append(sold)
        offers.append(members[inside[sold].argmax(axis=1)])
    return np.concatenate(rows), np.concatenate(offers)


def _cheapest_of_each(
    instance: Instance,
    volumes: NDArray[np.int64],
    offers: NDArray[np.int64],
    view: _View,
    *,
    looks_at: frozenset[str],
) -> NDArray[np.int64]:
    """Return which of these candidates are the first of their class, whatever sizes it sells."""
    if not len(volumes):
        return np.empty(0, np.int64)
    pairs = instance.pairs
    gb = pairs.provision_gb[volumes, offers]
    price = np.array([float(usd or 0) for usd in pairs.offers["usd_gb_hr"]])
    usd_hr = gb * price[offers]
    codes = _codes(instance, view, grid=False)[offers]
    seen = [volumes, codes]
    seen += [gb] if "gb" in looks_at else []
    seen += [pairs.disks[volumes, offers]] if "disks" in looks_at else []
    order = np.lexsort((usd_hr, *reversed(seen)))
    starts = np.flatnonzero(
        np.r_[True, np.any([np.diff(codes[order]) != 0 for codes in seen], axis=0)]
    )
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(order)]))
    close = usd_hr[order] <= usd_hr[order][starts][group] * CLOSE
    kept: dict[int, int] = {}

    def comes_first(column: int) -> tuple[Any, ...]:
        o = int(offers[column])
        exact = pairs.usd_hr(int(volumes[column]), o)
        return exact, int(instance.penalty[o]), -int(instance.tied_volumes[o]), o

    for place in np.flatnonzero(close).tolist():
        column, number = int(order[place]), int(group[place])
        if number not in kept or comes_first(column) < comes_first(kept[number]):
            kept[number] = column
    return np.array(sorted(kept.values()), np.int64)
