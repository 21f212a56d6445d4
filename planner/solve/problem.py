"""What is to be solved, as numbers: pairs, rentals, what ties volumes together, what caps them all.

Volumes, offers, workloads and GPU offers are their indices from here on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.requirements.group import GroupConstraint
from planner.requirements.packing import fewest_disks, one_disk_groups
from planner.requirements.policy import policy_requirements
from planner.solve.bound import SeparableBound
from planner.solve.candidates import Pairs, pair
from planner.solve.existing import Kept, with_kept
from planner.solve.packing import AttachLimits, attach_limits, best_rented, with_shared_disks
from planner.solve.rentals import Rentals, rent
from planner.units import total, usd_month

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence
    from decimal import Decimal

    import pandas as pd
    from numpy.typing import NDArray

    from planner.demand.model import Demand, Policy, Volume
    from planner.requirements.base import PolicyRequirement


Chosen = dict[int, list[int]]
"""Offers of each volume, one entry for each replica, by create key."""


@dataclass(frozen=True)
class Scope:
    """A part of an instance that is decided at once.

    Attributes
    ----------
    volumes, workloads : tuple of int
        What is decided.
    ties : tuple of GroupConstraint
        Groups among the volumes.
    capped : bool
        Whether the policy's budgets, caps and share are part of it.
    """

    volumes: tuple[int, ...]
    workloads: tuple[int, ...]
    ties: tuple[GroupConstraint, ...]
    capped: bool = False


@dataclass(frozen=True)
class Instance:
    """A demand held against a market.

    Attributes
    ----------
    demand : Demand
        What is asked.
    pairs : Pairs
        Every volume at every disk offer.
    rentals : Rentals | None
        Every workload at every GPU offer; None where there are no workloads.
    kept : tuple of (int, int)
        Volumes and the offers that are a live disk of theirs: exactly one replica is there.
    forced : tuple of (int, frozenset of int)
        For questions of what if: a volume, and offers of which one at least has to hold a replica.
    limits : AttachLimits | None
        What one pod can mount; None where no job can need more.
    """

    demand: Demand
    pairs: Pairs
    rentals: Rentals | None
    kept: tuple[tuple[int, int], ...] = ()
    forced: tuple[tuple[int, frozenset[int]], ...] = ()
    limits: AttachLimits | None = None

    @classmethod
    def of(
        cls,
        demand: Demand,
        offers: pd.DataFrame,
        gpus: pd.DataFrame | None,
        kept: Sequence[Kept] = (),
        *,
        everywhere: bool = False,
    ) -> Instance:
        """Return the instance of a demand and a market.

        Parameters
        ----------
        demand : Demand
            What is asked.
        offers : DataFrame
            Columns ``ADDRESSABLE``.
        gpus : DataFrame | None
            Columns ``GPUS``; None where there are no workloads.
        kept : sequence of Kept
            Replicas that live disks already are.
        everywhere : bool
            Also with disks that volumes could share if requirements were relaxed.
        """
        pairs, rentals, limits = with_kept(pair(demand, offers), kept), None, None
        if demand.workloads and gpus is not None:
            rentals = rent(demand, pairs.offers, gpus)
            limits = attach_limits(demand, pairs, rentals, everywhere=everywhere)
        pairs, rentals = with_shared_disks(demand, pairs, rentals, limits, everywhere=everywhere)
        at = {volume.name: v for v, volume in enumerate(demand.volumes)}
        places = tuple((at[replica.volume], len(offers) + n) for n, replica in enumerate(kept))
        return cls(demand, pairs, rentals, places, limits=limits)

    @cached_property
    def least(self) -> SeparableBound:
        """Return the least choice of every volume on its own."""
        return SeparableBound(self.pairs)

    @cached_property
    def requirements(self) -> tuple[PolicyRequirement, ...]:
        """Return what the policy asks of the whole plan."""
        return policy_requirements(self.demand.policy)

    def under(self, policy: Policy) -> Instance:
        """Return the same under another policy, with what is known but for its requirements."""
        other = replace(self, demand=self.demand.model_copy(update={"policy": policy}))
        known = {"least": self.least, **vars(self)}
        vars(other).update(
            {name: known[name] for name in known.keys() - {"demand", "requirements"}}
        )
        return other

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Return the volumes."""
        return self.pairs.volumes

    def usd_hr(self, volume: int, offer: int) -> Decimal:
        """Return the hourly cost of one replica."""
        return self.pairs.usd_hr(volume, offer)

    def gb(self, volume: int, offer: int) -> int:
        """Return what one replica takes, in GB."""
        return int(self.pairs.provision_gb[volume, offer])

    def disks(self, volume: int, offer: int) -> int:
        """Return in how many disks one replica is held."""
        return int(self.pairs.disks[volume, offer])

    def usd_gb_hr(self, offer: int) -> Decimal:
        """Return the price of an offer."""
        return self.pairs.usd_gb_hr(offer)

    @cached_property
    def index(self) -> dict[str, int]:
        """Return the number of each volume by its name."""
        return {volume.name: v for v, volume in enumerate(self.pairs.volumes)}

    @property
    def sites(self) -> list[tuple[str | None, ...]]:
        """Return the site of each offer."""
        return self.pairs.facts.sites

    @cached_property
    def penalty(self) -> NDArray[np.int64]:
        """Return ``3 - rank`` of each offer's stock."""
        return np.array(self.pairs.facts.penalty, np.int64)

    @cached_property
    def tied_volumes(self) -> NDArray[np.int64]:
        """Return for how many volumes each offer's site is tied, were each volume alone."""
        tied = self.least.tied
        return np.array([tied[site] for site in self.sites], np.int64)

    @cached_property
    def static_order(self) -> NDArray[np.int64]:
        """Return the offers by exact price, stock, volumes tied at their site and create key."""
        prices = self.pairs.facts.prices
        keys = [
            (price is None, price or 0, int(stock), -int(popular), offer)
            for offer, (price, stock, popular) in enumerate(
                zip(prices, self.penalty, self.tied_volumes, strict=True)
            )
        ]
        return np.array([key[-1] for key in sorted(keys)], np.int64)

    def places(self, level: str) -> list[frozenset[Any]]:
        """Return the domains that each offer lies in at a level."""
        return self.least.domains(level)

    def spread_domains(self, level: str) -> list[frozenset[Any]]:
        """Return the domains of each offer that copies spread over a level may not share."""
        return self.least.spread_domains(level)

    @cached_property
    def ties(self) -> tuple[GroupConstraint, ...]:
        """Return the demand's groups, one tie for each level they speak of."""
        groups, volumes = self.demand.groups, self.pairs.volumes
        return tuple(
            tie for group in groups for tie in GroupConstraint.of(group, self.index, volumes)
        )

    @cached_property
    def shared_disks(self) -> dict[int, tuple[int, ...]]:
        """Return the volumes of each offer that is a disk they may share."""
        return {
            o: tuple(self.index[name] for name in disk.members)
            for o, disk in self.pairs.shared.items()
            if disk.members[0] in self.index
        }

    @cached_property
    def whole(self) -> Scope:
        """Return everything as one scope, under the policy."""
        volumes = tuple(range(len(self.pairs.volumes)))
        return Scope(volumes, tuple(range(len(self.demand.workloads))), self.ties, capped=True)

    @cached_property
    def components(self) -> tuple[Scope, ...]:
        """Return the volumes that groups and workloads connect, by first volume; no one alone."""
        root = list(range(len(self.pairs.volumes)))

        def find(v: int) -> int:
            while root[v] != v:
                root[v] = root[root[v]]
                v = root[v]
            return v

        mounts = self.rentals.mounts if self.rentals is not None else ()
        groups = dict.fromkeys(one_disk_groups(self.demand).values())
        together = [tuple(self.index[name] for name in members) for members in groups]
        tied = [*(tie.members for tie in self.ties), *mounts, *together]
        for members in tied:
            for v in members[1:]:
                left, right = sorted((find(members[0]), find(v)))
                root[right] = left
        coupled = {v for members in tied for v in members} | {v for v, _ in self.forced}
        coupled |= {v for v, _ in self.kept if self.pairs.volumes[v].replicas > 1}
        parts: dict[int, list[int]] = {find(v): [] for v in sorted(coupled)}
        ties: dict[int, list[GroupConstraint]] = {part: [] for part in parts}
        jobs: dict[int, list[int]] = {part: [] for part in parts}
        for v in sorted(coupled):
            parts[find(v)].append(v)
        for tie in self.ties:
            ties[find(tie.members[0])].append(tie)
        for w, mounted in enumerate(mounts):
            jobs[find(mounted[0])].append(w)
        return tuple(
            Scope(tuple(volumes), tuple(jobs[part]), tuple(ties[part]))
            for part, volumes in parts.items()
        )

    def reachable(self, w: int, chosen: Mapping[int, Sequence[int]]) -> NDArray[np.bool_]:
        """Return the GPU offers with every mounted volume at hand that is placed, shape (G,).

        There one pod can mount the disks that hold them.
        """
        rentals, limits = self._rentals, self.limits
        allowed = np.ones(len(rentals.gpus), np.bool_)
        several = rentals.several_nodes(w)
        for v in rentals.mounts[w]:
            if v not in chosen:
                continue
            offers = np.asarray(chosen[v])
            mountable = rentals.meets[:, offers]
            shared = mountable & rentals.multinode[offers]
            needs = several | rentals.shared[v]
            allowed &= np.where(needs, shared.any(axis=1), mountable.any(axis=1))
        if limits is not None and limits.limited[w]:
            for g in np.flatnonzero(allowed & (rentals.broken[w] == 0)).tolist():
                allowed[g] = self.disks_mounted(w, g, chosen) <= limits.most[g]
        return allowed

    def disks_mounted(self, w: int, g: int, chosen: Mapping[int, Sequence[int]]) -> int:
        """Return from how few disks a workload on a GPU offer has each volume that is placed."""
        pairs, rentals = self.pairs, self._rentals
        options: list[dict[Hashable, int]] = []
        for v in rentals.mounts[w]:
            if v in chosen:
                here = rentals.mountable(w, v, g)
                mine = {o for o in chosen[v] if here[o]}
                options.append({pairs.disk(v, o): max(self.disks(v, o), 1) for o in mine})
        return fewest_disks(options, sum(max(each.values(), default=0) for each in options))

    def rent_best(self, w: int, chosen: Mapping[int, Sequence[int]]) -> int | None:
        """Return the GPU offer to take for a workload where its volumes are, None where none is.

        Whether other jobs need it elsewhere, for a disk that they share, is not looked at.
        """
        return self._rentals.best(w, self.reachable(w, chosen))

    def rent(
        self, workloads: Iterable[int], chosen: Mapping[int, Sequence[int]]
    ) -> dict[int, int] | None:
        """Return the cheapest GPU offers for workloads where volumes are; None where none are.

        Volumes share a disk only where jobs run that need it, which may decide between GPU offers.
        """
        allowed = {w: self.reachable(w, chosen) for w in workloads}
        if not allowed:
            return {}
        rented = {w: self._rentals.best(w, mask) for w, mask in allowed.items()}
        needed = self._needed(chosen)
        return best_rented(self._rentals, self.limits, allowed, rented, needed)

    def _needed(self, chosen: Mapping[int, Sequence[int]]) -> list[tuple[int, tuple[int, ...]]]:
        """Return each shared disk that jobs have to need, for each volume (or group) on it."""
        shared = self.pairs.shared
        used = {o for offers in chosen.values() for o in offers if o in shared}
        together = one_disk_groups(self.demand) if used else {}
        return [
            (o, tuple(self.index[each] for each in unit))
            for o in sorted(used)
            if not shared[o].by_group
            for unit in dict.fromkeys(together.get(name, (name,)) for name in shared[o].members)
        ]

    @property
    def least_usd_hr(self) -> Decimal:
        """Return what all disks cost at least; a volume without a choice costs nothing."""
        costs = (self.least.cost(v) for v in range(len(self.pairs.volumes)))
        return total(cost for cost in costs if cost is not None)

    @property
    def _rentals(self) -> Rentals:
        if self.rentals is None:
            raise ValueError("the instance has no workloads")
        return self.rentals

    def disk_usd_hr(self, chosen: Mapping[int, Sequence[int]]) -> Decimal:
        """Return the exact hourly cost of chosen disks."""
        return total(self.pairs.usd_hr(v, o) for v, offers in chosen.items() for o in offers)

    def usd_month(self, chosen: Mapping[int, Sequence[int]], rented: Mapping[int, int]) -> Decimal:
        """Return the exact cost of disks and GPUs in a month."""
        disks = usd_month(self.disk_usd_hr(chosen), self.demand.policy.hours_per_month)
        return total([disks, *(self._rentals.usd_month(w, g) for w, g in rented.items())])

    def holds(self, scope: Scope, chosen: Mapping[int, Sequence[int]]) -> bool:
        """Return whether chosen offers satisfy a scope's groups and, where capped, the policy."""
        return (
            all(tie.holds(self, chosen) for tie in scope.ties)
            and self._shares(chosen)
            and all(chosen[v].count(o) == 1 for v, o in self.kept if v in chosen)
            and not any(v in chosen and offers.isdisjoint(chosen[v]) for v, offers in self.forced)
            and (not scope.capped or self.within_policy(chosen))
        )

    def is_packed(self, offer: int) -> bool:
        """Return whether volumes share a disk there because a job could not mount one for each."""
        disk = self.pairs.shared.get(offer)
        return disk is not None and not disk.by_group

    def _shares(self, chosen: Mapping[int, Sequence[int]]) -> bool:
        """Return whether all volumes of a shared disk that are placed use it equally often."""
        shared = self.shared_disks
        used = {o for offers in chosen.values() for o in offers if o in shared} if shared else set()
        return all(len({chosen[v].count(o) for v in shared[o]}) == 1 for o in used)

    def within_policy(self, chosen: Mapping[int, Sequence[int]]) -> bool:
        """Return whether chosen offers hold every requirement on the whole plan."""
        return all(requirement.holds(self, chosen) for requirement in self.requirements)
