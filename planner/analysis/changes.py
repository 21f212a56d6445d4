"""Changes of an instance: a candidate excluded or required, another demand, fewer offers.

A change computes again only what it touches: pairs of volumes that stay as they are, remain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.requirements.group import group_places
from planner.requirements.policy import BudgetLimit, without_limits
from planner.solve.candidates import BIT, Pairs, pair, tiered
from planner.solve.existing import reserve
from planner.solve.packing import attach_limits, with_shared_disks
from planner.solve.problem import Instance
from planner.solve.rentals import Rentals, rent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.demand.model import Demand, Volume


Change = Callable[[Instance], Instance]
"""What is different: it gets the whole instance or a part, and looks up by name what it changes."""
_EXCLUDED = np.uint32(1 << 31)
"""A bit that stands for no rule: the candidate is excluded by a change."""


def without_budgets(instance: Instance) -> Instance:
    """Return an instance without budgets; caps and share stay."""
    policy = instance.demand.policy
    for requirement in instance.requirements:
        if isinstance(requirement, BudgetLimit):
            policy = requirement.lifted(policy)
    return instance if policy is instance.demand.policy else instance.under(policy)


def forbid(instance: Instance, v: int, offers: Iterable[int]) -> Instance:
    """Return an instance in which a volume has no replica at some offers."""
    broken = instance.pairs.broken.copy()
    broken[v, list(offers)] |= _EXCLUDED
    return replace(instance, pairs=replace(instance.pairs, broken=broken))


def only_at(instance: Instance, offers: NDArray[np.bool_]) -> Instance:
    """Return an instance with replicas at some offers only, shape (O,)."""
    broken = instance.pairs.broken | np.where(offers, np.uint32(0), _EXCLUDED)
    return replace(instance, pairs=replace(instance.pairs, broken=broken))


def force(instance: Instance, v: int, offers: Iterable[int]) -> Instance:
    """Return an instance in which a volume has a replica at one of some offers at least."""
    candidates = set(np.flatnonzero(instance.pairs.broken[v] == 0).tolist())
    wanted = candidates & set(offers)
    if instance.pairs.volumes[v].replicas == 1 or not wanted:
        return forbid(instance, v, candidates - wanted)
    return replace(instance, forced=(*instance.forced, (v, frozenset(wanted))))


def excluding(name: str, offer: int) -> Change:
    """Return the change that keeps a volume away from an offer, and from disks shared there."""
    return lambda instance: forbid(instance, instance.index[name], instance.pairs.alike(offer))


def including(name: str, offer: int) -> Change:
    """Return the change that requires a replica of a volume at an offer, shared or not."""
    return lambda instance: force(instance, instance.index[name], instance.pairs.alike(offer))


def repriced(instance: Instance, prices: Sequence[Decimal | None]) -> Instance:
    """Return an instance at other prices of the market's offers, in their order.

    Parameters
    ----------
    instance : Instance
        Nothing in it is kept, shared or mounted, and no change has excluded a candidate.
    """
    pairs, bit = instance.pairs, np.uint32(BIT["max_usd_gb_hr"])
    facts, broken = pairs.facts.repriced(prices), pairs.broken
    limits = [volume.max_usd_gb_hr for volume in instance.volumes]
    caps = {v: most for v, most in enumerate(limits) if most is not None}
    broken = broken.copy() if caps else broken
    for v, most in caps.items():
        for o, price in enumerate(prices):
            if price is not None:
                broken[v, o] = (broken[v, o] & ~bit) | (bit if price > most else 0)
    return replace(
        instance, pairs=tiered(replace(pairs, offers=facts.offers, broken=broken, known=facts))
    )


def rented_from(name: str, gpus: NDArray[np.bool_]) -> Change:
    """Return the change that lets a workload run on some GPU offers only, shape (G,)."""

    def change(instance: Instance) -> Instance:
        if instance.rentals is None:
            return instance
        broken = instance.rentals.broken.copy()
        w = [workload.name for workload in instance.demand.workloads].index(name)
        broken[w, ~gpus] |= _EXCLUDED
        return replace(instance, rentals=replace(instance.rentals, broken=broken))

    return change


def edited(edit: Callable[[Demand], Demand]) -> Change:
    """Return the change that edits the demand."""
    return lambda instance: with_demand(instance, edit(instance.demand))


def with_demand(instance: Instance, demand: Demand) -> Instance:
    """Return another demand on the market of an instance, of which it takes over what it can.

    Parameters
    ----------
    instance : Instance
        As it was made: no change has excluded a candidate of it.
    """
    shared, instance = instance.pairs.shared, _without_shared(instance)
    old, at = instance.pairs, {volume.name: v for v, volume in enumerate(demand.volumes)}
    existing = [(old.volumes[v].name, o) for v, o in instance.kept]
    kept = tuple((at[name], o) for name, o in existing if name in at)
    pairs = reserve(_paired(instance, demand), existing)
    rentals = _rented(instance.rentals, instance.demand, demand, old) if demand.workloads else None
    limits = None if rentals is None else attach_limits(demand, pairs, rentals)
    pairs, rentals = with_shared_disks(demand, pairs, rentals, limits, known=shared)
    return Instance(demand, pairs, rentals, kept, limits=limits)


def _without_shared(instance: Instance) -> Instance:
    """Return an instance without the disks that volumes may share."""
    pairs = instance.pairs
    if not pairs.shared:
        return instance
    own = on_offers(replace(instance, pairs=replace(pairs, shared={})), range(pairs.own))
    return replace(own, limits=None)


def _paired(instance: Instance, demand: Demand) -> Pairs:
    """Return the pairs of a demand; rows of volumes that stay as they are, are taken over."""
    before, old = instance.demand, instance.pairs
    mounted = frozenset(name for workload in demand.workloads for name in workload.mounts)
    is_tied_alike = before.groups == demand.groups and len(before.volumes) == len(demand.volumes)
    tied = ({}, {}) if is_tied_alike else (group_places(before), group_places(demand))
    changed: list[Volume] = []
    rows: list[int] = []
    is_alike = is_tied_alike and mounted == old.mounted
    for at, volume in enumerate(demand.volumes):
        if is_alike and old.volumes[at] is volume:
            rows.append(at)
            continue
        name = volume.name
        v = instance.index.get(name)
        if (
            v is not None
            and (old.volumes[v] is volume or old.volumes[v] == volume)
            and tied[0].get(name) == tied[1].get(name)
            and (name in old.mounted) == (name in mounted)
        ):
            rows.append(v)
        else:
            rows.append(len(old.volumes) + len(changed))
            changed.append(volume)
    broken, disks, gb = old.broken, old.disks, old.provision_gb
    if changed:
        live = np.zeros(len(old.fixed_usd_hr), np.int64)
        sold = old.facts.first(len(old.offers) - len(live))
        new = pair(demand.model_copy(update={"volumes": tuple(changed)}), sold)
        broken = np.vstack([broken, np.pad(new.broken, ((0, 0), (0, len(live))))])
        disks = disks.above(new.disks.beside(live))
        gb = gb.above(new.provision_gb.beside(live))
    broken, disks, gb = broken[rows], disks.take(rows), gb.take(rows)
    facts = old.facts
    return Pairs(
        demand.volumes, old.offers, broken, disks, gb, old.fixed_usd_hr, mounted, known=facts
    )


def _rented(
    rentals: Rentals | None, before: Demand, demand: Demand, pairs: Pairs
) -> Rentals | None:
    """Return the rentals of a demand; those there are where it asks the same of GPUs."""
    if rentals is None or _asked_of_gpus(before) == _asked_of_gpus(demand):
        return rentals
    return rent(demand, pairs.offers, rentals.gpus)


def _asked_of_gpus(demand: Demand) -> tuple[Any, ...]:
    names = [volume.name for volume in demand.volumes]
    return demand.workloads, names, demand.policy.hours_per_month, demand.policy.sequential


def subset(instance: Instance, volumes: Sequence[int], workloads: Sequence[int]) -> Instance:
    """Return some volumes, all workloads that mount them, and their groups; no policy."""
    demand, pairs, rentals = instance.demand, instance.pairs, instance.rentals
    smaller = demand_of(demand, volumes)
    rows, at = list(volumes), {v: i for i, v in enumerate(volumes)}
    jobs = list(workloads)
    arrays = (pairs.broken[rows], pairs.disks.take(rows), pairs.provision_gb.take(rows))
    if rentals is not None:
        rentals = replace(
            rentals,
            workloads=smaller.workloads,
            broken=rentals.broken[jobs],
            mounts=tuple(tuple(at[v] for v in rentals.mounts[w]) for w in jobs),
            shared=rentals.shared[rows],
            hours=tuple(rentals.hours[w] for w in jobs),
        )
    kept = tuple((at[v], o) for v, o in instance.kept if v in at)
    facts = (pairs.fixed_usd_hr, pairs.mounted, pairs.shared)
    part = Pairs(smaller.volumes, pairs.offers, *arrays, *facts, known=pairs.facts)
    limits = instance.limits
    if limits is not None:
        limits = replace(limits, too_many=limits.too_many[jobs], limited=limits.limited[jobs])
    return Instance(smaller, part, rentals, kept, limits=limits)


def demand_of(demand: Demand, volumes: Iterable[int]) -> Demand:
    """Return volumes with all that connects them, free of budgets, caps and share."""
    kept = tuple(demand.volumes[v] for v in volumes)
    names = {volume.name for volume in kept}
    update: dict[str, Any] = {
        "volumes": kept,
        "policy": without_limits(demand.policy),
        "groups": tuple(g for g in demand.groups if not names.isdisjoint(g.volumes)),
        "workloads": tuple(w for w in demand.workloads if not names.isdisjoint(w.mounts)),
    }
    return demand.model_copy(update=update)


def on_offers(instance: Instance, offers: Sequence[int]) -> Instance:
    """Return an instance on some of the disk offers only."""
    pairs, rentals = instance.pairs, instance.rentals
    columns, at = list(offers), {o: index for index, o in enumerate(offers)}
    smaller = Pairs(
        pairs.volumes,
        pairs.offers.iloc[columns],
        pairs.broken[:, columns],
        pairs.disks.take(columns=columns),
        pairs.provision_gb.take(columns=columns),
        {at[o]: usd_hr for o, usd_hr in pairs.fixed_usd_hr.items() if o in at},
        pairs.mounted,
        {
            at[o]: replace(disk, offer=at.get(disk.offer, -1))
            for o, disk in pairs.shared.items()
            if o in at
        },
    )
    if rentals is not None:
        rentals = replace(
            rentals, meets=rentals.meets[:, columns], multinode=rentals.multinode[columns]
        )
    kept = tuple((v, at[o]) for v, o in instance.kept if o in at)
    return Instance(instance.demand, smaller, rentals, kept, limits=instance.limits)
