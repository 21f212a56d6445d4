"""What whole GB and disks prove beyond prices of limits.

A provider share of 0.35 of 1001 GB has room for 350 of them, and for 300 where every disk is of
100 GB. The rest of a limit stays free in every solution, and what is free there costs its price.
What holds for all columns is a part of the certificate: see `whole_gb`.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from planner.solve.certificate import Multiplier, SumLimit
    from planner.solve.dual import Lagrangian
    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance

_OF_USD, _OF_GB = (3, 6, 9), range(9, 13)
"""Decimals of prices: those of limits on GB are mostly differences of the market's."""
_NEAR = 1e-8
"""Part of the bound that shorter prices may lose."""
_KEPT = Fraction(1, 1000)
"""Part of a price that shows where a limit is, and hardly counts."""


def eased(
    instance: Instance, limits: Sequence[SumLimit], prices: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return prices less the least of them where priced providers may hold just all GB.

    Then they hold all of it, or something is elsewhere, which costs that much less at these prices
    for each GB. The linear program cannot tell the two apart, whole replicas can.
    """
    prices, at = prices.copy(), 0
    for limit in limits:
        mine, part = prices[at : at + len(limit.places)], limit.requirement.room(instance.demand)[0]
        if part * int((mine > 0).sum()) == 1:
            mine[mine > 0] -= mine[mine > 0].min() * float(1 - _KEPT)
        at += len(limit.places)
    return prices


def shortened(
    dual: Lagrangian, prices: NDArray[np.float64], limits: Sequence[SumLimit]
) -> NDArray[np.float64]:
    """Return prices of few decimals that prove as much, as floats only come near to them."""
    least = dual.bound(prices) * (1 - _NEAR)
    in_usd = np.repeat([*map(is_in_usd, limits)], [len(limit.places) for limit in limits])
    scales = (np.where(in_usd, 10.0**usd, 10.0**gb) for usd, gb in product(_OF_USD, _OF_GB))
    each = (np.rint(prices * scale) / scale for scale in scales)
    return next((few for few in each if dual.bound(few) >= least), prices)


def is_in_usd(limit: SumLimit) -> bool:
    """Return whether a limit is a budget."""
    return limit.requirement.sums is not None and limit.requirement.sums[0] == "usd_hr"


def remainder_month(
    instance: Instance,
    columns: Columns,
    limits: Sequence[SumLimit],
    multipliers: Sequence[Multiplier],
) -> Fraction:
    """Return what solutions on some columns cost beyond what the multipliers prove, at least."""
    pairs, prices = instance.pairs, {(m.limit, m.place): m.usd_hr for m in multipliers}
    counts = np.array([unit.count for unit in columns.units])
    alone = (np.bincount(columns.unit, minlength=len(counts)) == 1)[columns.unit]
    usd_hr = Fraction(0)
    for limit in limits:
        if is_in_usd(limit):
            continue
        is_gb = limit.requirement.sums == ("gb", "provider")
        sizes = pairs.provision_gb if is_gb else pairs.disks
        size = sizes[columns.volume, columns.offer]
        part, more = limit.requirement.room(instance.demand)
        each = np.zeros(len(counts), np.int64)
        each[columns.unit] = size
        if part and (each[columns.unit] != size).any():
            continue  # how many there are in all depends on what is chosen
        room = part * int(each @ counts) + more
        for code, place in enumerate(limit.places):
            here = limit.code[columns.offer] == code
            fixed = here & alone
            steps = int(np.gcd.reduce(size[here & ~alone], initial=0))
            left = room - int(size[fixed] @ counts[columns.unit[fixed]])
            free = left % steps if steps else left
            usd_hr += free * Fraction(prices.get((limit.requirement.field, place), 0))
    return usd_hr * instance.demand.policy.hours_per_month
