"""Which of the sizes that a place sells at prices of their own a volume takes there."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import lcm
from typing import TYPE_CHECKING

import numpy as np

from planner.market.offers import KEY

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class Tiers:
    """The offers whose create key sells other sizes too, at their own price.

    Parameters
    ----------
    offers : DataFrame
        Columns ``ADDRESSABLE``, O rows, by create key.
    """

    def __init__(self, offers: pd.DataFrame) -> None:
        texts = ([x if isinstance(x, str) else None for x in offers[name]] for name in KEY)
        keys = list(zip(*texts, strict=True))
        same = [key[0] is not None and key == after for key, after in pairwise(keys)]
        joined = np.array([False, *same, False][: len(keys) + 1], dtype=np.bool_)
        several = joined[:-1] | joined[1:]
        self._shape = len(keys)
        self._multinode = offers["multinode"].fillna(value=False).to_numpy(np.bool_)
        self._at = np.flatnonzero(several)
        first = ~joined[:-1][self._at]
        self._starts = np.flatnonzero(first)
        self._number = np.cumsum(first) - 1
        prices = [Fraction(price or 0) for price in offers["usd_gb_hr"].iloc[self._at]]
        scale = lcm(*(price.denominator for price in prices))
        self._price = np.array([int(price * scale) for price in prices], dtype=object)

    def __bool__(self) -> bool:
        return len(self._at) > 0

    def beaten(
        self,
        admissible: NDArray[np.bool_],
        disks: NDArray[np.int64],
        provision_gb: NDArray[np.int64],
        *,
        mounted: bool = False,
    ) -> NDArray[np.bool_]:
        """Return the offers that a volume does not take at their key, shape (O,).

        It takes one admissible offer of each: of the fewest disks, least cost, least size, in turn.
        A mounted volume may also take the best of the multi-node ones: its workload may need it.
        """
        if mounted:
            best = self.beaten(admissible, disks, provision_gb)
            shared = self.beaten(admissible & self._multinode, disks, provision_gb)
            return np.asarray(best & (shared | ~self._multinode), dtype=np.bool_)
        result = np.zeros(self._shape, dtype=np.bool_)
        left = admissible[self._at]
        if not left.any():
            return result
        gb = provision_gb[self._at]
        for measure in (disks[self._at], gb.astype(object) * self._price, gb, np.arange(len(gb))):
            most = np.max(measure) + 1
            least = np.minimum.reduceat(np.where(left, measure, most), self._starts)
            left = left & np.asarray(measure == least[self._number], dtype=np.bool_)
        result[self._at] = admissible[self._at] & ~left
        return result
