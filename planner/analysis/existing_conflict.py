"""When there is a plan, but none that keeps every existing disk where it is.

The elastic program with nothing to relax but the disks: each kept replica has a step that releases
it. The fewest releases, then their cost, are minimised; the work is bounded, and no clock is read.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from planner.analysis.budget import OutOfBudget, SearchBudget
from planner.analysis.elastic import Elastic
from planner.analysis.needs import Catalogue
from planner.errors import Infeasible
from planner.solve.existing import movable
from planner.solve.optimum import optimum
from planner.solve.stats import Undecided
from planner.text import visible
from planner.units import money

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from planner.analysis.relax import Offers
    from planner.demand.model import Demand
    from planner.solve.existing import Existing, Kept

_SHOWN = 20
"""Disks, and contradictions, that a person is shown at most."""
_MOST = 10
"""Sets of disks to release that are listed at most."""


def existing_conflict(
    demand: Demand, offers: Offers, existing: Existing, *, time_limit_s: float | None = None
) -> Infeasible | None:
    """Return the error of a demand that only its existing disks make impossible; else None.

    Parameters
    ----------
    demand : Demand
        What has no plan.
    offers : Offers
        The market.
    existing : Existing
        What live disks are to the demand.
    time_limit_s : float | None
        Seconds for each program; None bounds the search by work alone.
    """
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    budget = SearchBudget(deadline=deadline)
    if existing.contradictions:
        return _contradicted(demand, offers, existing, budget)
    return _kept_apart(demand, offers, existing.kept, budget) if existing.kept else None


def _contradicted(
    demand: Demand, offers: Offers, existing: Existing, budget: SearchBudget
) -> Infeasible:
    """Return the error of a demand that names disks which break its requirements."""
    wrong, messages = existing.contradictions, existing.messages
    lines = [f"  {message}" for message in messages[:_SHOWN]]
    if len(messages) > _SHOWN:
        lines.append(f"  and {len(messages) - _SHOWN} more")
    ids = ", ".join(kept.disk_ids[0] for kept, _ in wrong[:_SHOWN])
    usd_month = _cost(demand, offers, existing.kept, budget)
    if usd_month is not None:
        lines.append(f"  without {ids}: ${money(usd_month)}/month")
    return Infeasible(
        "\n".join(["named disks break the requirements of their volumes:", *lines]),
        conflicts=[
            {
                "conflict": number,
                "reason": "kept",
                "message": message,
                "volume": kept.volume,
                "disks": list(kept.disk_ids),
                "irreducible": True,
            }
            for number, (message, (kept, _)) in enumerate(zip(messages, wrong, strict=True), 1)
        ],
        hint=f"take {ids} out of `disks` to buy new disks, or relax what they break",
    )


def _kept_apart(
    demand: Demand, offers: Offers, kept: Sequence[Kept], budget: SearchBudget
) -> Infeasible | None:
    """Return the error of a demand whose kept disks cannot all stay; None where they can."""
    listed: list[tuple[Decimal, str]] = []
    with suppress(OutOfBudget):
        for released in _released(demand, offers, budget):
            gone = [kept[n] for n in sorted(released)]
            left = [each for n, each in enumerate(kept) if n not in released]
            usd_month = _cost(demand, offers, left, budget)
            if usd_month is not None:
                which = (f"{' and '.join(k.disk_ids)} for {visible(k.volume)}" for k in gone)
                listed.append((usd_month, f"without {', '.join(which)}"))
    if not listed:
        usd_month = _cost(demand, offers, (), budget)
        if usd_month is None:
            return None
        listed.append((usd_month, "keeping none of them"))
    lines = [f"  {text}: ${money(usd_month)}/month" for usd_month, text in sorted(listed)]
    ids = [disk for each in kept for disk in each.disk_ids]
    message = f"no plan keeps the disks {', '.join(ids[:_SHOWN])} where they are"
    facts = {"reason": "kept", "message": message, "disks": ids, "irreducible": False}
    return Infeasible(
        "\n".join([f"{message}:", *lines]),
        conflicts=[{"conflict": 1, **facts}],
        hint="name fewer of them, or ask less of spread, groups and policy; disks cannot be moved",
    )


def _released(demand: Demand, offers: Offers, budget: SearchBudget) -> Iterator[frozenset[int]]:
    """Yield the smallest sets of kept replicas without which there is a plan, cheapest first."""
    instance = offers.instance(demand)
    pairs = movable(instance.pairs)
    catalogue = Catalogue(replace(instance, pairs=pairs))
    model = Elastic(catalogue, budget, taken=frozenset(), releasing=True)
    fewest = model.fewest()
    if fewest is None or not fewest.steps:
        return
    model.at_most(len(fewest.steps))
    for _ in range(_MOST):
        best = model.cheapest()
        if best is None:
            return
        yield frozenset(step.value for step in best.steps)
        model.exclude(best.steps)


def _cost(
    demand: Demand, offers: Offers, kept: Sequence[Kept], budget: SearchBudget
) -> Decimal | None:
    """Return what the best plan that keeps some disks costs in a month; None without one."""
    instance = replace(offers, kept=lambda _: kept).instance(demand)
    try:
        best = optimum(instance, tie_break=False, time_limit_s=budget.left_s)
    except Undecided:
        return None
    return None if best is None else best.usd_month
