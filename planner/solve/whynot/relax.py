"""The cheapest ways out of a demand without a plan.

Volumes that groups and workloads connect are a part. Each part that has no plan of its own is
searched for its least sets of steps; one of each part together are the least sets of the whole,
where the policy allows one of them. Where it does not, or where only the policy is in the way,
everything is searched at once.
"""

from __future__ import annotations

import heapq
from bisect import insort
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from planner.solve.whynot.changes import changes
from planner.solve.whynot.hitting import Search
from planner.solve.whynot.parts import Parts, is_capped
from planner.solve.whynot.relaxation import Relaxation
from planner.solve.whynot.steps import Step, relaxed
from planner.solve.whynot.sufficient import sufficient
from planner.solve.whynot.trials import Exhausted
from planner.solve.whynot.ways import steps_of
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from planner.demand.model import Demand
    from planner.solve.optimum import Optimum
    from planner.solve.problem import Instance
    from planner.solve.whynot.hitting import Steps
    from planner.solve.whynot.trials import Bench

MOST = 10
"""Relaxations that are reported at most."""


@dataclass
class Ways:
    """The ways out that were found.

    Attributes
    ----------
    relaxations : list of Relaxation
        Cheapest first.
    stuck : list of Demand
        Parts of the demand that no relaxation helps.
    is_cut : bool
        Whether there are more, or may be.
    is_stopped : bool
        Whether the search ended before it was complete.
    """

    relaxations: list[Relaxation] = field(default_factory=list)
    stuck: list[Demand] = field(default_factory=list)
    is_cut: bool = False
    is_stopped: bool = False


@dataclass
class Variant:
    """A demand, or a part of it, of which is asked what gives it a plan."""

    bench: Bench
    demand: Demand
    steps: Sequence[Step]
    parts: Sequence[Variant] = ()
    _costs: dict[Steps, Decimal | None] = field(default_factory=dict)
    _maybe: dict[Steps, bool] = field(default_factory=dict)

    @cached_property
    def _own(self) -> Steps:
        return frozenset(self.steps)

    def cost(self, steps: Steps) -> Decimal | None:
        """Return the least cost with steps, limits that they open being none at all."""
        mine = steps & self._own
        if mine not in self._costs:
            found = None
            if all(part.works(mine) for part in self.parts):
                found = self.bench.best(relaxed(self.demand, mine))
            self._costs[mine] = None if found is None else found.usd_month
        return self._costs[mine]

    def works(self, steps: Steps) -> bool:
        """Return whether there is a plan with exactly these steps."""
        return self.cost(steps) is not None

    def may_work(self, steps: Steps) -> bool:
        """Return whether there may be one with some of these steps."""
        mine = steps & self._own
        if mine not in self._maybe:
            self._maybe[mine] = (
                all(part.may_work(mine) for part in self.parts)
                and (self.bench.may_have_plan(*_widest(self.demand, mine))[0])
            )
        return self._maybe[mine]

    def searched(self, cores: Iterable[Sequence[Step]] = ()) -> Found:
        """Return the least sets of steps, cheapest first."""
        search = Search(self, self.steps, self.bench.allowance, cores)
        try:
            with self.bench.allowance.keeping(0.5):
                sets = search.least()
        except Exhausted:
            return Found([], search.cores, is_stopped=True)
        costs = [(cost, steps) for steps in sets if (cost := self.cost(steps)) is not None]
        costs.sort(key=lambda pair: pair[0])
        return Found(costs, search.cores, is_stopped=search.is_cut)


@dataclass(frozen=True)
class Found:
    """The least sets of a variant with their costs, and the cores they were found by."""

    sets: list[tuple[Decimal, Steps]]
    cores: list[tuple[Step, ...]]
    is_stopped: bool

    def named(self, old: str, new: str) -> Found:
        """Return the same for a volume that is alike."""

        def other(step: Step) -> Step:
            return replace(step, name=new) if step.name == old else step

        sets = [(cost, frozenset(map(other, steps))) for cost, steps in self.sets]
        return Found(sets, [tuple(map(other, core)) for core in self.cores], self.is_stopped)


def _widest(demand: Demand, steps: Steps) -> tuple[Demand, dict[str, int]]:
    """Return a demand that allows all that any of these steps allow, and the fewest replicas."""
    fewer = [step for step in steps if step.field == "replicas"]
    spread = {step.name for step in steps if step.field == "spread"}
    wide = {step for step in steps if step.field not in {"replicas", "spread"}}
    wide |= {Step("volume", name, "spread", "set", "none") for name in spread}
    fewest = {v.name: v.replicas for v in relaxed(demand, fewer).volumes} if fewer else {}
    return relaxed(demand, wide), fewest


