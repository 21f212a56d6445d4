"""The smallest conflict: as few requirements as possible that cannot hold together.

Whatever can hold together leaves something out, and every conflict has some of what is left out.
So the least set that has some of each such rest is no larger than any conflict: where it cannot
hold, it is a smallest one; where it can, it is filled up as far as it holds, and what is left out
is one rest more (implicit hitting sets, after Ignatiev, Previti, Liffiton and Marques-Silva, 2015).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.solve.rentals import broken_by
from planner.solve.whynot.requirements import Requirement, only, only_one, requirements
from planner.solve.whynot.trials import Exhausted
from planner.solve.whynot.ways import freed, freed_job
from planner.solve.whynot.witness import witnessed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from planner.demand.model import Demand
    from planner.solve.whynot.trials import Bench, Plan

    # Returns None where requirements cannot hold together, else all known to hold with them.
    Holds = Callable[[Iterable[Requirement]], frozenset[Requirement] | None]

_MANY = 200
"""Requirements from which on a smallest conflict is not sought, only one without spare parts."""
_KINDS = ("owner", "policy", "group", "workload", "volume")


@dataclass(frozen=True)
class Conflict:
    """Requirements that cannot hold together, on this market.

    Attributes
    ----------
    requirements : tuple of Requirement
        In the order of the demand; none where the market alone is in the way.
    demand : Demand
        The part of the demand that they are from.
    is_smallest : bool
        Whether it is proven that no conflict of that part has fewer.
    is_bare : bool
        Whether it is proven that it can do without none of them.
    """

    requirements: tuple[Requirement, ...]
    demand: Demand
    is_smallest: bool
    is_bare: bool = True


def smallest_conflict(
    bench: Bench, demand: Demand, without: Collection[Requirement] = ()
) -> Conflict | None:
    """Return a smallest conflict of a demand; None where all of it can hold.

    Parameters
    ----------
    bench : Bench
        The market, and how many questions may be asked; without enough of them the conflict may
        have spare parts, and says so.
    without : collection of Requirement
        What is left out, because it is known to be in another conflict.
    """
    asked = [one for one in requirements(demand) if one not in without]

    def holds(kept: Iterable[Requirement]) -> frozenset[Requirement] | None:
        kept = frozenset(kept)
        is_possible, plan = can_hold(bench, demand, kept)
        if plan is None or len(asked) > _MANY:
            return kept if is_possible else None
        return kept.union(witnessed(bench, demand, plan, (r for r in asked if r not in kept)))

    try:
        if can_hold(bench, demand, asked)[0]:
            return None
    except Exhausted:
        return None if without else Conflict(tuple(asked), demand, is_smallest=False, is_bare=False)
    if len(asked) <= _MANY:
        asked = [one for one in asked if _matters(bench, demand, one)]
    return _conflict(asked, holds, demand)


def job_conflict(bench: Bench, demand: Demand, w: int) -> Conflict:
    """Return a smallest conflict among what one workload asks of its GPUs, which none offers."""
    alone = demand.model_copy(update={"workloads": (demand.workloads[w],), "groups": ()})
    asked = [r for r in requirements(alone) if r.kind == "workload" and r.field != "mounts"]

    def holds(kept: Iterable[Requirement]) -> frozenset[Requirement] | None:
        kept = frozenset(kept)
        rentals, (_, _, loose) = bench.whole.rentals, only(alone, kept)
        if rentals is None or (broken_by(loose, rentals.gpus) != 0).all():
            return None
        return kept

    return _conflict(asked, holds, alone)


def _conflict(asked: list[Requirement], holds: Holds, demand: Demand) -> Conflict:
    core, is_bare = _bare(asked, holds)
    is_smallest = is_bare and len(core) <= 1
    if is_bare and not is_smallest and len(asked) <= _MANY:
        with suppress(Exhausted):
            core = _smallest(asked, core, holds)
            is_smallest = True
    order = {one: n for n, one in enumerate(asked)}
    return Conflict(tuple(sorted(core, key=order.__getitem__)), demand, is_smallest, is_bare)


def can_hold(bench: Bench, demand: Demand, kept: Iterable[Requirement]) -> tuple[bool, Plan | None]:
    """Return whether a demand may have a plan with nothing asked but some requirements.

    Returns
    -------
    bool, Plan | None
        As `Bench.may_have_plan`: no is certain.

    Raises
    ------
    Exhausted
        When no more questions may be asked.
    """
    variant, fewest, loose = only(demand, frozenset(kept))
    rentals = bench.whole.rentals
    if loose or variant.workloads:
        if rentals is None:
            return False, None
        if not (broken_by(loose, rentals.gpus) == 0).any(axis=1).all():
            return False, None
    return bench.may_have_plan(variant, fewest)


def _matters(bench: Bench, demand: Demand, one: Requirement) -> bool:
    """Return whether a requirement rules out anything of the market on its own."""
    if one.field in {"mounts", "replicas", "spread"} or one.kind not in {"volume", "workload"}:
        return True
    asked, loose = only_one(demand, one)
    if one.kind == "volume":
        (volume,) = asked.volumes
        after = bench.row(volume)[0] == 0
        before = bench.row(freed(volume))[0] == 0
    elif bench.whole.rentals is None:
        return False
    else:
        gpus = bench.whole.rentals.gpus
        after = broken_by(loose, gpus)[0] == 0
        before = broken_by([freed_job(job) for job in loose], gpus)[0] == 0
    return bool((before != after).any())


def _bare(asked: Sequence[Requirement], holds: Holds) -> tuple[list[Requirement], bool]:
    """Return a conflict that can do without none of its requirements, and whether that is proven.

    First it is tried to do without all that is asked of volumes, of workloads, of groups; then
    without all that is asked in one field, then without ever fewer.
    """
    core = list(asked)
    stack = [[one for one in core if one.kind == kind] for kind in _KINDS]
    try:
        while stack:
            block = stack.pop()
            gone = set(block)
            if not block:
                continue
            left = [one for one in core if one not in gone]
            if holds(left) is None:
                core = left
            elif len(block) > 1:
                stack += _pieces(block)
    except Exhausted:
        return core, False
    return core, True


def _pieces(block: list[Requirement]) -> list[list[Requirement]]:
    """Return the parts of a block, by field where it has several."""
    fields: dict[str, list[Requirement]] = {}
    for one in block:
        fields.setdefault(one.field, []).append(one)
    half = len(block) // 2
    return [*fields.values()] if len(fields) > 1 else [block[half:], block[:half]]


def _smallest(
    asked: Sequence[Requirement], bare: list[Requirement], holds: Holds
) -> list[Requirement]:
    """Return a conflict of least size, given one without spare parts."""
    rests: list[frozenset[Requirement]] = []
    while True:
        least = _least_hitting(rests, len(bare))
        if least is None:
            return bare
        kept = holds(least)
        if kept is None:
            return sorted(least, key=asked.index)
        rests.append(frozenset(asked) - _filled(kept, asked, holds))


def _filled(
    kept: frozenset[Requirement], asked: Sequence[Requirement], holds: Holds
) -> frozenset[Requirement]:
    """Return requirements that hold, and to which none can be added."""
    stack = [[one for one in asked if one not in kept]]
    is_all = True  # everything together cannot hold
    while stack:
        block = [one for one in stack.pop() if one not in kept]
        more = None if is_all or not block else holds({*kept, *block})
        is_all = False
        if more is not None:
            kept = more
        elif len(block) > 1:
            half = len(block) // 2
            stack += [block[half:], block[:half]]
    return kept


def _least_hitting(
    rests: Sequence[frozenset[Requirement]], below: int
) -> frozenset[Requirement] | None:
    """Return a least set that has one of each rest, of fewer than so many; None without one."""
    best: frozenset[Requirement] | None = None
    order = sorted(rests, key=len)

    def down(taken: frozenset[Requirement]) -> None:
        nonlocal best, below
        rest = next((rest for rest in order if taken.isdisjoint(rest)), None)
        if rest is None:
            best, below = taken, len(taken)
        elif len(taken) + 1 < below:
            for one in sorted(rest, key=repr):
                down(taken | {one})

    down(frozenset())
    return best
