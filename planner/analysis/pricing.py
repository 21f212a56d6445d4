"""How far the price of an offer may move before a plan changes, without a program.

At prices of the limits that couple volumes, what all of them cost at least is a concave function of
the price, which stays with the plan's own line as long as no other plan is cheaper: that proves a
price up to which nothing changes. A rival, the plan with a volume away from the offer or there and
few moves beside it, is a price from which something does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from planner.requirements.spread import spreads
from planner.solve.candidates import BIT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from planner.analysis.priced import LimitPrices, Unit
    from planner.solve.problem import Instance

    _Floats = NDArray[np.float64]

_HALVINGS = 60


class CostBound:
    """What no plan costs less than in an hour, against the price of an offer.

    Parameters
    ----------
    instance : Instance
        At today's prices.
    priced : LimitPrices
        Prices of its limits.
    units : sequence of Unit
        Its volumes, as groups keep them together.
    rows : ndarray of float, shape (V, O)
        What replicas cost at prices of the limits.
    offer : int
        Whose price moves.
    """

    def __init__(
        self,
        instance: Instance,
        priced: LimitPrices,
        units: Sequence[Unit],
        rows: _Floats,
        offer: int,
    ) -> None:
        self._constant, self._offer = priced.constant, offer
        self._fixed, self._slope = priced.line(instance, offer)
        barred = instance.pairs.broken[:, offer] & ~np.uint32(BIT["max_usd_gb_hr"])
        self._fixed = np.where(barred == 0, self._fixed, np.inf)
        others = rows.copy()
        others[:, offer] = np.inf
        self._volume = np.array([u.volumes[0] for u in units if u.place is None], np.int64)
        self._instead = others[self._volume].min(axis=1)
        self._beside, self._many = np.zeros(len(self._volume)), np.ones(len(self._volume))
        for i, v in enumerate(self._volume.tolist()):
            volume = instance.volumes[v]
            if volume.replicas > 1:
                self._many[i] = volume.replicas
                self._instead[i] *= volume.replicas
                if spreads(volume.replicas, volume.spread):
                    self._many[i] = 1
                    codes = instance.pairs.facts.grouped(volume.spread)[1]
                    self._beside[i], self._instead[i] = _apart(
                        others[v], codes, offer, volume.replicas
                    )
        self._together = [
            _at_places(unit, others, offer) for unit in units if unit.place is not None
        ]

    def at(self, usd_gb_hr: float) -> float:
        """Return the bound at a price."""
        cost = self._fixed + self._slope * usd_gb_hr
        here = self._beside + self._many * cost[self._volume]
        usd_hr = self._constant + float(np.minimum(self._instead, here).sum())
        for volumes, elsewhere, others in self._together:
            usd_hr += min(elsewhere, float(np.minimum(others, cost[volumes]).sum()))
        return usd_hr

    def proven(self, start: float, end: float, line: Callable[[float], float]) -> float:
        """Return how far from one price to another no plan is cheaper than a line."""
        if self.at(end) >= line(end):
            return end
        for _ in range(_HALVINGS):
            middle = (start + end) / 2
            start, end = (middle, end) if self.at(middle) >= line(middle) else (start, middle)
        return start


def _apart(
    row: _Floats, codes: NDArray[np.int64], offer: int, replicas: int
) -> tuple[float, float]:
    """Return what all but one replica cost elsewhere, and all of them without an offer."""
    cells = np.full(int(codes.max()) + 1, np.inf)
    np.minimum.at(cells, codes, row)
    without = float(np.sort(cells)[:replicas].sum())
    cells[codes[offer]] = np.inf
    return float(np.sort(cells)[: replicas - 1].sum()), without


def _at_places(unit: Unit, others: _Floats, offer: int) -> tuple[list[int], float, _Floats]:
    """Return volumes of a unit, what they cost at another place, and each beside an offer."""
    mine, place = [*unit.volumes], unit.place
    assert place is not None, "it is kept together"  # noqa: S101 -- the caller looked
    each = np.full((len(mine), int(place.max()) + 2), np.inf)
    for row, costs in zip(each, others[mine], strict=True):
        np.minimum.at(row, place, costs)
    each[:, -1] = np.inf
    here = each[:, place[offer]].copy()
    each[:, place[offer]] = np.inf
    return mine, float(each.sum(axis=0).min()), here