def ways_out(bench: Bench, parts: Parts) -> Ways:
    """Return the least sets of changes that give a demand a plan, at most ten, cheapest first.

    Parameters
    ----------
    bench : Bench
        The demand without a plan, and its market.
    parts : Parts
        Its parts.
    """
    demand, ways = bench.whole.demand, Ways()
    if demand.workloads and bench.whole.rentals is None:
        return ways
    variants = [Variant(bench, part, steps_of(part, bench)) for part in parts.failing]
    known: dict[Any, tuple[str, Found]] = {}
    found = [_found(variant, known) for variant in variants]
    for part, one in zip(parts.failing, found, strict=True):
        ways.is_stopped |= one.is_stopped
        if not one.sets and not one.is_stopped:
            ways.stuck.append(part)
    if not all(one.sets for one in found):
        return ways
    if found:
        _take(bench, parts, ways, _combined([one.sets for one in found], parts.usd_month))
        if ways.relaxations or ways.is_stopped:
            return ways
    whole = Variant(bench, demand, steps_of(demand, bench), variants)
    last = whole.searched(core for one in found for core in one.cores)
    ways.is_stopped |= last.is_stopped
    if not last.sets and not last.is_stopped:
        ways.stuck.append(demand)
    _take(bench, parts, ways, iter(last.sets))
    return ways


def _found(variant: Variant, known: dict[Any, tuple[str, Found]]) -> Found:
    """Return the least sets of a part; volumes on their own that are alike have the same."""
    demand = variant.demand
    volume = demand.volumes[0]
    if len(demand.volumes) > 1 or demand.workloads or demand.groups:
        return variant.searched()
    key = volume.model_copy(update={"name": "x", "owner": None, "tags": {}}).model_dump_json()
    if key not in known:
        known[key] = (volume.name, variant.searched())
    return known[key][1].named(known[key][0], volume.name)


def _combined(
    choices: Sequence[Sequence[tuple[Decimal, Steps]]], rest: Decimal
) -> Iterator[tuple[Decimal, Steps]]:
    """Yield one set of each part together with what everything costs at least, cheapest first."""

    def at(places: tuple[int, ...]) -> Decimal:
        return total([rest, *(sets[n][0] for sets, n in zip(choices, places, strict=True))])

    first = (0,) * len(choices)
    heap, seen = [(at(first), first)], {first}
    while heap:
        cost, places = heapq.heappop(heap)
        sets = (sets[n][1] for sets, n in zip(choices, places, strict=True))
        yield cost, frozenset().union(*sets)
        for i, n in enumerate(places):
            following = (*places[:i], n + 1, *places[i + 1 :])
            if n + 1 < len(choices[i]) and following not in seen:
                seen.add(following)
                heapq.heappush(heap, (at(following), following))


def _take(
    bench: Bench, parts: Parts, ways: Ways, candidates: Iterator[tuple[Decimal, Steps]]
) -> None:
    """Work out the cheapest of some sets, which come by a bound of what they cost."""
    taken: list[Relaxation] = []
    try:
        for bound, steps in candidates:
            if len(taken) >= MOST and bound >= taken[MOST - 1].usd_month:
                ways.is_cut = True
                break
            one = _beside(bench, parts, steps) or _priced(bench, steps)
            if one is not None:
                insort(taken, one, key=lambda one: (one.usd_month, one.text))
    except Exhausted:
        ways.is_stopped = True
    ways.is_cut |= len(taken) > MOST
    ways.relaxations = taken[:MOST]


def _priced(bench: Bench, steps: Steps) -> Relaxation | None:
    """Return steps as a relaxation: limits at their least, and what the best plan costs then."""
    before = bench.whole.demand
    values = sufficient(bench, before, steps)
    if values is None:
        return None
    after = relaxed(before, steps, values)
    instance, found = bench.solved(after)
    if found is None:
        return None
    return _relaxation(before, after, steps, _usd_hr(instance, found), found.usd_month)


def _beside(bench: Bench, parts: Parts, steps: Steps) -> Relaxation | None:
    """Return the same where the failing parts, so relaxed, and all others keep to the policy.

    That is the optimum then: no plan is cheaper than the best of each part. None where they do
    not, or where a step is about the policy.
    """
    scope, before = parts.scope, bench.whole.demand
    if scope is None or any(step.kind in {"policy", "owner"} for step in steps):
        return None
    values = sufficient(bench, scope, steps)
    if values is None:
        return None
    instance, found = bench.solved(relaxed(scope, steps, values))
    if found is None:
        return None
    after = relaxed(before, steps, values)
    if is_capped(before):
        at = {volume.name: v for v, volume in enumerate(before.volumes)}
        mine = {at[scope.volumes[v].name]: offers for v, offers in found.chosen.items()}
        if not bench.instance(after).within_policy({**parts.chosen, **mine}):
            return None
    usd_hr = total([parts.usd_hr, _usd_hr(instance, found)])
    return _relaxation(before, after, steps, usd_hr, total([parts.usd_month, found.usd_month]))


def _usd_hr(instance: Instance, found: Optimum) -> Decimal:
    rentals = instance.rentals
    gpus = () if rentals is None else (rentals.usd_hr(w, g) for w, g in found.rented.items())
    return total([instance.disk_usd_hr(found.chosen), *gpus])


def _relaxation(
    before: Demand, after: Demand, steps: Steps, usd_hr: Decimal, usd_month: Decimal
) -> Relaxation:
    made = changes(before, after, steps)
    text = "; ".join(one["text"] for one in made)
    return Relaxation(made, text, usd_hr, usd_month, after)
