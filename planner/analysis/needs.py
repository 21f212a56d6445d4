"""What each pair needs: the relaxations without which a volume cannot be at an offer.

Every question is put to `OfferRules.broken_rules`, for the volume as it is and as it would be one
step relaxed, so that no rule is known here a second time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from planner.analysis.steps import MOST_DISKS, Step, labelled, stocks_below, weaker
from planner.market.places import PLACES
from planner.solve.candidates import BIT, OfferRules, rules_of
from planner.solve.rentals import gpu_rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from planner.demand.model import Volume, Workload
    from planner.solve.problem import Instance

Needs = frozenset[Step]
_SIMPLE = {
    "security": ("security", "set", "any"),
    "multinode": ("multinode", "set", False),
    "max_usd_gb_hr": ("max_usd_gb_hr", "open", None),
    "max_disks": ("max_disks", "open", None),
}
"""Rules that one step removes: its field, action and value."""
_RELAXABLE = {
    *_SIMPLE,
    "stock",
    "spread",
    "group",
    *PLACES,
    *(f"excluded_{level}" for level in PLACES),
}
_FACTS = sum(bit for rule, bit in BIT.items() if rule not in _RELAXABLE)
_GPU_SIMPLE: dict[str, tuple[str, Any]] = {
    "socket": ("socket", None),
    "spot": ("spot", True),
    "security": ("security", "any"),
}
_GPU_LISTS = {"provider": "providers", "region": "regions"}


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
        self._market = OfferRules(instance.pairs.offers)
        self._places: dict[int, list[Place]] = {}
        self._groups: dict[str, list[tuple[Step, tuple[str, ...]]]] = defaultdict(list)
        for group, (label, which) in labelled(instance.demand.groups):
            step = Step("group", label, "groups", "drop", which)
            levels = tuple(x for x in (group.same, group.different) if x is not None)
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
        lists = self._lists(volume)
        stock = self._stock(v)
        levels = self._unknown_at(v)
        groups = self._group_drops(v)
        places = []
        for o in np.flatnonzero((bits & np.uint32(_FACTS)) == 0).tolist():
            needs: set[Step] = set()
            for rule in rules_of(int(bits[o])):
                if rule == "stock":
                    steps = {_lowered(volume, n) for n in range(1, stock[o] + 1)}
                elif rule == "group":
                    steps = groups[o]
                else:
                    steps = self._steps(volume, rule, o, lists)
                if not steps and rule != "spread":  # spread is a matter of levels, see `Place`
                    break
                needs |= steps
            else:
                places.append(Place(o, frozenset(needs), levels.get(o, frozenset())))
        return places

    def _steps(
        self, volume: Volume, rule: str, o: int, lists: dict[str, tuple[str, ...]]
    ) -> set[Step]:
        """Return the steps that remove one broken rule at an offer; none where nothing does."""
        if rule in _SIMPLE:
            if rule == "max_disks" and self._disks(volume, o) > MOST_DISKS:
                return set()
            return {Step("volume", volume.name, *_SIMPLE[rule])}
        level = rule.removeprefix("excluded_")
        if level not in PLACES:
            return set()
        field, names = PLACES[level], {*self._names[level][o]}
        if rule != level:
            field = f"exclude.{field}"
            taken = names & {*lists[field]}
            return {Step("volume", volume.name, field, "take", str(x)) for x in taken}
        added = names - {*lists[field]}
        if None in added:
            return set()
        return {Step("volume", volume.name, field, "add", str(x)) for x in added}

    def _disks(self, volume: Volume, o: int) -> int:
        return int(self.instance.pairs.disks[self.instance.index[volume.name], o])

    def _lists(self, volume: Volume) -> dict[str, tuple[str, ...]]:
        lists = {field: getattr(volume, field) or () for field in PLACES.values()}
        return lists | {f"exclude.{f}": getattr(volume.exclude, f) for f in PLACES.values()}

    def _broken(self, v: int, levels: Sequence[str] = (), **update: Any) -> NDArray[np.uint32]:  # noqa: ANN401 -- fields
        pairs = self.instance.pairs
        volume = pairs.volumes[v].model_copy(update=update)
        return self._market.broken_rules(volume, pairs.disks[v], pairs.provision_gb[v], levels)

    def _stock(self, v: int) -> dict[int, int]:
        """Return how many levels down the stock of each offer is, where it is too low."""
        down: dict[int, int] = {}
        volume = self.instance.pairs.volumes[v]
        if volume.stock is None:
            return down
        low = (self._broken(v) & BIT["stock"]) != 0
        for n, level in enumerate(stocks_below(volume.stock), 1):
            still = (self._broken(v, stock=level) & BIT["stock"]) != 0
            down.update((o, n) for o in np.flatnonzero(low & ~still).tolist())
            low = still
        return down

    def _unknown_at(self, v: int) -> dict[int, frozenset[str]]:
        """Return at which levels of spread, of those it has and weaker ones, no place is known."""
        volume = self.instance.pairs.volumes[v]
        found: dict[int, set[str]] = defaultdict(set)
        if volume.replicas > 1:
            for level in (volume.spread, *weaker(volume.spread)):
                bad = (self._broken(v, spread=level) & BIT["spread"]) != 0
                for o in np.flatnonzero(bad).tolist():
                    found[o].add(level)
        return {o: frozenset(levels) for o, levels in found.items()}

    def _group_drops(self, v: int) -> dict[int, set[Step]]:
        """Return which groups look at a place that an offer does not list."""
        found: dict[int, set[Step]] = defaultdict(set)
        for step, levels in self._groups[self.instance.pairs.volumes[v].name]:
            bad = (self._broken(v, levels) & BIT["group"]) != 0
            for o in np.flatnonzero(bad).tolist():
                found[o].add(step)
        return found

    @cached_property
    def _names(self) -> dict[str, list[tuple[str | None, ...]]]:
        offers = self.instance.pairs.offers
        found: dict[str, list[tuple[str | None, ...]]] = {"region": offers["regions"].tolist()}
        for level in PLACES:
            if level != "region":
                found[level] = [(None if pd.isna(x) else str(x),) for x in offers[level]]
        return found

    def rentals(self, w: int) -> Iterator[Rental]:
        """Yield the GPU offers that a workload can be on, and what it needs there."""
        rentals = self.instance.rentals
        if rentals is None:
            return
        workload = self.instance.demand.workloads[w]
        for g in range(len(rentals.rows)):
            row, needs, nodes = rentals.rows[g], set[Step](), workload.nodes
            for rule in gpu_rules_of(int(rentals.broken[w, g])):
                step = _gpu_step(workload, rule, row)
                if step is None:
                    break
                needs.add(step)
                nodes = step.value[1] if step.field == "gpus" else nodes
            else:
                yield Rental(g, nodes, frozenset(needs))


def _lowered(volume: Volume, n: int) -> Step:
    return Step("volume", volume.name, "stock", "lower", n)


def _gpu_step(workload: Workload, rule: str, row: dict[str, Any]) -> Step | None:
    """Return the step that removes a broken rule of a workload at a GPU offer."""

    def step(field: str, value: Any, action: str = "set") -> Step:  # noqa: ANN401 -- the field's
        return Step("workload", workload.name, field, action, value)

    if rule in _GPU_SIMPLE:
        return step(*_GPU_SIMPLE[rule])
    if rule in _GPU_LISTS:
        return None if row[rule] is None else step(_GPU_LISTS[rule], row[rule], "add")
    if rule == "gpu_type":
        return None if row["gpu_type"] is None else step("gpu", row["gpu_type"])
    if rule == "gpu_count":
        gpus, all_gpus = row["gpus"], workload.gpus * workload.nodes
        return step("gpus", (gpus, all_gpus // gpus)) if gpus and all_gpus % gpus == 0 else None
    return None
