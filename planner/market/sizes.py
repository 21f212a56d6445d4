"""The sizes that offers sell: ``min_gb + k * step_gb``, at least 1 GB, at most ``max_gb``.

Counting the step from the minimum is an assumption; the marketplace does not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from planner.market.wire import UNBOUNDED_GB

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class Sizes:
    """The size grids of N offers as arrays.

    Parameters
    ----------
    offers : DataFrame
        Columns min_gb, max_gb (null: unbounded) and step_gb, N rows.

    Attributes
    ----------
    sells : ndarray of bool, shape (N,)
        Whether an offer sells any size at all.
    """

    def __init__(self, offers: pd.DataFrame) -> None:
        most = offers["max_gb"].fillna(UNBOUNDED_GB).astype("int64").to_numpy()
        self._min = offers["min_gb"].astype("int64").to_numpy()
        self._step = offers["step_gb"].astype("int64").to_numpy()
        self._first = np.where(self._min >= 1, 0, 1)
        last = (most - self._min) // self._step
        self.sells = last >= self._first
        self._largest = np.maximum(self._min + np.maximum(last, 0) * self._step, 1)

    def provision(self, need_gb: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the fewest disks that hold a size, and their least total in GB, shape (N,).

        Meaningless where an offer sells nothing.
        """
        disks = -(-need_gb // self._largest)
        missing = need_gb - disks * self._min
        steps = np.maximum(disks * self._first, -(-missing // self._step))
        return disks, disks * self._min + steps * self._step


def disk_sizes_gb(provision_gb: int, disks: int, min_gb: int, step_gb: int) -> tuple[int, ...]:
    """Return the sizes of the disks that make up a provision: equal within a step, larger first.

    >>> disk_sizes_gb(12_001, 2, 0, 1)
    (6001, 6000)
    """
    steps, larger = divmod((provision_gb - disks * min_gb) // step_gb, disks)
    small = min_gb + steps * step_gb
    return (small + step_gb,) * larger + (small,) * (disks - larger)
