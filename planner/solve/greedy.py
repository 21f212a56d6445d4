"""The greedy user: volume by volume, always the cheapest offer that still fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.solve.least import spreads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.solve.instance import Chosen, Instance, Tie


def greedy(instance: Instance) -> Chosen | str:
    """Return what somebody chooses who never takes a choice back, or where that ends.

    Each volume in the demand's order takes its cheapest offers that agree with the volumes before
    it: their groups, the caps on sites and providers, and GPUs for what is mounted with them.

    Returns
    -------
    dict of list of int, or str
        Offers of each volume; or the sentence that says which one found none.
    """
    ties: dict[int, list[Tie]] = {}
    for tie in instance.ties:
        for v in tie.members:
            ties.setdefault(v, []).append(tie)
    jobs: dict[int, list[int]] = {}
    for w, mounts in enumerate(instance.rentals.mounts if instance.rentals is not None else ()):
        for v in mounts:
            jobs.setdefault(v, []).append(w)
    chosen: Chosen = {}
    policy = instance.demand.policy
    is_capped = policy.max_sites is not None or policy.max_providers is not None
    alone = None if is_capped else instance.least.settle()
    for v, volume in enumerate(instance.pairs.volumes):
        offers = alone[v] if alone is not None and v not in ties and v not in jobs else None
        if offers is None:
            offers = _cheapest(instance, v, ties.get(v, []), jobs.get(v, []), chosen)
        if offers is None:
            return f"after the cheapest choices before it, none is left for {volume.name}"
        chosen[v] = offers
    return chosen


def _cheapest(
    instance: Instance, v: int, ties: list[Tie], jobs: list[int], chosen: Chosen
) -> list[int] | None:
    volume = instance.pairs.volumes[v]
    apart = spreads(volume.replicas, volume.spread)
    mine: list[int] = []
    for o in _by_cost(instance, v):
        while len(mine) < volume.replicas and _fits(
            instance, v, o, mine, chosen, ties, apart=apart
        ):
            if not mine and not all(_has_gpus(instance, w, {**chosen, v: [o]}) for w in jobs):
                break  # the first replica is the one that the workloads mount
            mine.append(o)
            if apart:
                break
        if len(mine) == volume.replicas:
            break
    if len(mine) < volume.replicas:
        return None
    together = {**chosen, v: sorted(mine)}
    placed = [replace(t, members=tuple(u for u in t.members if u in together)) for t in ties]
    if not all(instance.is_tied(tie, together) for tie in placed):
        return None
    if not all(_has_gpus(instance, w, together) for w in jobs):
        return None
    return together[v]


def _by_cost(instance: Instance, v: int) -> Iterator[int]:
    offers = np.flatnonzero(instance.pairs.broken[v] == 0).tolist()
    yield from sorted(offers, key=lambda o: (instance.pairs.usd_hr(v, o), o))


def _fits(
    instance: Instance,
    v: int,
    o: int,
    mine: list[int],
    chosen: Chosen,
    ties: list[Tie],
    *,
    apart: bool,
) -> bool:
    """Return whether one more replica there agrees with what is placed already."""
    volumes, policy = instance.pairs.volumes, instance.demand.policy
    if apart:
        places = instance.places(volumes[v].spread)
        if any(places[o] & places[other] for other in mine):
            return False
    for tie in ties:
        places = instance.places(tie.level)
        for u in tie.members:
            if u == v or u not in chosen:
                continue
            theirs: frozenset[Any] = frozenset().union(*(places[other] for other in chosen[u]))
            if not tie.same and places[o] & theirs:
                return False
            if tie.same and volumes[v].replicas <= volumes[u].replicas and not places[o] <= theirs:
                return False
    if policy.max_sites is None and policy.max_providers is None:
        return True
    used = {o, *mine, *(other for offers in chosen.values() for other in offers)}
    sites = {instance.sites[other] for other in used}
    providers = {site[0] for site in sites}
    return len(sites) <= (policy.max_sites or len(sites)) and len(providers) <= (
        policy.max_providers or len(providers)
    )


def _has_gpus(instance: Instance, w: int, chosen: Chosen) -> bool:
    """Return whether a workload has GPUs beside those of its volumes that are placed."""
    rentals = instance.rentals
    return rentals is not None and bool(
        (instance.reachable(w, chosen) & (rentals.broken[w] == 0)).any()
    )
