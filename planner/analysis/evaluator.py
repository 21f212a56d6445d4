"""The optimum under changes: the same demand and market with something different, solved exactly.

A change makes one instance of another: a candidate is excluded or required, a requirement dropped,
the market is smaller. It computes again only what it touches. Pairs of a volume that stays as it is
are taken over; volumes that nothing connects to a change keep their best choice; and where the
dual bound shows that nothing can be cheaper than what is wanted, nothing is solved.

What groups and workloads connect is a part. A change of one part leaves the others as they are, and
where the whole then keeps within the policy, that is the optimum. Only where it does not is
everything decided again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from planner.analysis.answers import (
    AT_LEAST,
    BETWEEN,
    NEAR_OPTIMAL,
    NO_PLACE,
    NOT_EVALUATED,
    Answer,
    ExtraCosts,
)
from planner.analysis.changes import Change, demand_of, excluding, including, subset
from planner.analysis.free import FreeVolumes
from planner.analysis.nearby import Nearby
from planner.analysis.priced import PolicyRoom
from planner.present.progress import tracked
from planner.requirements.policy import BudgetLimit
from planner.solve.optimum import Optimum, dual_bound, optimum, solve_component
from planner.solve.stats import SolveStats, Undecided
from planner.units import averaged_usd_hr, difference, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from planner.demand.model import Demand, Volume
    from planner.solve.certificate import Multiplier
    from planner.solve.problem import Chosen, Instance


# Parts.


class PlanChoice(Protocol):
    """The offers and GPUs of a plan, as in `Optimum`."""

    @property
    def chosen(self) -> Chosen:
        """Return the offers of each volume."""

    @property
    def rented(self) -> dict[int, int]:
        """Return the GPU offer of each workload."""


@dataclass
class PartsOptimum:
    """The best choice of every part of an instance on its own, the policy aside.

    Attributes
    ----------
    failing : list of Demand
        Those that have none, by first volume.
    chosen, rented : dict
        The choice of all others, in the numbers of the instance; see `Optimum`.
    usd_month, usd_hr : Decimal
        What it costs.
    """

    failing: list[Demand]
    chosen: Chosen = field(default_factory=dict)
    rented: dict[int, int] = field(default_factory=dict)
    usd_month: Decimal = field(default_factory=lambda: total([]))
    usd_hr: Decimal = field(default_factory=lambda: total([]))


def optimum_of_parts(instance: Instance) -> PartsOptimum:
    """Return the optimum of every part of an instance, each solved on its own."""
    demand, result = instance.demand, PartsOptimum([])
    placed = {v: at for v, at in enumerate(instance.least.choices()) if at is not None}
    failing: list[tuple[int, ...]] = []
    coupled: set[int] = set()
    for scope in instance.components:
        coupled.update(scope.volumes)
        solution = None
        if placed.keys() >= {*scope.volumes}:
            solution = solve_component(instance, scope, placed, SolveStats(), tie_break=False)
        if solution is None:
            failing.append(scope.volumes)
            continue
        result.chosen.update(solution.chosen)
        result.rented.update(instance.rent(scope.workloads, solution.chosen) or {})
    alone = [v for v in range(len(demand.volumes)) if v not in coupled]
    result.chosen.update((v, placed[v]) for v in alone if v in placed)
    failing += [(v,) for v in alone if v not in placed]
    result.failing = [demand_of(demand, volumes) for volumes in sorted(failing)]
    rentals = instance.rentals
    gpus = () if rentals is None else (rentals.usd_hr(w, g) for w, g in result.rented.items())
    result.usd_month = instance.usd_month(result.chosen, result.rented)
    result.usd_hr = total([instance.disk_usd_hr(result.chosen), *gpus])
    return result


@dataclass(frozen=True)
class Part:
    """Volumes and workloads that groups and mounts connect, as an instance of its own."""

    volumes: tuple[int, ...]
    workloads: tuple[int, ...]
    instance: Instance

    @property
    def why_not(self) -> str:
        """Return what there is to say where a change leaves it without a plan."""
        if self.workloads:
            return "ruled out by the workloads and groups around it"
        if len(self.volumes) > 1:
            return "ruled out by its groups"
        return NO_PLACE


# How much may be evaluated.


class OutOfBudget(Exception):
    """The search has done all the work that it may do."""


@dataclass
class SearchBudget:
    """Work that may still be done, in solver calls; large programs count for more.

    Without a deadline nothing here looks at a clock, so the same question has the same answer on
    every machine.

    Attributes
    ----------
    calls : float
        What is left.
    deadline : float | None
        On the monotonic clock, where the user set a time limit.
    """

    calls: float = 600.0
    deadline: float | None = None

    @property
    def left_s(self) -> float | None:
        """Return the seconds that are left of an explicit time limit."""
        return None if self.deadline is None else max(0.01, self.deadline - time.monotonic())

    @property
    def is_late(self) -> bool:
        """Return whether an explicit time limit is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def is_spent(self) -> bool:
        """Return whether no more work may be done."""
        return self.calls <= 0 or self.is_late

    def spend(self, calls: float = 1.0) -> None:
        """Pay for work, of which the last piece may be larger than what is left.

        Raises
        ------
        OutOfBudget
            When nothing was left.
        """
        if self.is_spent:
            raise OutOfBudget
        self.calls -= calls


