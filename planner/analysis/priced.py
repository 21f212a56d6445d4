"""What volumes cost at prices of the limits that couple them, and what they take of each limit.

At such prices every volume chooses for itself, and what they all cost, less what the limits allow,
is below any plan (see `planner.solve.dual`). A change of one volume changes one row of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from planner.solve.bundles import bundled
from planner.solve.certificate import (
    as_multipliers,
    coupled,
    has_single_places,
    limits_of,
)
from planner.solve.dual import Lagrangian
from planner.solve.presolve import presolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from planner.demand.model import Volume
    from planner.solve.certificate import Multiplier
    from planner.solve.problem import Chosen, Instance

    _Floats = NDArray[np.float64]
    _Ints = NDArray[np.int64]


_DUST, _BLOCK = 1e-9, 4096
"""What sums of floats are sure to, and how many volumes are summed at once."""


@dataclass(frozen=True)
class Unit:
    """A volume, or volumes of one replica that groups keep in one place.

    Of each offer its place then, -1 where there is none.
    """

    volumes: tuple[int, ...]
    place: _Ints | None = field(default=None, compare=False)


def units_of(instance: Instance) -> tuple[Unit, ...]:
    """Return the volumes that groups keep together, and every other volume."""
    broken = instance.pairs.broken
    parts = bundled(instance, instance.whole, lambda volumes: broken[list(volumes)] == 0)
    together = [Unit(part.volumes, place) for part, place in parts if not part.workloads]
    grouped = {v for unit in together for v in unit.volumes}
    alone = (Unit((v,)) for v in range(len(instance.volumes)) if v not in grouped)
    return (*together, *alone)


def has_prices(instance: Instance) -> bool:
    """Return whether limits on sums are all that couples volumes, but for groups."""
    beside = instance.demand.workloads or instance.kept or instance.pairs.shared
    sums = all(requirement.sums is not None for requirement in instance.requirements)
    return bool(instance.requirements) and sums and not beside and has_single_places(instance)


def multipliers_of(instance: Instance) -> tuple[Multiplier, ...]:
    """Return prices of the limits that prove most."""
    limits = limits_of(instance)
    columns = presolve(instance, instance.whole)
    best = Lagrangian(coupled(instance, columns, limits).coupled).best()
    return () if best is None else as_multipliers(limits, best.prices)[0]


class LimitPrices:
    """Prices of the limits of an instance.

    Parameters
    ----------
    instance : Instance
        Its policy limits sums (see `has_prices`).
    multipliers : sequence of Multiplier
        Prices; those of limits that the policy does not set are left out.

    Attributes
    ----------
    right : ndarray of float, shape (L,)
        What each limit allows.
    """

    def __init__(self, instance: Instance, multipliers: Sequence[Multiplier]) -> None:
        price = {(m.limit, m.owner, m.place): float(m.usd_hr) for m in multipliers}
        self._limits = limits_of(instance)
        rooms = [limit.requirement.room(instance.demand) for limit in self._limits]
        self._parts = [float(part) for part, _ in rooms]
        self._prices = [
            np.array([price.get((r.field, r.owner, place), 0.0) for place in places])
            for r, _, places in self._limits
        ]
        sizes = [len(limit.places) for limit in self._limits]
        self.right = np.repeat([float(more) for _, more in rooms], sizes)
        self.constant = -float(np.concatenate([*self._prices, np.zeros(0)]) @ self.right)
        self._per = {what: np.zeros(len(instance.pairs.offers)) for what in ("gb", "disks")}
        self._owned: tuple[tuple[Volume, ...], NDArray[np.object_], _Floats] | None = None
        self._dearer = dict[str | None, float]()
        for limit, part, prices in zip(self._limits, self._parts, self._prices, strict=True):
            what, owner = (limit.requirement.sums or ("", None))[0], limit.requirement.owner
            if what == "usd_hr":
                self._dearer[owner] = self._dearer.get(owner, 0.0) + float(prices.sum())
            else:
                self._per[what] = self._per[what] + prices[limit.code] - part * prices.sum()

    def rows(self, instance: Instance, volumes: Sequence[int]) -> _Floats:
        """Return what a replica of volumes costs at each offer, infinite where none can be."""
        pairs, at = instance.pairs, list(volumes)
        dearer = self._owners_of(instance)[1][at]
        gb = pairs.provision_gb[at]
        usd = gb * np.where(np.isinf(pairs.facts.float_prices), 0, pairs.facts.float_prices)
        cost = usd * dearer[:, None] + gb * self._per["gb"]
        cost = cost + pairs.disks[at] * self._per["disks"]
        result: _Floats = np.where(pairs.broken[at] == 0, cost, np.inf)
        return result

    def line(self, instance: Instance, offer: int) -> tuple[_Floats, _Floats]:
        """Return what volumes cost at an offer, against its price: a constant and a slope, (V,)."""
        gb, disks = instance.pairs.provision_gb[:, offer], instance.pairs.disks[:, offer]
        dearer = self._owners_of(instance)[1]
        return gb * self._per["gb"][offer] + disks * self._per["disks"][offer], gb * dearer

    def _owners_of(self, instance: Instance) -> tuple[NDArray[np.object_], _Floats]:
        """Return the owner of each volume, and what a USD for it costs; see `_dearer_of`."""
        if self._owned is None or self._owned[0] is not instance.volumes:
            names = [volume.owner for volume in instance.volumes]
            known = {owner: self._dearer_of(owner) for owner in {*names}}
            owners = np.array([owner or "" for owner in names], object)
            self._owned = instance.volumes, owners, np.array([known[owner] for owner in names])
        return self._owned[1:]

    def _dearer_of(self, owner: str | None) -> float:
        """Return what a USD for a volume of an owner costs where budgets limit it."""
        return 1 + sum(self._dearer.get(who, 0.0) for who in dict.fromkeys((None, owner)))

    def effects(self, instance: Instance, volume: _Ints, offer: _Ints) -> _Floats:
        """Return what replicas take of each limit, shape (n, L)."""
        pairs = instance.pairs
        blocks: list[_Floats] = []
        gb = pairs.provision_gb[volume, offer].astype(float)
        prices = pairs.facts.float_prices[offer]
        amounts = {"gb": gb, "usd_hr": gb * np.where(np.isinf(prices), 0, prices)}
        amounts["disks"] = pairs.disks[volume, offer].astype(float)
        owners = self._owners_of(instance)[0]
        for limit, part in zip(self._limits, self._parts, strict=True):
            what, owner = (limit.requirement.sums or ("", None))[0], limit.requirement.owner
            mine = amounts[what]
            if owner is not None:
                mine = mine * (owners[volume] == owner)
            block = np.repeat(-part * mine[:, None], len(limit.places), axis=1)
            block[np.arange(len(mine)), limit.code[offer]] += mine
            blocks.append(block)
        return np.hstack([*blocks, np.zeros((len(volume), 0))])


class PolicyRoom:
    """What a plan leaves of the limits of a policy: whether volumes may move is seen at once.

    Parameters
    ----------
    instance : Instance
        What the plan is of.
    chosen : dict of list of int
        Offers of all its volumes.
    """

    def __init__(self, instance: Instance, chosen: Chosen) -> None:
        self._instance, self._chosen = instance, chosen
        self._is_seen = all(r.sums is not None for r in instance.requirements)
        self._limits = LimitPrices(instance, ())
        taken = np.zeros((2, len(self._limits.right)))
        every = [*chosen]
        for start in range(0, len(every), _BLOCK):
            taken += self._takes(instance, {v: chosen[v] for v in every[start : start + _BLOCK]})
        self._room: _Floats = self._limits.right - taken[0] - _DUST * (taken[1] + 1)

    def _takes(self, instance: Instance, chosen: Chosen) -> _Floats:
        """Return what offers take of each limit, and the same without signs, (2, L)."""
        each = [(v, o) for v, offers in chosen.items() for o in offers]
        effects = self._limits.effects(instance, *np.array(each, np.int64).reshape(-1, 2).T)
        return np.array([effects.sum(axis=0), np.abs(effects).sum(axis=0)])

    def allows(self, volumes: Sequence[int], other: Instance, chosen: Chosen) -> bool:
        """Return whether volumes surely may be elsewhere; if not, that takes a closer look.

        Parameters
        ----------
        other : Instance
            Of which the offers are, in its own numbers: volumes may ask for something else there.
        """
        if not self._is_seen:
            return False
        was = self._takes(self._instance, {v: self._chosen[v] for v in volumes})
        now = self._takes(other, chosen)
        return bool((now[0] - was[0] + _DUST * (now[1] + was[1]) <= self._room).all())
