"""The k best different plans, exactly and without repetition.

Lawler's partition (Management Science 18, 1972): all plans but the one in hand fall into disjoint
classes, the first volume placed otherwise, the second with the first as it is, and so on. The
best of each class is an optimum of the same program with candidates forbidden and forced; the
best of these is the next plan, and its class is divided in turn. A class is decided
part by part, which is a bound, and as a whole only where the policy does not allow the sum.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from planner.analysis.changes import forbid, force
from planner.market.offers import place_text
from planner.present.progress import working
from planner.schema import AMOUNT, TEXT, WHOLE, Column, build
from planner.solve.optimum import Optimum, optimum
from planner.solve.problem import Chosen, Instance
from planner.solve.solution import PLACEMENTS, placements
from planner.units import averaged_usd_hr, difference, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    import pandas as pd

    from planner.analysis.evaluator import Evaluator, PlanChoice


ALTERNATIVES = (
    Column("rank", WHOLE, "1 is the best plan but this one"),
    Column("usd_hr", AMOUNT, "disks and averaged GPUs; see averaged_usd_hr"),
    Column("usd_month", AMOUNT, "disks and GPUs"),
    Column("extra_usd_month", AMOUNT, "how much dearer than this plan"),
    Column("changes", TEXT, "which volumes and workloads move where"),
)
"""Columns of alternatives, by cost."""
ALTERNATIVE_PLACEMENTS = (
    Column("rank", WHOLE, "as in ALTERNATIVES"),
    *(
        column
        for column in PLACEMENTS
        if column.name not in {"action", "replaces", "disk_group", "owner", "tags"}
    ),
)
"""Columns of their placements, by rank, then as in a plan."""


@dataclass(frozen=True)
class Alternative:
    """A plan that places some volume otherwise, with the cheapest GPUs beside it."""

    chosen: Chosen
    rented: dict[int, int]
    usd_month: Decimal


@dataclass(frozen=True)
class _Class:
    """Some of the plans: each part of the instance with candidates forbidden and forced.

    ``best`` has the best of each part, the policy aside; their sum is the dual bound of the class.
    """

    parts: tuple[Instance, ...]
    best: tuple[Optimum, ...]

    @property
    def bound(self) -> Decimal:
        return total(part.usd_month for part in self.best)

    def with_part(self, p: int, part: Instance) -> _Class | None:
        """Return the class with one part changed; None where it has no solution."""
        best = optimum(part, tie_break=False)
        if best is None:
            return None
        parts = (*self.parts[:p], part, *self.parts[p + 1 :])
        return _Class(parts, (*self.best[:p], best, *self.best[p + 1 :]))


def alternatives(evaluator: Evaluator, k: int) -> list[Alternative]:
    """Return the k cheapest plans that are not the evaluator's, nor each other.

    Two plans differ where some volume's set of offers does. Fewer than k are all there are.
    """
    parts = tuple(evaluator.part(p).instance for p in range(len(evaluator.members)))
    best = [optimum(part, tie_break=False) for part in parts]
    every = _Class(parts, tuple(part for part in best if part is not None))
    if len(every.best) < len(parts):
        return []
    number = itertools.count()
    queue: list[tuple[Decimal, int, _Class, Alternative | None]] = []

    def enqueue(classes: Iterator[_Class]) -> None:
        for some in classes:
            heapq.heappush(queue, (some.bound, next(number), some, None))

    enqueue(_classes(evaluator, every, evaluator.chosen))
    others: list[Alternative] = []
    with working("Finding other plans", k) as task:
        while queue and len(others) < k:
            _, _, some, solved = heapq.heappop(queue)
            if solved is None:
                solved = _solved(evaluator, some)
                if solved is not None:
                    heapq.heappush(queue, (solved.usd_month, next(number), some, solved))
                continue
            others.append(solved)
            task.advance()
            enqueue(_classes(evaluator, some, solved.chosen))
    return others


def _classes(
    evaluator: Evaluator, every: _Class, chosen: Mapping[int, Sequence[int]]
) -> Iterator[_Class]:
    """Yield the solutions of a class that place some volume otherwise, in disjoint classes."""
    for v in sorted(chosen):
        p = evaluator.number_of(v)
        i, fixed = evaluator.members[p][0].index(v), every.parts[p]
        here = sorted(set(chosen[v]))
        elsewhere = sorted(set(range(len(fixed.pairs.offers))).difference(here))
        others = []
        for o in here:
            others.append(forbid(fixed, i, [o]))
            if len(chosen[v]) > 1:
                fixed = force(fixed, i, [o])
        if len(here) < len(chosen[v]):
            others.append(force(fixed, i, elsewhere))
        for other in others:
            some = every.with_part(p, other)
            if some is not None:
                yield some
        narrowed = every.with_part(p, forbid(fixed, i, elsewhere))
        if narrowed is None:
            return
        every = narrowed


def _solved(evaluator: Evaluator, some: _Class) -> Alternative | None:
    """Return the best plan of a class: that of its parts where the policy allows it."""
    instance = evaluator.instance
    chosen, rented = Chosen(), dict[int, int]()
    broken, forced = instance.pairs.broken.copy(), list[tuple[int, frozenset[int]]]()
    for (volumes, jobs), part, best in zip(evaluator.members, some.parts, some.best, strict=True):
        chosen.update({volumes[i]: offers for i, offers in best.chosen.items()})
        rented.update({jobs[i]: g for i, g in best.rented.items()})
        broken[list(volumes)] = part.pairs.broken
        forced += ((volumes[i], offers) for i, offers in part.forced)
    if instance.within_policy(chosen):
        return Alternative(dict(sorted(chosen.items())), dict(sorted(rented.items())), some.bound)
    pairs = replace(instance.pairs, broken=broken)
    whole = optimum(replace(instance, pairs=pairs, forced=tuple(forced)), tie_break=False)
    return None if whole is None else Alternative(whole.chosen, whole.rented, whole.usd_month)


def to_frame(evaluator: Evaluator, others: Sequence[Alternative]) -> pd.DataFrame:
    """Return alternatives beside the plan they are alternatives to (columns ``ALTERNATIVES``)."""
    plan = evaluator.plan
    rows = [
        {
            "rank": rank,
            "usd_hr": averaged_usd_hr(other.usd_month, evaluator.hours),
            "usd_month": other.usd_month,
            "extra_usd_month": difference(other.usd_month, evaluator.usd_month),
            "changes": changes_between(evaluator.instance, plan, other),
        }
        for rank, other in enumerate(others, 1)
    ]
    return build(rows, ALTERNATIVES)


def placements_frame(instance: Instance, others: Sequence[Alternative]) -> pd.DataFrame:
    """Return the placements of alternatives (columns ``ALTERNATIVE_PLACEMENTS``)."""
    rows: list[dict[str, Any]] = []
    for rank, other in enumerate(others, 1):
        placed = placements(instance.pairs, [other.chosen[v] for v in sorted(other.chosen)])
        rows += ({**vars(placement), "rank": rank} for placement in placed)
    return build(rows, ALTERNATIVE_PLACEMENTS)


def changes_between(instance: Instance, plan: PlanChoice, other: PlanChoice) -> str:
    """Return each volume and workload that another solution has elsewhere, and where."""
    offers, changes = instance.pairs.facts.rows, list[str]()
    for v in sorted(other.chosen):
        left, right = sorted(plan.chosen[v]), sorted(other.chosen[v])
        if left != right:
            name = instance.pairs.volumes[v].name
            changes.append(f"{name}: {_listed(left, offers)} -> {_listed(right, offers)}")
    rows = instance.rentals.rows if instance.rentals is not None else []
    for w, workload in enumerate(instance.demand.workloads):
        here = plan.rented.get(w)
        there = other.rented.get(w, here)
        if here is not None and there is not None and here != there:
            gpus = f"{_listed([here], rows)} -> {_listed([there], rows)}"
            changes.append(f"{workload.name}: GPUs {gpus}")
    return "; ".join(changes)


def _listed(numbers: Sequence[int], offers: Sequence[Mapping[str, Any]]) -> str:
    return " + ".join(
        f"{place_text(dict(offers[o]))} ({offers[o]['offer_id']})" for o in sorted(set(numbers))
    )
