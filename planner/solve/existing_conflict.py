"""When there is a plan, but none that keeps every disk that is said to be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.errors import Infeasible
from planner.solve.decompose import Undecided
from planner.solve.optimum import optimum
from planner.solve.problem import Instance
from planner.text import visible
from planner.units import money

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    import pandas as pd

    from planner.demand.model import Demand
    from planner.solve.existing import Existing, Kept


_TRIED = 20
"""Disks at most that are left out one by one."""
_SECONDS = 5.0


def kept_conflict(
    demand: Demand, offers: pd.DataFrame, gpus: pd.DataFrame | None, kept: Sequence[Kept]
) -> Infeasible | None:
    """Return the error of a demand that only its kept disks make impossible; else None.

    Parameters
    ----------
    demand : Demand
        What has no plan.
    offers, gpus : DataFrame
        As in `optimise`.
    kept : sequence of Kept
        Replicas that live disks already are.
    """
    usd_month = _least(demand, offers, gpus, ())
    if usd_month is None:
        return None
    ways = list(_ways(demand, offers, gpus, kept)) if len(kept) <= _TRIED else []
    told = [
        f"  without {' and '.join(one.disk_ids)} for {visible(one.volume)}: feasible at "
        f"{money(cost)} USD a month"
        for cost, one in sorted(ways, key=lambda way: way[0])
    ]
    none = f"  keeping none of them: feasible at {money(usd_month)} USD a month"
    ids = [disk for one in kept for disk in one.disk_ids]
    message = f"no plan keeps the disks {', '.join(ids[:_TRIED])} where they are"
    return Infeasible(
        "\n".join([f"{message}:", *(told or [none])]),
        conflicts=[
            {
                "conflict": 1,
                "reason": "kept",
                "message": message,
                "disks": ids,
                "irreducible": False,
            }
        ],
        hint="name fewer of them, or ask less of spread, groups and policy; disks cannot be moved",
    )


def contradicted(
    demand: Demand,
    offers: pd.DataFrame,
    gpus: pd.DataFrame | None,
    existing: Existing,
) -> Infeasible:
    """Return the error of a demand that names disks which break its requirements.

    Parameters
    ----------
    demand : Demand
        What asks for both.
    offers, gpus : DataFrame
        As in `optimise`.
    existing : Existing
        Its contradictions, and what is kept beside them.
    """
    wrong, messages = existing.contradictions, existing.messages
    told = [f"  {message}" for message in messages[:_TRIED]]
    if len(messages) > _TRIED:
        told.append(f"  and {len(messages) - _TRIED} more")
    usd_month = _least(demand, offers, gpus, existing.kept)
    ids = ", ".join(one.disk_ids[0] for one, _ in wrong[:_TRIED])
    if usd_month is not None:
        told.append(f"  without {ids}: feasible at {money(usd_month)} USD a month")
    return Infeasible(
        "\n".join(["named disks break the requirements of their volumes:", *told]),
        conflicts=[
            {
                "conflict": number,
                "reason": "kept",
                "message": message,
                "volume": one.volume,
                "disks": list(one.disk_ids),
                "irreducible": True,
            }
            for number, (message, (one, _)) in enumerate(zip(messages, wrong, strict=True), 1)
        ],
        hint=f"take {ids} out of `disks` to buy new disks, or relax what they break",
    )


def _ways(
    demand: Demand, offers: pd.DataFrame, gpus: pd.DataFrame | None, kept: Sequence[Kept]
) -> Iterator[tuple[Decimal, Kept]]:
    for one in kept:
        cost = _least(demand, offers, gpus, [other for other in kept if other is not one])
        if cost is not None:
            yield cost, one


def _least(
    demand: Demand, offers: pd.DataFrame, gpus: pd.DataFrame | None, kept: Sequence[Kept]
) -> Decimal | None:
    try:
        found = optimum(
            Instance.of(demand, offers, gpus, kept), settled=False, time_limit_s=_SECONDS
        )
    except Undecided:
        return None
    return None if found is None else found.usd_month
