"""What prices of a provider share prove where GB are whole, in whole numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_REMAINDERS = 1000
"""Up to what a share's denominator all remainders are looked at."""
_NEVER = 2**62


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
