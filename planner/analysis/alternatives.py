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

from planner.analysis.evaluator import WhatIf, forbid, force
from planner.market.offers import place_text
from planner.schema import EXACT, TEXT, WHOLE, Column, build, records
from planner.solve.optimum import Optimum, optimum
from planner.solve.problem import Chosen, Instance
from planner.solve.solution import PLACEMENTS, placements
from planner.units import averaged_usd_hr, difference, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    import pandas as pd


ALTERNATIVES = (
    Column("rank", WHOLE, "1 is the best plan but this one"),
    Column("usd_hr", EXACT, "disks and averaged GPUs, exact Decimal; see averaged_usd_hr"),
    Column("usd_month", EXACT, "disks and GPUs, exact Decimal"),
    Column("extra_usd_month", EXACT, "how much dearer than this plan, exact Decimal"),
    Column("changes", TEXT, "which volumes and workloads move where"),
)
"""Columns of alternatives, by cost."""
ALTERNATIVE_PLACEMENTS = (
    Column("rank", WHOLE, "as in ALTERNATIVES"),
    *(column for column in PLACEMENTS if column.name not in {"action", "owner", "tags"}),
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

    ``best`` has the best of each part, the policy aside; their sum is a bound of the class.
    """

    parts: tuple[Instance, ...]
    best: tuple[Optimum, ...]

    @property
    def bound(self) -> Decimal:
        return total(one.usd_month for one in self.best)

    def with_part(self, p: int, part: Instance) -> _Class | None:
        """Return the class with one part changed; None where it has no solution."""
        found = optimum(part, settled=False)
        if found is None:
            return None
        parts = (*self.parts[:p], part, *self.parts[p + 1 :])
        return _Class(parts, (*self.best[:p], found, *self.best[p + 1 :]))


def alternatives(
    instance: Instance, chosen: Mapping[int, Sequence[int]], k: int
) -> list[Alternative]:
    """Return the k cheapest plans that are not this one, nor each other.

    Two plans differ where some volume's set of offers does. Fewer than k are all there are.

    Parameters
    ----------
    instance : Instance
        Demand and market of the plan.
    chosen : dict of sequence of int
        The plan that is not wanted again.
    """
    whatif = WhatIf(instance, chosen, {})
    parts = tuple(whatif.part(p).instance for p in range(len(whatif.members)))
    best = [optimum(part, settled=False) for part in parts]
    every = _Class(parts, tuple(one for one in best if one is not None))
    if len(every.best) < len(parts):
        return []
    number = itertools.count()
    line: list[tuple[Decimal, int, _Class, Alternative | None]] = []

    def enqueue(classes: Iterator[_Class]) -> None:
        for one in classes:
            heapq.heappush(line, (one.bound, next(number), one, None))

    enqueue(_classes(whatif, every, chosen))
    found: list[Alternative] = []
    while line and len(found) < k:
        _, _, one, solved = heapq.heappop(line)
        if solved is None:
            solved = _solved(whatif, one)
            if solved is not None:
                heapq.heappush(line, (solved.usd_month, next(number), one, solved))
            continue
        found.append(solved)
        enqueue(_classes(whatif, one, solved.chosen))
    return found


def _classes(
    whatif: WhatIf, every: _Class, chosen: Mapping[int, Sequence[int]]
) -> Iterator[_Class]:
    """Yield the solutions of a class that place some volume otherwise, in disjoint classes."""
    for v in sorted(chosen):
        p = whatif.number_of(v)
        i, fixed = whatif.members[p][0].index(v), every.parts[p]
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
            made = every.with_part(p, other)
            if made is not None:
                yield made
        narrowed = every.with_part(p, forbid(fixed, i, elsewhere))
        if narrowed is None:
            return
        every = narrowed


def _solved(whatif: WhatIf, one: _Class) -> Alternative | None:
    """Return the best plan of a class: that of its parts where the policy allows it."""
    instance = whatif.instance
    chosen, rented = Chosen(), dict[int, int]()
    broken, forced = instance.pairs.broken.copy(), list[tuple[int, frozenset[int]]]()
    for (volumes, jobs), part, best in zip(whatif.members, one.parts, one.best, strict=True):
        chosen.update({volumes[i]: offers for i, offers in best.chosen.items()})
        rented.update({jobs[i]: g for i, g in best.rented.items()})
        broken[list(volumes)] = part.pairs.broken
        forced += ((volumes[i], offers) for i, offers in part.forced)
    if instance.within_policy(chosen):
        return Alternative(dict(sorted(chosen.items())), dict(sorted(rented.items())), one.bound)
    pairs = replace(instance.pairs, broken=broken)
    found = optimum(replace(instance, pairs=pairs, forced=tuple(forced)), settled=False)
    return None if found is None else Alternative(found.chosen, found.rented, found.usd_month)


def to_frame(
    instance: Instance,
    chosen: Mapping[int, Sequence[int]],
    rented: Mapping[int, int],
    found: Sequence[Alternative],
) -> pd.DataFrame:
    """Return alternatives beside the plan they are alternatives to (columns ``ALTERNATIVES``)."""
    now, hours = instance.usd_month(chosen, rented), instance.demand.policy.hours_per_month
    rows = [
        {
            "rank": rank,
            "usd_hr": averaged_usd_hr(one.usd_month, hours),
            "usd_month": one.usd_month,
            "extra_usd_month": difference(one.usd_month, now),
            "changes": "; ".join(moves(instance, chosen, rented, one.chosen, one.rented)),
        }
        for rank, one in enumerate(found, 1)
    ]
    return build(rows, ALTERNATIVES)


def placements_frame(instance: Instance, found: Sequence[Alternative]) -> pd.DataFrame:
    """Return the placements of alternatives (columns ``ALTERNATIVE_PLACEMENTS``)."""
    rows: list[dict[str, Any]] = []
    for rank, one in enumerate(found, 1):
        made = placements(instance.pairs, [one.chosen[v] for v in sorted(one.chosen)])
        rows += ({**vars(placement), "rank": rank} for placement in made)
    return build(rows, ALTERNATIVE_PLACEMENTS)


def moves(
    instance: Instance,
    chosen: Mapping[int, Sequence[int]],
    rented: Mapping[int, int],
    other: Mapping[int, Sequence[int]],
    others_rented: Mapping[int, int],
) -> list[str]:
    """Return what sets another solution apart: each volume and workload that moves, and where."""
    offers, found = records(instance.pairs.offers), []
    for v, volume in enumerate(instance.pairs.volumes):
        left, right = sorted(chosen[v]), sorted(other.get(v, chosen[v]))
        if left != right:
            found.append(f"{volume.name}: {_listed(left, offers)} -> {_listed(right, offers)}")
    rows = instance.rentals.rows if instance.rentals is not None else []
    for w, workload in enumerate(instance.demand.workloads):
        if w in rented and others_rented.get(w, rented[w]) != rented[w]:
            left, right = [rented[w]], [others_rented[w]]
            found.append(f"{workload.name}: GPUs {_listed(left, rows)} -> {_listed(right, rows)}")
    return found


def _listed(numbers: Sequence[int], offers: Sequence[Mapping[str, Any]]) -> str:
    return " + ".join(
        f"{place_text(dict(offers[o]))} ({offers[o]['offer_id']})" for o in sorted(set(numbers))
    )
