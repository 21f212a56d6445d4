"""Questions: an instance with one thing changed, and the parts that it falls into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from planner.solve.candidates import Pairs, pair
from planner.solve.instance import Instance
from planner.solve.kept import reserve
from planner.solve.rentals import rent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from planner.demand import Demand, Policy

Change = Callable[[Instance], Instance]
"""A question: it gets the whole instance or a part of it, and finds what it is about by name."""
_WHATEVER = np.uint32(1 << 31)
"""A bit of no rule: the candidate is taken out."""


def free_of_policy(instance: Instance) -> Instance:
    """Return an instance without budgets, caps and share."""
    policy = free(instance.demand.policy)
    return replace(instance, demand=instance.demand.model_copy(update={"policy": policy}))


def free(policy: Policy) -> Policy:
    """Return a policy without budgets, caps and share."""
    gone = ("budget_usd_month", "max_sites", "max_providers", "max_provider_share")
    return policy.model_copy(update={**dict.fromkeys(gone), "budgets": {}})


def part_of(instance: Instance, volumes: Sequence[int], workloads: Sequence[int]) -> Instance:
    """Return some volumes, all workloads that mount them, and their groups; no policy."""
    demand, pairs, rentals = instance.demand, instance.pairs, instance.rentals
    kept = [demand.volumes[v] for v in volumes]
    names = {volume.name for volume in kept}
    groups = tuple(group for group in demand.groups if names.issuperset(group.volumes))
    smaller = demand.model_copy(
        update={
            "volumes": tuple(kept),
            "workloads": tuple(demand.workloads[w] for w in workloads),
            "groups": groups,
            "policy": free(demand.policy),
        }
    )
    rows, at = list(volumes), {v: i for i, v in enumerate(volumes)}
    arrays = (pairs.broken[rows], pairs.disks[rows], pairs.provision_gb[rows])
    if rentals is not None:
        jobs = list(workloads)
        rentals = replace(
            rentals,
            workloads=smaller.workloads,
            broken=rentals.broken[jobs],
            mounts=tuple(tuple(at[v] for v in rentals.mounts[w]) for w in jobs),
            shared=rentals.shared[rows],
            hours=tuple(rentals.hours[w] for w in jobs),
        )
    mine = tuple((at[v], o) for v, o in instance.kept if v in at)
    part = Pairs(smaller.volumes, pairs.offers, *arrays, pairs.fixed_usd_hr)
    return Instance(smaller, part, rentals, mine)


def without(name: str, offer: int) -> Change:
    """Ask for the best plan with no replica of a volume at an offer."""

    def change(instance: Instance) -> Instance:
        return forbid(instance, index_of(instance, name), [offer])

    return change


def there(name: str, offer: int) -> Change:
    """Ask for the best plan with a replica of a volume at an offer."""

    def change(instance: Instance) -> Instance:
        return force(instance, index_of(instance, name), [offer])

    return change


def rented_from(name: str, gpus: NDArray[np.bool_]) -> Change:
    """Ask for the best plan with a workload on one of some GPU offers, shape (G,)."""

    def change(instance: Instance) -> Instance:
        if instance.rentals is None:
            return instance
        broken = instance.rentals.broken.copy()
        w = [one.name for one in instance.demand.workloads].index(name)
        broken[w, ~gpus] |= _WHATEVER
        return replace(instance, rentals=replace(instance.rentals, broken=broken))

    return change


def demanding(change: Callable[[Demand], Demand]) -> Change:
    """Ask for the best plan of a changed demand."""

    def changed(instance: Instance) -> Instance:
        demand, rentals = change(instance.demand), None
        if instance.rentals is not None and demand.workloads:
            rentals = rent(demand, instance.pairs.offers, instance.rentals.gpus)
        old, at = instance.pairs, {volume.name: v for v, volume in enumerate(demand.volumes)}
        kept = [(old.volumes[v].name, o) for v, o in instance.kept]
        pairs = replace(pair(demand, old.offers), fixed_usd_hr=old.fixed_usd_hr)
        mine = tuple((at[name], o) for name, o in kept if name in at)
        return Instance(demand, reserve(pairs, kept), rentals, mine)

    return changed


def index_of(instance: Instance, name: str) -> int:
    """Return the index of a volume in an instance."""
    return next(v for v, volume in enumerate(instance.pairs.volumes) if volume.name == name)


def forbid(instance: Instance, v: int, offers: Iterable[int]) -> Instance:
    """Return an instance in which a volume has no replica at some offers."""
    broken = instance.pairs.broken.copy()
    broken[v, list(offers)] |= _WHATEVER
    return replace(instance, pairs=replace(instance.pairs, broken=broken))


def force(instance: Instance, v: int, offers: Iterable[int]) -> Instance:
    """Return an instance in which a volume has a replica at one of some offers at least."""
    candidates = set(np.flatnonzero(instance.pairs.broken[v] == 0).tolist())
    wanted = candidates & set(offers)
    if instance.pairs.volumes[v].replicas == 1 or not wanted:
        return forbid(instance, v, candidates - wanted)
    return replace(instance, forced=(*instance.forced, (v, frozenset(wanted))))
