"""What each pair needs: the relaxations without which a volume cannot be at an offer."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from planner.requirements.field import Step
from planner.requirements.group import GroupPlace, labelled, levels_of
from planner.requirements.offer import At, OfferColumns
from planner.requirements.spread import ReplicaSpread, weaker
from planner.requirements.volume import of_offers
from planner.requirements.workload import GpuCount, of_gpus
from planner.solve.candidates import BIT, KINDS, rules_of
from planner.solve.rentals import gpu_rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    offer : int
        Which.
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
        self._groups: dict[str, list[tuple[Step, list[GroupPlace]]]] = defaultdict(list)
        for group, (label, which) in labelled(instance.demand.groups):
            step = Step("group", label, "groups", "drop", which)
            levels = [GroupPlace(level) for _, level in levels_of(group)]
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
        return [Place(o, frozenset()) for o in admissible]

    def _placed(self, v: int) -> list[Place]:
        volume, bits = self.instance.pairs.volumes[v], self.instance.pairs.broken[v]
        at = At(self._offers, self.instance.pairs.disks[v])
        asked = {one.rule: one for one in of_offers(volume)}
        dropped, unknown = self._group_drops(at, volume), _unknown_at(at, volume)
        places = []
        for o in np.flatnonzero((bits & np.uint32(_FACTS)) == 0).tolist():
            broken = [asked[rule] for rule in rules_of(int(bits[o])) if rule in asked]
            needs = _steps("volume", volume.name, broken, at, o)
            if needs is not None:
                needs |= dropped[o] if bits[o] else set()
                places.append(Place(o, needs, frozenset(unknown[o])))
        return places

    def _group_drops(self, at: At, volume: Volume) -> dict[int, set[Step]]:
        """Return which groups look at a place that an offer does not list."""
        found: dict[int, set[Step]] = defaultdict(set)
        for step, levels in self._groups[volume.name]:
            for level in levels:
                for o in np.flatnonzero(level.breaks(at)).tolist():
                    found[o].add(step)
        return found

    def rentals(self, w: int) -> Iterator[Rental]:
        """Yield the GPU offers that a workload can be on, and what it needs there."""
        rentals = self.instance.rentals
        if rentals is None:
            return
        workload = self.instance.demand.workloads[w]
        asked, at = {one.rule: one for one in of_gpus(workload)}, At(rentals.columns)
        for g, bits in enumerate(rentals.broken[w].tolist()):
            rules = gpu_rules_of(bits)
            if asked.keys() >= {*rules}:
                broken = [asked[rule] for rule in rules]
                needs = _steps("workload", workload.name, broken, at, g)
                if needs is not None:
                    yield Rental(g, GpuCount.nodes(workload, needs), needs)


def _unknown_at(at: At, volume: Volume) -> dict[int, set[str]]:
    """Return at which levels of spread, of those it has and weaker ones, no place is known."""
    found: dict[int, set[str]] = defaultdict(set)
    if volume.replicas > 1:
        for level in (volume.spread, *weaker(volume.spread)):
            for o in np.flatnonzero(ReplicaSpread(level).breaks(at)).tolist():
                found[o].add(level)
    return found


def _steps(
    kind: str, name: str, broken: Sequence[OfferRequirement], at: At, offer: int
) -> Needs | None:
    """Return the steps that relax what an offer breaks; None where something cannot be."""
    needs: set[Step] = set()
    for one in broken:
        moves = one.moves(at, offer)
        if moves is None:
            return None
        needs.update(Step(kind, name, one.field, *move) for move in moves)
    return frozenset(needs)
