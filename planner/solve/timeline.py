"""A growing demand held against a market in every month.

Whether a size may be bought of an offer, and what it costs, depends on the month until which it
has to do. So an offer bought for each such month is one *choice*, and all choices together are an
instance like any other, in which every requirement is held against each month.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from planner.requirements.policy import policy_requirements
from planner.solve.amounts import Amounts
from planner.solve.candidates import Pairs, monthly_pairs
from planner.solve.existing import existing_offers
from planner.solve.packed_volumes import PackedVolume, packed
from planner.solve.packing import attach_limits
from planner.solve.problem import Instance, Scope
from planner.solve.rentals import rent, shared_volumes
from planner.solve.tenures import tenure_usd
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from planner.demand.model import Demand, Volume
    from planner.solve.existing import Kept
    from planner.solve.problem import Chosen


CROWDED = np.uint32(1 << 31)
"""A bit that stands for no rule: a pod cannot mount a disk for each volume of the job there."""


class Stay(NamedTuple):
    """One disk of one replica.

    Attributes
    ----------
    start, end : int
        Months from which and until which it is there: ``start ≤ t < end``.
    choice : int
        The offer and what it is bought for, as a number of the timeline's choices.
    """

    start: int
    end: int
    choice: int


Stays = dict[int, list[Stay]]
"""Stays of each volume, of all replicas."""


@dataclass(frozen=True)
class Schedule:
    """The cheapest stays, and what they are proven to cost at least.

    Attributes
    ----------
    stays : dict of list of Stay
        Of each volume.
    usd : Decimal
        Exact cost of disks and GPUs over the horizon.
    bound_usd : Decimal | None
        Proven limit of it; None where the cost is proven to be the least.
    """

    stays: Stays
    usd: Decimal
    bound_usd: Decimal | None


@dataclass(frozen=True)
class Timeline:
    """A growing demand held against a market in every month.

    Choice ``o * H + j - 1`` is offer o bought for what is needed until month j; after them come the
    live disks.

    Attributes
    ----------
    demand : Demand
        V volumes, over H months; those of one disk are one, see `packed`.
    months : list of Pairs
        Volumes and O offers, at what is needed at the end of each month.
    asked : Demand
        With every volume by itself.
    existing : tuple of Kept
        Replicas that live disks already are, of every volume by itself.
    kept : tuple of Kept
        The same of the demand's volumes: their first stay.
    gpus : DataFrame | None
        Columns ``GPUS``.
    limits_pods : bool
        Whether jobs run only where a pod can mount a disk for each of their volumes: no schedule
        has disks that volumes share.
    """

    demand: Demand
    months: list[Pairs]
    asked: Demand
    existing: tuple[Kept, ...] = ()
    kept: tuple[Kept, ...] = ()
    gpus: pd.DataFrame | None = field(default=None, repr=False)
    limits_pods: bool = True

    @classmethod
    def of(
        cls,
        demand: Demand,
        offers: pd.DataFrame,
        gpus: pd.DataFrame | None,
        kept: Sequence[Kept] = (),
    ) -> Timeline:
        """Return the timeline of a demand and a market, columns ``ADDRESSABLE`` and ``GPUS``.

        Raises
        ------
        Infeasible, InputError
            As `packed` does.
        """
        as_one = packed(demand, kept)
        months = monthly_pairs(as_one.demand, offers, as_one.asked)
        return cls(as_one.demand, months, demand, tuple(kept), as_one.kept, gpus)

    def members(self, v: int) -> tuple[Volume, ...]:
        """Return the volumes that are on the disks of a volume: itself, or those that share."""
        volume = self.demand.volumes[v]
        return volume.members if isinstance(volume, PackedVolume) else (volume,)

    @property
    def horizon(self) -> int:
        """Return how many months there are."""
        return len(self.months)

    @cached_property
    def offers(self) -> int:
        """Return how many offers there are."""
        return len(self.months[0].offers)

    @cached_property
    def is_coupled(self) -> bool:
        """Return whether anything couples volumes."""
        demand = self.demand
        return bool(demand.groups or demand.workloads or policy_requirements(demand.policy))

    @cached_property
    def instance(self) -> Instance:
        """Return all choices as the offers of one instance, live disks last."""
        market, live = self.months[0].offers, existing_offers(self.months[0].offers, self.kept)
        sizes = np.array([sum(each.sizes_gb) for each in self.kept], np.int64)
        disks = np.array([len(each.disk_ids) for each in self.kept], np.int64)
        pairs = Pairs(
            self.demand.volumes,
            pd.concat(
                [market.iloc[np.repeat(np.arange(len(market)), self.horizon)], live],
                ignore_index=True,
            ),
            self._choices([each.broken for each in self.months], np.ones(len(live), np.uint32)),
            Amounts(self._choices([each.disks for each in self.months], disks)),
            Amounts(self._choices([each.provision_gb for each in self.months], sizes)),
            {self.horizon * len(market) + n: each.usd_hr for n, each in enumerate(self.kept)},
            self.months[0].mounted,
        )
        return self._instance(pairs)

    def _choices(self, months: Sequence[ArrayLike], live: NDArray[Any]) -> NDArray[Any]:
        """Return an array of volumes and choices, of arrays (V, O) of each month."""
        volumes = len(self.demand.volumes)
        bought = np.stack(months, axis=2).reshape(volumes, -1)
        return np.hstack([bought, np.broadcast_to(live, (volumes, len(live)))])

    def month(self, month: int) -> Instance:
        """Return what is bought for the needs of a month as an instance of its own."""
        volumes = tuple(volume.bought_for(month) for volume in self.demand.volumes)
        return self._instance(replace(self.months[month], volumes=volumes))

    def domains(self, level: str) -> tuple[list[frozenset[Any]], dict[int, frozenset[Any]]]:
        """Return the domains of the market's offers, and of the choices that are live disks."""
        if not self.kept:
            return self.months[0].facts.grouped(level)[0], {}
        every, live = self.instance.spread_domains(level), self.horizon * self.offers
        return every[: live : self.horizon], dict(enumerate(every[live:], live))

    def _instance(self, pairs: Pairs) -> Instance:
        demand, gpus = self.demand, self.gpus
        rentals = None
        if demand.workloads and gpus is not None:
            rentals = rent(demand, pairs.offers, gpus)
            names = [volume.name for volume in self.asked.volumes]
            several = dict(zip(names, shared_volumes(self.asked).tolist(), strict=True))
            members = (self.members(v) for v in range(len(demand.volumes)))
            shared = [any(several[each.name] for each in mine) for mine in members]
            rentals = replace(rentals, shared=np.array(shared, np.bool_))
            limits = attach_limits(demand, pairs, rentals) if self.limits_pods else None
            if limits is not None:
                crowded = np.where(limits.too_many, CROWDED, np.uint32(0))
                rentals = replace(rentals, broken=rentals.broken | crowded)
        return Instance(demand, pairs, rentals)

    @property
    def crowded(self) -> list[str]:
        """Return the jobs that could run where a pod mounts fewer disks than they have volumes."""
        rentals, is_sold = self.instance.rentals, self.instance.pairs.broken == 0
        if rentals is None:
            return []
        jobs = {
            w: rentals.workloads[w].name
            for w, g in np.argwhere(rentals.broken == CROWDED).tolist()
            if all((rentals.mountable(w, v, g) & is_sold[v]).any() for v in rentals.mounts[w])
        }
        return [*jobs.values()]

    @cached_property
    def first(self) -> Stays:
        """Return the stays that live disks are: each until it can hold its volume no more."""
        index = {volume.name: v for v, volume in enumerate(self.demand.volumes)}
        stays: Stays = {v: [] for v in index.values()}
        for n, kept in enumerate(self.kept):
            v = index[kept.volume]
            volume, size_gb = self.demand.volumes[v], sum(kept.sizes_gb)
            held = (t for t in range(self.horizon) if volume.held_gb(t) > size_gb)
            stays[v].append(Stay(0, next(held, self.horizon), self.horizon * self.offers + n))
        return stays

    @cached_property
    def scale(self) -> tuple[int, Fraction, Fraction]:
        """Return what makes USD whole numbers, overlap hours, and egress in USD per GB."""
        move = self.demand.policy.moving
        overlap, egress = Fraction(move.overlap_hours), Fraction(move.egress_usd_gb)
        prices = [Fraction(p) for p in self.months[0].offers["usd_gb_hr"] if p is not None]
        parts = [*(p.denominator for p in prices), egress.denominator]
        return lcm(*parts) * overlap.denominator, overlap, egress

    def usd_hr(self, v: int, choice: int) -> Decimal:
        """Return what a choice costs in an hour, exactly."""
        o, month = divmod(choice, self.horizon)
        if o >= self.offers:
            return self.kept[choice - self.horizon * self.offers].usd_hr
        return self.months[month].usd_hr(v, o)

    def usd(self, v: int, stay: Stay) -> Decimal:
        """Return what a stay costs, exactly."""
        usd_hr = self.usd_hr(v, stay.choice)
        return tenure_usd(self.demand, self.demand.volumes[v], usd_hr, stay.start, stay.end)

    def disks_usd(self, stays: Mapping[int, Sequence[Stay]]) -> Decimal:
        """Return what all disks cost over the horizon, exactly."""
        return total(self.usd(v, stay) for v, each in stays.items() for stay in each)

    def chosen(self, stays: Mapping[int, Sequence[Stay]], month: int) -> Chosen:
        """Return what is there in a month."""
        return {
            v: [stay.choice for stay in each if stay.start <= month < stay.end]
            for v, each in stays.items()
        }

    def gpus_usd(self, stays: Mapping[int, Sequence[Stay]], jobs: Sequence[int]) -> Decimal | None:
        """Return what the cheapest GPUs cost over the horizon; None where there are none."""
        rentals, costs = self.instance.rentals, list[Decimal]()
        for month in range(self.horizon) if jobs else ():
            chosen = self.chosen(stays, month)
            for w in jobs:
                g = self.instance.rent_best(w, chosen) if rentals else None
                if g is None or rentals is None:
                    return None
                costs.append(rentals.usd_month(w, g))
        return total(costs)

    def holds(self, scope: Scope, stays: Mapping[int, Sequence[Stay]]) -> bool:
        """Return whether stays satisfy a scope in every month."""
        if not scope.ties and not (scope.capped and self.instance.requirements):
            return True
        return all(
            self.instance.holds(scope, self.chosen(stays, month)) for month in range(self.horizon)
        )
