"""What each pair needs: the relaxations without which a volume cannot be at an offer.

Of these the elastic program has to see only those of which no other is at least as good: one that
needs no step that the other does not, costs no more, and looks the same to every constraint.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.market.wire import STOCK_RANK
from planner.requirements.field import Step
from planner.requirements.group import DISK, GroupPlace, labelled, levels_of
from planner.requirements.offer import At, OfferColumns
from planner.requirements.packing import PACKING, OneDisk
from planner.requirements.spread import ReplicaSpread
from planner.requirements.volume import limits_of, of_offers
from planner.requirements.workload import GpuCount, of_gpus
from planner.solve.candidates import BIT, KINDS, rules_of
from planner.solve.rentals import gpu_rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from planner.demand.model import Volume
    from planner.requirements.offer import OfferRequirement
    from planner.solve.problem import Instance

Needs = frozenset[Step]
_RELAXABLE = {rule for kind in KINDS for rule, _ in kind.rules}
_FACTS = sum(bit for rule, bit in BIT.items() if rule not in _RELAXABLE)


@dataclass(frozen=True)
class Place:
    """A volume at an offer.

    Attributes
    ----------
    needs : frozenset of Step
        All of them have to be taken.
    levels : frozenset of str
        Levels of spread at which the offer is inadmissible: its place is unknown there.
    """

    offer: int
    needs: Needs
    levels: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rental:
    """A workload on a GPU offer; the nodes are those of the offer's number of GPUs."""

    gpu: int
    nodes: int
    needs: Needs


class Catalogue:
    """What every pair of an instance needs.

    Parameters
    ----------
    instance : Instance
        A demand and its market, without existing disks.
    """

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._offers = OfferColumns(instance.pairs.offers)
        self._places: dict[int, list[Place]] = {}
        self._groups: dict[str, list[tuple[Step, list[OfferRequirement]]]] = defaultdict(list)
        for group, (label, which) in labelled(instance.demand.groups):
            step = Step("group", label, "groups", "drop", which)
            asked = [level for _, level in levels_of(group)]
            levels: list[OfferRequirement] = [
                OneDisk(()) if level == DISK else GroupPlace(level) for level in asked
            ]
            for name in group.volumes:
                self._groups[name].append((step, levels))

    def places(self, v: int) -> list[Place]:
        """Return where a volume can be, and what it needs there; what facts forbid is left out."""
        if v not in self._places:
            self._places[v] = self._placed(v)
        return self._places[v]

    def places_with(self, v: int, taken: frozenset[Step]) -> list[Place]:
        """Return where a volume can be with steps taken, without looking at what it cannot need."""
        volume = self.instance.pairs.volumes[v]
        about = {("volume", volume.name), *((s.kind, s.name) for s, _ in self._groups[volume.name])}
        if any((step.kind, step.name) in about for step in taken):
            return [place for place in self.places(v) if place.needs <= taken]
        admissible = np.flatnonzero(self.instance.pairs.broken[v] == 0).tolist()
        places = (Place(o, self._packs(o)) for o in admissible)
        return [place for place in places if place.needs <= taken]

    def _packs(self, offer: int) -> Needs:
        """Return what lets volumes share a disk there, where the policy does not."""
        never = self.instance.demand.policy.packing == "never"
        return frozenset([PACKING]) if never and self.instance.is_packed(offer) else frozenset()

    def _placed(self, v: int) -> list[Place]:
        volume, bits = self.instance.pairs.volumes[v], self.instance.pairs.broken[v]
        at = At(self._offers, self.instance.pairs.disks[v])
        asked = {requirement.rule: requirement for requirement in of_offers(volume)}
        dropped, unknown = self._group_drops(at, volume), _unknown_at(at, volume)
        places = []
        for o in np.flatnonzero((bits & np.uint32(_FACTS)) == 0).tolist():
            broken = [asked[rule] for rule in rules_of(int(bits[o])) if rule in asked]
            needs = _steps("volume", volume.name, broken, at, o)
            if needs is not None:
                needs |= self._packs(o) | (dropped[o] if bits[o] else set())
                places.append(Place(o, needs, frozenset(unknown[o])))
        return places

    def _group_drops(self, at: At, volume: Volume) -> dict[int, set[Step]]:
        """Return which groups look at a place that an offer does not list."""
        dropped: dict[int, set[Step]] = defaultdict(set)
        for step, levels in self._groups[volume.name]:
            for level in levels:
                shared = self.instance.pairs.shared if isinstance(level, OneDisk) else ()
                for o in np.flatnonzero(level.breaks(at)).tolist():
                    if o not in shared:
                        dropped[o].add(step)
        return dropped

    def rentals(self, w: int) -> Iterator[Rental]:
        """Yield the GPU offers that a workload can be on, and what it needs there."""
        rentals = self.instance.rentals
        if rentals is None:
            return
        workload = self.instance.demand.workloads[w]
        asked, at = (
            {requirement.rule: requirement for requirement in of_gpus(workload)},
            At(rentals.columns),
        )
        for g, bits in enumerate(rentals.broken[w].tolist()):
            rules = gpu_rules_of(bits)
            if asked.keys() >= {*rules}:
                broken = [asked[rule] for rule in rules]
                needs = _steps("workload", workload.name, broken, at, g)
                if needs is not None:
                    yield Rental(g, GpuCount.nodes(workload, needs), needs)


