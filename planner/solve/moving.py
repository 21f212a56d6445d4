"""What moving existing disks to other offers would save, and what it costs once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from planner.solve.candidates import BIT
from planner.solve.existing import movable
from planner.solve.optimum import optimum
from planner.solve.stats import Undecided
from planner.units import difference, total

if TYPE_CHECKING:
    from planner.solve.problem import Instance

OVERLAP_DAYS = 3
"""Days that old and new disk are both billed while data is copied."""
_NODES = 20_000
"""Branch-and-bound nodes after which the search for a saving ends: work, never a clock."""


@dataclass(frozen=True)
class Moving:
    """The cheapest plan that may move existing disks, beside the plan that keeps them all.

    Attributes
    ----------
    disk_ids : tuple of str
        The first disk of each existing replica that it moves.
    saves_usd_month : Decimal
        Exact, of disks and GPUs.
    once_usd : Decimal
        What the old disks cost during the overlap; data transfer is taken as free.
    payback_days : Decimal
        After how many days the saving has paid for it.
    """

    disk_ids: tuple[str, ...]
    saves_usd_month: Decimal
    once_usd: Decimal
    payback_days: Decimal


def moving(instance: Instance, usd_month: Decimal) -> Moving | None:
    """Return what moving existing disks would save; None where it saves nothing.

    Parameters
    ----------
    instance : Instance
        With every existing disk kept.
    usd_month : Decimal
        Monthly cost of the plan that keeps them.
    """
    live = {o for _, o in instance.kept}
    ids = instance.pairs.offers["offer_id"].tolist()
    while live:
        try:
            best = optimum(_free(instance, live), tie_break=False, nodes=_NODES)
        except Undecided:
            return None
        if best is None:
            return None
        used = Counter(o for offers in best.chosen.values() for o in offers)
        left = {ids[o] for o in live if not used[o]}
        # A disk is one replica of a volume, and stays or goes for all the volumes on it.
        wrong = {o for o in live if used[o] > 1 or (used[o] and ids[o] in left)}
        if not wrong:
            break
        live -= wrong
    else:
        return None
    saves = difference(usd_month, best.usd_month)
    moved = [o for _, o in instance.kept if not used[o]]
    if saves <= 0 or not moved:
        return None
    once = total(instance.pairs.fixed_usd_hr[o] for o in moved) * OVERLAP_DAYS * 24
    month_days = Decimal(instance.demand.policy.hours_per_month) / 24
    return Moving(
        tuple(dict.fromkeys(ids[o] for o in moved)), saves, once, once / saves * month_days
    )


def _free(instance: Instance, live: set[int]) -> Instance:
    """Return the instance in which an existing disk may be kept and need not be."""
    pairs = movable(instance.pairs)
    gone = [o for o in pairs.fixed_usd_hr if o not in live]
    pairs.broken[:, gone] |= np.uint32(BIT["kept"])
    return replace(instance, pairs=pairs, kept=())
