"""The candidates that the elastic program has to see: no other is at least as good in everything.

As good is what needs no step that the other does not, costs no more, and looks the same to every
constraint there is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.market.wire import STOCK_RANK
from planner.requirements.spread import weaker
from planner.requirements.volume import limits_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from planner.analysis.needs import Catalogue, Place, Rental
    from planner.requirements.field import Step
    from planner.solve.problem import Instance


@dataclass(frozen=True)
class Job:
    """A workload on a GPU offer, what that costs, and the offers it reaches of each mount."""

    rental: Rental
    usd_hr: float
    mounts: tuple[tuple[int, ...], ...]


def undominated_places(
    catalogue: Catalogue, v: int, taken: frozenset[Step] | None
) -> list[tuple[Place, Decimal]]:
    """Return the candidates of a volume of which no other is at least as good in everything.

    Parameters
    ----------
    taken : frozenset of Step | None
        The only steps that they may need; None allows every one.

    Returns
    -------
    list of (Place, Decimal)
        Each with its hourly cost, by offer.
    """
    instance = catalogue.instance
    pairs, asked = instance.pairs, limits_of(instance.pairs.volumes[v])
    looks = _looks(instance, v)
    kept: dict[Any, list[tuple[Place, Decimal, tuple[Any, ...]]]] = defaultdict(list)
    places = catalogue.places(v) if taken is None else catalogue.places_with(v, taken)
    ranked = [(pairs.usd_hr(v, place.offer), place.offer, place) for place in places]
    for usd_hr, o, place in sorted(ranked, key=lambda one: (one[0], len(one[2].needs), one[1])):
        limits = tuple(one.measure(instance, v, o) for one in asked)
        key = (*(look[o] for look in looks), place.levels)
        if not any(
            other.needs <= place.needs and all(a <= b for a, b in zip(seen, limits, strict=True))
            for other, _, seen in kept[key]
        ):
            kept[key].append((place, usd_hr, limits))
    flat = [(place, usd_hr) for each in kept.values() for place, usd_hr, _ in each]
    return sorted(flat, key=lambda one: one[0].offer)


def _looks(instance: Instance, v: int) -> list[list[Any]]:
    """Return, of each offer, everything that some constraint on a volume looks at."""
    volume = instance.pairs.volumes[v]
    kept = {o for one, o in instance.kept if one == v}
    looks: list[list[Any]] = [[o if o in kept else -1 for o in range(len(instance.sites))]]
    if volume.replicas > 1:
        levels = {*weaker(volume.spread), volume.spread} - {"none"}
        looks += [instance.spread_domains(level) for level in sorted(levels)]
    ties = [tie for tie in instance.ties if v in tie.members]
    looks += [instance.places(level) for level in sorted({tie.level for tie in ties})]
    asked = instance.requirements
    seen = sorted({level for one in asked for level in one.levels})
    looks += [instance.places(level) for level in seen]
    sizes = {size for one in asked for size in one.looks_at}
    looks += [instance.pairs.provision_gb[v].tolist()] if "gb" in sizes else []
    looks += [instance.pairs.disks[v].tolist()] if "disks" in sizes else []
    rentals = instance.rentals
    if rentals is not None and any(v in mounted for mounted in rentals.mounts):
        looks.append([column.tobytes() for column in rentals.meets.T])
        looks.append(rentals.multinode.tolist())
    return looks


def undominated_jobs(
    catalogue: Catalogue,
    w: int,
    offers: Mapping[int, Sequence[int]],
    taken: frozenset[Step] | None,
) -> list[Job]:
    """Return where a workload can run, the best of those that need and reach the same.

    Parameters
    ----------
    offers : mapping
        The offers that are candidates of each volume.
    taken : frozenset of Step | None
        The only steps that they may need; None allows every one.
    """
    instance, rentals = catalogue.instance, catalogue.instance.rentals
    if rentals is None:
        return []
    variants: dict[int, Any] = {}
    mounted = [offers[v] for v in rentals.mounts[w]]
    best: dict[Any, tuple[tuple[Any, ...], Job]] = {}
    for rental in catalogue.rentals(w):
        if taken is not None and not rental.needs <= taken:
            continue
        if rental.nodes not in variants:
            variants[rental.nodes] = rentals.with_nodes(w, rental.nodes)
        held, g = variants[rental.nodes], rental.gpu
        mounts = []
        for v, each in zip(rentals.mounts[w], mounted, strict=True):
            mountable = held.mountable(w, v, g)
            mounts.append(tuple(o for o in each if mountable[o]))
        cost = held.usd_month(w, g) / instance.demand.policy.hours_per_month
        rank = (cost, -STOCK_RANK[rentals.rows[g]["stock"]], g)
        key = (rental.needs, tuple(mounts))
        if key not in best or rank < best[key][0]:
            best[key] = (rank, Job(rental, float(cost), tuple(mounts)))
    jobs = [job for _, job in sorted(best.values(), key=lambda one: one[0])]
    kept: list[Job] = []
    for job in jobs:
        if not any(
            other.rental.needs <= job.rental.needs
            and all({*a} >= {*b} for a, b in zip(other.mounts, job.mounts, strict=True))
            for other in kept
        ):
            kept.append(job)
    return kept