def _unknown_at(at: At, volume: Volume) -> dict[int, set[str]]:
    """Return at which levels of spread, of those it has and weaker ones, no place is known."""
    unknown: dict[int, set[str]] = defaultdict(set)
    for asked in ReplicaSpread.of(volume):
        for level in asked.levels:
            for o in np.flatnonzero(ReplicaSpread(level).breaks(at)).tolist():
                unknown[o].add(level)
    return unknown


def _steps(
    kind: str, name: str, broken: Sequence[OfferRequirement], at: At, offer: int
) -> Needs | None:
    """Return the steps that relax what an offer breaks; None where something cannot be."""
    needs: set[Step] = set()
    for requirement in broken:
        moves = requirement.moves(at, offer)
        if moves is None:
            return None
        needs.update(Step(kind, name, requirement.field, *move) for move in moves)
    return frozenset(needs)


# Candidates of which no other is at least as good.


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
    for usd_hr, o, place in sorted(
        ranked, key=lambda candidate: (candidate[0], len(candidate[2].needs), candidate[1])
    ):
        limits = tuple(limit.measure(instance, v, o) for limit in asked)
        key = (*(look[o] for look in looks), place.levels)
        if not any(
            other.needs <= place.needs and all(a <= b for a, b in zip(seen, limits, strict=True))
            for other, _, seen in kept[key]
        ):
            kept[key].append((place, usd_hr, limits))
    flat = [(place, usd_hr) for each in kept.values() for place, usd_hr, _ in each]
    return sorted(flat, key=lambda candidate: candidate[0].offer)


def _looks(instance: Instance, v: int) -> list[list[Any]]:
    """Return, of each offer, everything that some constraint on a volume looks at."""
    volume = instance.pairs.volumes[v]
    kept = {o for u, o in instance.kept if u == v}
    kept |= instance.pairs.shared.keys()  # which all of its volumes choose together
    looks: list[list[Any]] = [[o if o in kept else -1 for o in range(len(instance.sites))]]
    for spread in ReplicaSpread.of(volume):
        levels = sorted({*spread.levels} - {spread.without})
        looks += [instance.spread_domains(level) for level in levels]
    ties = [tie for tie in instance.ties if v in tie.members]
    looks += [instance.places(level) for level in sorted({tie.level for tie in ties})]
    asked = instance.requirements
    seen = sorted({level for requirement in asked for level in requirement.levels})
    looks += [instance.places(level) for level in seen]
    sizes = {size for requirement in asked for size in requirement.looks_at}
    looks += [instance.pairs.provision_gb[v].tolist()] if "gb" in sizes else []
    looks += [instance.pairs.disks[v].tolist()] if "disks" in sizes else []
    rentals = instance.rentals
    if rentals is not None and any(v in mounted for mounted in rentals.mounts):
        looks.append([column.tobytes() for column in rentals.meets.T])
        looks.append(rentals.multinode.tolist())
        looks += [instance.pairs.disks[v].tolist()] if instance.limits is not None else []
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
    jobs = [job for _, job in sorted(best.values(), key=lambda ranked: ranked[0])]
    kept: list[Job] = []
    for job in jobs:
        if not any(
            other.rental.needs <= job.rental.needs
            and all({*a} >= {*b} for a, b in zip(other.mounts, job.mounts, strict=True))
            for other in kept
        ):
            kept.append(job)
    return kept