# Evaluation.


_PROGRAMS, _PLANS = 250, 12
"""Programs that are solved for one kind of answer that was not asked for one by one, and what they
may be worth in plans of a large instance, where a program near the plan is small beside one."""
_PLACES = Decimal("1e-9")
_NEARBY, _BESIDE = 3, 6
"""Programs that one near the plan counts as at least: it is small, and may be hard. Where prices of
limits answer most of what is asked in a large instance, it is worth several of the whole."""
_PAIRS_A_PROGRAM, _COLUMNS_A_PROGRAM = 500, 400
"""Pairs of volumes and offers, and columns that are left of them, which count as one program."""


class Near(NamedTuple):
    """Moves that a price makes a cheaper plan, and a price up to which none is."""

    rival: Chosen | None
    proven: float


class Evaluator:
    """Evaluates changes of a plan, and changes nothing of it.

    Parameters
    ----------
    instance : Instance
        Demand and market of the plan.
    chosen : dict of sequence of int
        Offers of each volume.
    rented : dict of int
        GPU offer of each workload.
    budget : SearchBudget | None
        Programs that may be solved; once they are, answers are what is known without. None: all.
    multipliers : sequence of Multiplier
        What proves the plan's bound, where that is known.
    """

    def __init__(
        self,
        instance: Instance,
        chosen: Mapping[int, Sequence[int]],
        rented: Mapping[int, int],
        budget: SearchBudget | None = None,
        multipliers: Sequence[Multiplier] = (),
    ) -> None:
        self.instance = instance
        self.chosen: Chosen = {v: sorted(chosen[v]) for v in sorted(chosen)}
        self.rented = dict(sorted(rented.items()))
        self.usd_month = instance.usd_month(self.chosen, self.rented)
        self.budget = SearchBudget(float("inf")) if budget is None else budget
        self._multipliers = multipliers
        self._parts: dict[int, Part] = {}

    @property
    def hours(self) -> int:
        """Return the hours of the policy's month."""
        return self.instance.demand.policy.hours_per_month

    def extra_costs(self, answers: Sequence[Answer]) -> ExtraCosts:
        """Return how much more answers cost than the plan."""
        more = [
            None if each.usd_month is None else difference(each.usd_month, self.usd_month)
            for each in answers
        ]
        least = [
            usd if each.least_month is None else difference(each.least_month, self.usd_month)
            for usd, each in zip(more, answers, strict=True)
        ]
        per_hour = [None if usd is None else averaged_usd_hr(usd, self.hours) for usd in more]
        return ExtraCosts(per_hour, more, least, [each.why for each in answers])

    @cached_property
    def live(self) -> frozenset[int]:
        """Return the volumes of which existing disks are replicas."""
        return frozenset(v for v, _ in self.instance.kept)

    @cached_property
    def is_capped(self) -> bool:
        """Return whether the policy can decide between solutions that each part allows.

        A budget of the whole cannot, where disks are all there is to pay for: what exceeds it is
        dearer than what does not.
        """
        jobs = bool(self.instance.demand.workloads)
        return any(
            jobs or requirement.owner is not None or not isinstance(requirement, BudgetLimit)
            for requirement in self.instance.requirements
        )

    @cached_property
    def is_cheapest(self) -> bool:
        """Return whether no plan costs less; time limit and cost tolerance may have let one."""
        if self.is_capped and self._nearby is not None:
            with suppress(Undecided):
                return self._nearby.base.usd_month >= self.usd_month
        return cheaper(self.instance, self.usd_month) is None

    @property
    def is_without_programs(self) -> bool:
        """Return whether many answers are to come from prices of the limits alone."""
        if not self.is_capped or self.budget.calls == float("inf") or self._nearby is None:
            return False
        return self._nearby.is_large or self.budget.is_spent

    def near_threshold(self, o: int, gb: int, *, rises: bool, end: float) -> Near | None:
        """Return what is known without a program of the price at which the plan changes.

        The plan has so many GB at the offer; nothing is asked beyond the end.
        """
        if not self.is_capped or self._nearby is None:
            return None
        proven = self._nearby.proven_price(o, end, gb)
        return None if proven is None else Near(self._nearby.rival(o, rises=rises), proven)

    # Parts.

    @cached_property
    def members(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return volumes and workloads of every part."""
        components = [(scope.volumes, scope.workloads) for scope in self.instance.components]
        return sorted([*components, *(((v,), ()) for v in self.alone)])

    @cached_property
    def alone(self) -> frozenset[int]:
        """Return the volumes that no group, workload or existing disk ties to anything."""
        coupled = {v for scope in self.instance.components for v in scope.volumes}
        return frozenset(v for v in self.chosen if v not in coupled)

    def number_of(self, v: int) -> int:
        """Return the number of the part in which a volume is decided."""
        return int(self.part_numbers[v])

    @cached_property
    def part_numbers(self) -> NDArray[np.int64]:
        """Return the number of the part in which each volume is decided, shape (V,)."""
        part_of = {v: p for p, (volumes, _) in enumerate(self.members) for v in volumes}
        return np.array([part_of[v] for v in sorted(part_of)], np.int64)

    @cached_property
    def placed(self) -> dict[int, list[int]]:
        """Return the volumes that have a replica at each offer, alone or sharing a disk."""
        placed = defaultdict[int, list[int]](list)
        for v, at in self.chosen.items():
            for o in {*map(self.instance.pairs.base, at)}:
                placed[o].append(v)
        return placed

    def part_of(self, v: int) -> Part:
        """Return the part in which a volume is decided."""
        return self.part(self.number_of(v))

    def part(self, p: int) -> Part:
        """Return a part."""
        if p not in self._parts:
            self._parts[p] = Part(*self.members[p], subset(self.instance, *self.members[p]))
        return self._parts[p]

    @cached_property
    def dearest_usd_hr(self) -> NDArray[np.float64]:
        """Return what one more offer for a volume has to cost less than to change the plan.

        That is the dearest replica of its least choice, and what its part costs more than its
        bound; infinite where copies are kept apart by places of which an offer lies in several.
        """
        least, result = self.instance.least, np.full(len(self.chosen), np.inf)
        for p, (volumes, jobs) in enumerate(self.members):
            picked = {v: at for v in volumes if (at := least.choice(v)) and least.is_simple(v)}
            spare = 0.0
            if volumes[0] not in self.alone:
                bound = dual_bound(self.part(p).instance)
                cost = self._cost(volumes, jobs, self)
                spare = np.inf if bound is None else float(difference(cost, bound)) / self.hours
            for v, offers in picked.items():
                result[v] = max(float(self.instance.usd_hr(v, o)) for o in offers) + spare
        return result

    @cached_property
    def groups(self) -> frozenset[int]:
        """Return the parts that are one group of single copies at one place."""
        return frozenset(
            p
            for p, (volumes, jobs) in enumerate(self.members)
            if len(volumes) > 1 and not jobs and _is_one_group(self.part(p).instance)
        )

    @cached_property
    def plan(self) -> Answer:
        """Return the plan itself."""
        return Answer(self.usd_month, self.chosen, self.rented)

    def plan_of(self, p: int) -> Answer:
        """Return what a part has of the plan, in the numbers of that part."""
        volumes, jobs = self.members[p]
        chosen = {i: self.chosen[v] for i, v in enumerate(volumes)}
        return Answer(None, chosen, {i: self.rented[w] for i, w in enumerate(jobs)})

    @cached_property
    def _rest(self) -> PartsOptimum | None:
        """Return the best choice of every part, of equal ones the plan's; None where one fails."""
        best = optimum_of_parts(self.instance)
        if best.failing:
            return None
        for volumes, jobs in self.members:
            if self._cost(volumes, jobs, best) == self._cost(volumes, jobs, self):
                best.chosen.update({v: self.chosen[v] for v in volumes})
                best.rented.update({w: self.rented[w] for w in jobs})
        return best

    def _cost(self, volumes: Iterable[int], jobs: Iterable[int], choice: PlanChoice) -> Decimal:
        chosen = {v: choice.chosen[v] for v in volumes}
        return self.instance.usd_month(chosen, {w: choice.rented[w] for w in jobs})

    # Answers.

    def evaluate(self, part: Part, change: Change, *, tie_break: bool = False) -> Answer:
        """Return the best plan where one part is changed."""
        if self._is_bound and self._nearby is not None:
            return self.evaluate_whole(change, part)
        if self.budget.is_spent:
            return Answer(None, {}, {}, NOT_EVALUATED)
        changed = change(part.instance)
        best = self._solve(changed, tie_break=tie_break)
        if best is None:
            return Answer(None, {}, {}, part.why_not)
        if self._rest is not None:
            before = self._cost(part.volumes, part.workloads, self._rest)
            usd_month = total([difference(self._rest.usd_month, before), best.usd_month])
            chosen = dict(zip(part.volumes, best.chosen.values(), strict=True))
            if self._keeps_policy(chosen, changed) or change(self.instance).within_policy(
                {**self._rest.chosen, **chosen}
            ):
                return Answer(usd_month, chosen, {}, _proof(best))
        return self.evaluate_whole(change)

    def _keeps_policy(self, chosen: Chosen, changed: Instance) -> bool:
        """Return whether volumes of a changed part surely may be elsewhere, in their order."""
        if not self.instance.requirements:
            return True
        return self._room.allows([*chosen], changed, dict(enumerate(chosen.values())))

    @cached_property
    def _room(self) -> PolicyRoom:
        """Return what the policy leaves of its limits beside the best choice of every part."""
        return PolicyRoom(self.instance, self.chosen if self._rest is None else self._rest.chosen)

    # Of volumes that nothing ties to others.

    @cached_property
    def _free(self) -> FreeVolumes | None:
        """Return the volumes of which the own least choice answers what changes nothing else."""
        if self._rest is None or self._is_bound:
            return None
        rest = self._rest
        return FreeVolumes(self.instance, self.alone, rest.chosen, rest.usd_month, self._room)

    def is_free(self, volumes: Iterable[int]) -> bool:
        """Return whether no program is solved for what changes one of some volumes."""
        return self._free is not None and self._free.answers(volumes)

    def evaluate_without(self, v: int, o: int) -> Answer:
        """Return the best plan in which a volume is not at an offer, nor at disks shared there."""
        answer = None if self._free is None else self._free.without(v, o)
        if answer is None:
            change = excluding(self.instance.pairs.volumes[v].name, o)
            answer = self.evaluate(self.part_of(v), change, tie_break=True)
        return answer

    def evaluate_volumes(self, changed: Sequence[tuple[int, Volume]]) -> list[Answer | None]:
        """Return the best plans with a volume each that asks for something else.

        None where more than the volume's own least choice decides.
        """
        return [None] * len(changed) if self._free is None else self._free.changed(changed)

    def evaluate_at(self, v: int, offers: Sequence[int]) -> ExtraCosts:
        """Return the best plans with a replica of a volume at each of some offers, shared or not.

        Where nothing ties the volume to others, that is its cheapest replicas with one there.
        """
        costs = None if self._free is None else self._free.at(v, offers, self.usd_month)
        if costs is not None:
            return costs
        if self._is_bound and self._nearby is not None and self.is_without_programs:
            return self.extra_costs([*self._without_program(self._nearby, v, offers)])
        name, part = self.instance.pairs.volumes[v].name, self.part_of(v)
        asked = tracked(offers, "Testing offers")
        return self.extra_costs([self.evaluate(part, including(name, o)) for o in asked])

    def _without_program(self, nearby: Nearby, v: int, offers: Sequence[int]) -> Iterator[Answer]:
        """Yield what is known of plans with a replica of a volume at offers, as many are."""
        for least, usd in zip(*nearby.with_replica(v, offers), strict=True):
            if np.isinf(least):
                yield Answer(None, {}, {}, self.part_of(v).why_not)
                continue
            least_month = Decimal(least * self.hours).quantize(_PLACES, ROUND_FLOOR)
            if usd is None:
                yield Answer(None, {}, {}, AT_LEAST, least_month)
                continue
            is_near = nearby.is_near_enough(float(usd) / self.hours, least)
            why = NEAR_OPTIMAL if is_near else BETWEEN
            yield Answer(usd, {}, {}, why, min(least_month, usd))

    @cached_property
    def _is_bound(self) -> bool:
        """Return whether the policy keeps parts from their best choice."""
        return self._rest is not None and not self.instance.within_policy(self._rest.chosen)

    def evaluate_whole(self, change: Change, part: Part | None = None) -> Answer:
        """Return the best plan where anything may be changed; or a part, if it is given."""
        other, nearby = change(self.instance), self._nearby
        if nearby is not None and nearby.is_near(other):
            return self._evaluate_near(nearby, other, change, part)
        if self.budget.is_spent:
            return Answer(None, {}, {}, NOT_EVALUATED)
        return self._answer(self._solve(other), change, part)

    def _evaluate_near(
        self, nearby: Nearby, other: Instance, change: Change, part: Part | None
    ) -> Answer:
        """Return the same from what is known near the plan, and a program where need be."""
        bracket, many = nearby.bracket(other), self.budget.calls < float("inf")
        best = bracket.best
        if bracket.is_exact:
            return self._answer(best, change, part)
        at_least = _BESIDE * size_of(other) if nearby.is_large else _NEARBY
        may_solve = not self.budget.is_spent and at_least <= self.budget.calls
        if may_solve and not nearby.is_settled(bracket, is_one_of_many=many):
            before = nearby.columns_solved
            try:
                return self._answer(nearby.solved(other, bracket), change, part)
            except Undecided:
                if not many:
                    return self._answer(self._solve(other), change, part)
            finally:
                columns = nearby.columns_solved - before
                self.budget.calls -= bool(columns) * max(at_least, columns / _COLUMNS_A_PROGRAM)
        least = Decimal(bracket.least_usd_hr * self.hours).quantize(_PLACES, ROUND_FLOOR)
        if best is None:
            return Answer(None, {}, {}, AT_LEAST, least)
        is_near = nearby.is_settled(bracket, is_one_of_many=True)
        why = NEAR_OPTIMAL if is_near else BETWEEN
        return Answer(best.usd_month, best.chosen, best.rented, why, min(least, best.usd_month))

    def _answer(self, best: Optimum | None, change: Change, part: Part | None) -> Answer:
        if best is not None:
            return Answer(best.usd_month, best.chosen, best.rented, _proof(best), best.bound_month)
        if part is not None and optimum(change(part.instance), tie_break=False) is None:
            return Answer(None, {}, {}, part.why_not)
        asked = dict.fromkeys(requirement.step[2] for requirement in self.instance.requirements)
        return Answer(None, {}, {}, f"ruled out by the policy: {', '.join(asked)}")

    @cached_property
    def _nearby(self) -> Nearby | None:
        plan = Optimum(self.chosen, self.rented, self.usd_month, None, SolveStats())
        try:
            return Nearby(self.instance, plan, self._multipliers)
        except Undecided:
            return None

    def spend(self, instance: Instance, programs: float = 1) -> bool:
        """Return whether so many programs more may be solved, and count them."""
        if self.budget.is_spent:
            return False
        self.budget.calls -= programs * size_of(instance)
        return True

    def ration(self, plans: int = _PLANS, programs: int = _PROGRAMS) -> None:
        """Give the next kind of answers a budget of its own: programs, or so many plans."""
        self.budget = SearchBudget(max(programs, plans * size_of(self.instance)))

    def _solve(self, instance: Instance, *, tie_break: bool = False) -> Optimum | None:
        best = optimum(instance, tie_break=tie_break)
        self.spend(instance, 1 if best is None else len(best.stats.runs))
        return best


def size_of(instance: Instance) -> int:
    """Return the programs that one of a whole instance counts as."""
    return 1 + instance.pairs.broken.size // _PAIRS_A_PROGRAM


def _is_one_group(instance: Instance) -> bool:
    if len(instance.ties) != 1 or instance.pairs.shared:
        return False
    (tie,) = instance.ties
    return (
        tie.same
        and len(tie.members) == len(instance.volumes)
        and all(volume.replicas == 1 for volume in instance.volumes)
        and all(len(place) == 1 for place in instance.places(tie.level))
    )


def cheaper(instance: Instance, usd_month: Decimal | Fraction) -> Optimum | None:
    """Return the best plan of an instance where it costs less than an amount, else None.

    Where the dual bound is not below the amount, nothing is solved.
    """
    bound = dual_bound(instance)
    if bound is None or bound >= usd_month:
        return None
    best = optimum(instance, tie_break=False)
    return best if best is not None and best.usd_month < usd_month else None


def _proof(best: Optimum) -> str:
    return "" if best.bound_month is None else NEAR_OPTIMAL
