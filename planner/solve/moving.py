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
from planner.units import difference, product, total

if TYPE_CHECKING:
    from planner.solve.problem import Instance

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
        What the old disks cost during the overlap, and what copying them out does: `policy.move`.
    payback_days : Decimal
        After how many days the saving has paid for it.
    """

    disk_ids: tuple[str, ...]
    saves_usd_month: Decimal
    once_usd: Decimal
    payback_days: Decimal


def moving(
    instance: Instance, usd_month: Decimal, stay: frozenset[str] = frozenset()
) -> Moving | None:
    """Return what moving existing disks would save; None where it saves nothing.

    Parameters
    ----------
    instance : Instance
        With every existing disk kept.
    usd_month : Decimal
        Monthly cost of the plan that keeps them.
    stay : frozenset of str
        Existing replicas that do not move, by their first disks.
    """
    ids = instance.pairs.offers["offer_id"].tolist()
    pinned = [(v, o) for v, o in instance.kept if ids[o] in stay]
    live = {o for _, o in instance.kept} - {o for _, o in pinned}
    while live:
        try:
            best = optimum(_free(instance, live, pinned), tie_break=False, nodes=_NODES)
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
    moved = [(v, o) for v, o in instance.kept if not used[o]]
    if saves <= 0 or not moved:
        return None
    # Of equal costs it may have taken the new disk: where all that cost the same may stay, they do.
    usd_hr = instance.usd_hr
    idle = {ids[o] for v, o in moved if usd_hr(v, o) in {usd_hr(v, c) for c in best.chosen[v]}}
    fewer = moving(instance, usd_month, stay | idle) if idle else None
    if fewer is not None and fewer.saves_usd_month == saves:
        return fewer
    move, hours = instance.demand.policy.moving, instance.demand.policy.hours_per_month
    once = total(
        total(
            [
                product(instance.pairs.fixed_usd_hr[o], move.overlap_hours),
                product(move.egress_usd_gb, Decimal(instance.volumes[v].need_gb)),
            ]
        )
        for v, o in moved
    )
    days = once / saves * Decimal(hours) / 24
    return Moving(tuple(dict.fromkeys(ids[o] for _, o in moved)), saves, once, days)


def moves_that_pay(instance: Instance, stay: frozenset[str]) -> Moving | None:
    """Return the moves that pay for themselves within `policy.move.payback`; None for none.

    Each of them does, beside all the others: one that does not stays, however much others save.

    Parameters
    ----------
    instance : Instance
        With every existing disk kept.
    stay : frozenset of str
        Existing replicas that do not move, by their first disks.
    """
    within = instance.demand.policy.moving.payback_hours
    kept = optimum(instance, tie_break=False, nodes=_NODES) if within is not None else None
    if within is None or kept is None:
        return None
    months = within / Decimal(instance.demand.policy.hours_per_month)
    while (all_of_them := moving(instance, kept.usd_month, stay)) is not None:
        too_slow = set()
        for disk in all_of_them.disk_ids:
            others = moving(instance, kept.usd_month, stay | {disk})
            saves = difference(all_of_them.saves_usd_month, _saves(others))
            once = difference(all_of_them.once_usd, others.once_usd if others else Decimal(0))
            if once > saves * months:
                too_slow.add(disk)
        if not too_slow:
            break
        stay |= too_slow
    return all_of_them


def _saves(moves: Moving | None) -> Decimal:
    return moves.saves_usd_month if moves else Decimal(0)


def _free(instance: Instance, live: set[int], pinned: list[tuple[int, int]]) -> Instance:
    """Return the instance in which an existing disk may be kept and need not be, but for some."""
    pairs = movable(instance.pairs)
    gone = [o for o in pairs.fixed_usd_hr if o not in live]
    pairs.broken[:, gone] |= np.uint32(BIT["kept"])
    free = {v for v, o in instance.kept if o in live}
    for v, o in pinned:
        if v in free:
            pairs.broken[v, o] = 0
        else:
            pairs.broken[v] = instance.pairs.broken[v]
    return replace(instance, pairs=pairs, kept=tuple(pinned))
