"""What whole GB and disks prove beyond prices of limits.

A provider share of 0.35 of 1001 GB has room for 350 of them, and for 300 where every disk is of
100 GB. The rest of a limit stays free in every solution, and what is free there costs its price.
What holds for all columns is a part of the certificate; what holds for those that may be in a
better solution than one in hand says that there is none.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from planner.requirements.base import PolicyRequirement
    from planner.solve.dual import Lagrangian
    from planner.solve.presolve import Columns
    from planner.solve.problem import Instance

Place = tuple[str | None, ...]
_REMAINDERS = 1000
"""Up to what a share's denominator all remainders are looked at."""
_NEVER = 2**62
_OF_USD, _OF_GB = (3, 6, 9), range(9, 13)
"""Decimals of prices: those of limits on GB are mostly differences of the market's."""
_NEAR = 1e-8
"""Part of the bound that shorter prices may lose."""
_KEPT = Fraction(1, 1000)
"""Part of a price that shows where a limit is, and hardly counts."""


class SumLimit(NamedTuple):
    """A limit on a sum, and the places that it is held in: codes of offers, and their names."""

    requirement: PolicyRequirement
    code: NDArray[np.int64]
    places: tuple[Place, ...]

    @property
    def is_in_usd(self) -> bool:
        """Return whether it is a budget."""
        return self.requirement.sums is not None and self.requirement.sums[0] == "usd_hr"


class WholeGB:
    """What a share costs beyond its price because GB are whole.

    At a share of p/m a provider has less by the part of a GB that p/m of all leaves: none where all
    GB are a multiple of m. What it costs to come from the volumes' least to each remainder is a
    shortest path of other choices. Where all GB just fit the priced providers, each is full to the
    GB, or something is elsewhere.
    """

    def __init__(self, part: Fraction, prices: Sequence[Fraction], code: NDArray[np.int64]) -> None:
        self.part = part if part.denominator <= _REMAINDERS else Fraction(0)
        self.usd_hr = sum(prices, Fraction(0))
        priced = np.array([price > 0 for price in prices], np.bool_)
        is_just_enough = part * int(priced.sum()) == 1
        self.outside = ~priced[code] & is_just_enough
        self.step = np.full(self.part.denominator, _NEVER)
        self.elsewhere = _NEVER if is_just_enough else 0
        self.gb, self.most = 0, 0

    def choose(
        self, gb: NDArray[np.int64], beyond: NDArray[np.int64], least: NDArray[np.int64]
    ) -> None:
        """Note the GB of other choices and what they cost more, (b, O), and the least's (b,)."""
        row, o = np.nonzero(beyond <= self.most)
        remainder = (gb[row, o] - least[row]) % len(self.step)
        np.minimum.at(self.step, remainder, beyond[row, o])

    def beyond(self, scale: int) -> int:
        """Return what whole GB cost at least, times a scale and rounded down."""
        modulus = len(self.step)
        reach = np.full(modulus, _NEVER)
        reach[self.gb % modulus] = 0
        before, steps = np.zeros(0), np.flatnonzero(self.step < _NEVER).tolist()
        while not np.array_equal(reach, before):
            before = reach.copy()
            for step in steps:
                np.minimum(reach, np.roll(reach, step) + self.step[step], out=reach)
        price = self.usd_hr * scale
        left = (int(price * (self.part * gb % 1)) for gb in range(modulus))
        beyond = min(map(sum, zip(left, reach.tolist(), strict=True)))
        return max(beyond, min(self.elsewhere, int(reach[0])))


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
    in_usd = np.repeat([x.is_in_usd for x in limits], [len(x.places) for x in limits])
    scales = (np.where(in_usd, 10.0**usd, 10.0**gb) for usd, gb in product(_OF_USD, _OF_GB))
    each = (np.rint(prices * scale) / scale for scale in scales)
    return next((few for few in each if dual.bound(few) >= least), prices)


def remainder_month(
    instance: Instance,
    columns: Columns,
    limits: Sequence[SumLimit],
    prices: Mapping[tuple[str, Place], Decimal],
) -> Fraction:
    """Return what solutions on some columns cost beyond what prices of limits prove, at least."""
    pairs = instance.pairs
    counts = np.array([unit.count for unit in columns.units])
    alone = (np.bincount(columns.unit, minlength=len(counts)) == 1)[columns.unit]
    usd_hr = Fraction(0)
    for limit in limits:
        if limit.is_in_usd:
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
