"""What if: the same demand and market with one thing changed, solved exactly.

A question changes an instance: a candidate is forbidden or forced, a requirement is dropped, a
price is another. What groups and workloads connect is a part; a question about one part leaves
the others as they are, and where the whole then keeps within the policy, that is the optimum.
Only where it does not is everything decided again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from planner.requirements.policy import BudgetLimit, without_limits
from planner.solve.candidates import Pairs, pair
from planner.solve.existing import reserve
from planner.solve.optimum import Optimum, optimum
from planner.solve.problem import Instance
from planner.solve.rentals import rent
from planner.units import averaged_usd_hr, difference, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.demand.model import Demand
    from planner.solve.problem import Chosen


Change = Callable[[Instance], Instance]
"""A question: it gets the whole instance or a part of it, and finds what it is about by name."""
_WHATEVER = np.uint32(1 << 31)
"""A bit of no rule: the candidate is taken out."""


def free_of_policy(instance: Instance) -> Instance:
    """Return an instance without budgets, caps and share."""
    policy = free(instance.demand.policy)
    return replace(instance, demand=instance.demand.model_copy(update={"policy": policy}))


free = without_limits


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
    part = Pairs(smaller.volumes, pairs.offers, *arrays, pairs.fixed_usd_hr, pairs.mounted)
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


MANY = 300
"""Programs that are solved for answers that were not asked for singly."""
NEARLY = "a large program: the cost is proven to a millionth of it, not to the last cent"
_LARGE = 500
"""Pairs of volumes and offers with which a program counts as one more."""
ASK = "not worked out here: ask for it by name"


@dataclass(frozen=True)
class Answer:
    """The best plan under a question.

    Attributes
    ----------
    usd_month : Decimal | None
        Its exact cost; None where there is no plan, or it was not computed.
    chosen : dict of list of int
        Its offers, as in `Optimum`; empty where there is no plan.
    rented : dict of int
        Its GPU offers.
    why : str
        Why there is no plan, or `NEARLY`; else empty.
    """

    usd_month: Decimal | None
    chosen: Chosen
    rented: dict[int, int]
    why: str = ""


@dataclass(frozen=True)
class Part:
    """Volumes and workloads that groups and mounts connect, as an instance of its own."""

    volumes: tuple[int, ...]
    workloads: tuple[int, ...]
    instance: Instance

    @property
    def is_coupled(self) -> bool:
        """Return whether anything but the policy ties its volumes."""
        return len(self.volumes) > 1 or bool(self.workloads)


class WhatIf:
    """Answers questions about a plan, and changes nothing of it.

    Parameters
    ----------
    instance : Instance
        Demand and market of the plan.
    chosen : dict of sequence of int
        Offers of each volume.
    rented : dict of int
        GPU offer of each workload.
    patience : int | None
        After so many programs, answers are `ASK`; None answers everything.
    """

    def __init__(
        self,
        instance: Instance,
        chosen: Mapping[int, Sequence[int]],
        rented: Mapping[int, int],
        patience: int | None = MANY,
    ) -> None:
        self.instance = instance
        self.chosen: Chosen = {v: sorted(chosen[v]) for v in sorted(chosen)}
        self.rented = dict(sorted(rented.items()))
        self.usd_month = instance.usd_month(self.chosen, self.rented)
        self._left: float | None = patience
        self._parts: dict[int, Part] = {}

    @property
    def hours(self) -> int:
        """Return the hours of the policy's month."""
        return self.instance.demand.policy.hours_per_month

    def dearer(self, answer: Answer) -> dict[str, Decimal | None]:
        """Return how much dearer an answer is than the plan, as columns of a frame."""
        if answer.usd_month is None:
            return {"extra_usd_hr": None, "extra_usd_month": None}
        more = difference(answer.usd_month, self.usd_month)
        return {"extra_usd_hr": averaged_usd_hr(more, self.hours), "extra_usd_month": more}

    @cached_property
    def is_capped(self) -> bool:
        """Return whether the policy can decide between solutions that each part allows.

        A budget of the whole cannot, where disks are all there is to pay for: what exceeds it is
        dearer than what does not.
        """
        jobs = bool(self.instance.demand.workloads)
        return any(
            jobs or one.owner is not None or not isinstance(one, BudgetLimit)
            for one in self.instance.requirements
        )

    @cached_property
    def members(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return volumes and workloads of every part."""
        components = [(one.volumes, one.workloads) for one in self.instance.components]
        coupled = {v for volumes, _ in components for v in volumes}
        alone = [((v,), ()) for v in self.chosen if v not in coupled]
        return sorted([*components, *alone])

    @cached_property
    def _part_of(self) -> dict[int, int]:
        return {v: p for p, (volumes, _) in enumerate(self.members) for v in volumes}

    def number_of(self, v: int) -> int:
        """Return the number of the part in which a volume is decided."""
        return self._part_of[v]

    def part_of(self, v: int) -> Part:
        """Return the part in which a volume is decided."""
        return self.part(self._part_of[v])

    def part(self, p: int) -> Part:
        """Return one of the parts."""
        if p not in self._parts:
            self._parts[p] = Part(*self.members[p], part_of(self.instance, *self.members[p]))
        return self._parts[p]

    @cached_property
    def _rest(self) -> Answer | None:
        """Return the best choice of every part with the policy aside, where known the plan's."""
        free = optimum(free_of_policy(self.instance))
        if free is None:
            return None
        chosen, rented = dict(free.chosen), dict(free.rented)
        for volumes, jobs in self.members:
            if self._cost(volumes, jobs, chosen, rented) == self._cost(
                volumes, jobs, self.chosen, self.rented
            ):
                chosen.update({v: self.chosen[v] for v in volumes})
                rented.update({w: self.rented[w] for w in jobs})
        return Answer(free.usd_month, chosen, rented)

    def _cost(
        self,
        volumes: Iterable[int],
        jobs: Iterable[int],
        chosen: Mapping[int, Sequence[int]],
        rented: Mapping[int, int],
    ) -> Decimal:
        mine = {v: chosen[v] for v in volumes}
        return self.instance.usd_month(mine, {w: rented[w] for w in jobs})

    def ask(self, part: Part, change: Change, *, settled: bool = False) -> Answer:
        """Return the best plan where one part is changed."""
        if self._tired:
            return Answer(None, {}, {}, ASK)
        small = change(part.instance)
        found = self._solve(small, settled=settled)
        if found is None:
            return Answer(None, {}, {}, _why_not(part))
        if self._rest is not None:
            chosen = {**self._rest.chosen}
            chosen.update(zip(part.volumes, found.chosen.values(), strict=True))
            names = {one.name: w for w, one in enumerate(self.instance.demand.workloads)}
            gone = self._cost(part.volumes, part.workloads, self._rest.chosen, self._rest.rented)
            rented = {w: g for w, g in self._rest.rented.items() if w not in part.workloads}
            for w, g in found.rented.items():
                rented[names[small.demand.workloads[w].name]] = g
            cost = total([difference(self._rest.usd_month or gone, gone), found.usd_month])
            if self._holds(change, chosen):
                return Answer(cost, chosen, rented, "" if found.bound_month is None else NEARLY)
        return self.ask_all(change)

    def _holds(self, change: Change, chosen: Chosen) -> bool:
        if not self.instance.requirements:
            return True
        return change(self.instance).within_policy(chosen)

    def ask_all(self, change: Change) -> Answer:
        """Return the best plan where anything may be changed."""
        if self._tired:
            return Answer(None, {}, {}, ASK)
        found = self._solve(change(self.instance))
        if found is None:
            return Answer(None, {}, {}, self._policy_forbids)
        why = "" if found.bound_month is None else NEARLY
        return Answer(found.usd_month, found.chosen, found.rented, why)

    def plan(self, p: int | None = None) -> Answer:
        """Return the plan itself, or what a part has of it in the numbers of that part."""
        volumes, jobs = (self.chosen, self.rented) if p is None else self.members[p]
        chosen = {i: self.chosen[v] for i, v in enumerate(volumes)}
        rented = {i: self.rented[w] for i, w in enumerate(jobs)}
        return Answer(self.usd_month if p is None else None, chosen, rented)

    @cached_property
    def is_cheapest(self) -> bool:
        """Return whether no plan is cheaper: a limit of time or a slack may have let one be."""
        best = optimum(self.instance, settled=False)
        return best is None or best.usd_month >= self.usd_month

    def spend(self, instance: Instance, programs: float = 1) -> bool:
        """Return whether there is patience for so many programs more, and take it."""
        if self._tired:
            return False
        if self._left is not None:
            self._left -= programs * (1 + instance.pairs.broken.size // _LARGE)
        return True

    @property
    def _policy_forbids(self) -> str:
        asked = ", ".join(dict.fromkeys(one.step[2] for one in self.instance.requirements))
        return f"the policy does not allow it: {asked}"

    @property
    def _tired(self) -> bool:
        return self._left is not None and self._left <= 0

    def _solve(self, instance: Instance, *, settled: bool = False) -> Optimum | None:
        found = optimum(instance, settled=settled)
        if self._left is not None:
            runs = 1 if found is None else len(found.effort.runs)
            self._left -= runs * (1 + instance.pairs.broken.size // _LARGE)
        return found


def _why_not(part: Part) -> str:
    if part.workloads:
        return "the workloads and groups around it do not allow it"
    if part.is_coupled:
        return "its groups do not allow it"
    return "not every replica has a place then"
