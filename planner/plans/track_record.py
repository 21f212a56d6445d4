"""How the offers that a plan chose did so far, in sentences; nothing of it decides a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.market.history import offer_records
from planner.market.offers import KEY, place_text
from planner.present.table import counted
from planner.text import visible

if TYPE_CHECKING:
    from pathlib import Path

    from planner.plans.plan import Plan

_MOST = 5


def track_record(plan: Plan, state: str | Path | None = None) -> tuple[str, ...]:
    """Return how often the offers of a plan were in stock, and how their prices moved.

    Parameters
    ----------
    plan : Plan
        Disks that it keeps have no offer. A plan of files has no marketplace, and no history.
    state : str | Path | None
        State directory; None is planner's own.

    Returns
    -------
    tuple of str
        A sentence for each offer, the first few; empty where there is no history.
    """
    if plan.target is None:
        return ()
    chosen = {
        (tuple(getattr(placement, name) for name in KEY), placement.disk_sizes_gb[0]): placement
        for placement in plan.placements
        if placement.action != "keep"
    }
    if not chosen:
        return ()
    records = offer_records([*chosen], plan.target, state)
    lines = [
        f"{visible(place_text(vars(placement)))} ({visible(str(placement.offer_id))}): {record}"
        for placement, record in zip(chosen.values(), records, strict=True)
        if record is not None
    ]
    lines = [*dict.fromkeys(lines)]
    more = len(lines) - _MOST
    if more > 1:
        rest = f"{counted(more, 'more offer')}: see `planner history`"
        return (*lines[:_MOST], rest)
    return tuple(lines)
