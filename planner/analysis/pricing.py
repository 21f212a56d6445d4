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
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from planner.analysis.priced import LimitPrices, Unit
    from planner.solve.problem import Instance

    _Floats = NDArray[np.float64]

_STEPS, _ROUNDING = 60, 1e-13
"""Tangents that are followed, and how much farther than to zero."""


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

    def at(self, usd_gb_hr: float) -> tuple[float, float]:
        """Return the bound at a price, and how it grows with the price there."""
        cost = self._fixed + self._slope * usd_gb_hr
        here = self._beside + self._many * cost[self._volume]
        is_here = here < self._instead
        usd_hr = self._constant + float(np.where(is_here, here, self._instead).sum())
        slope = float((self._many * self._slope[self._volume])[is_here].sum())
        for volumes, elsewhere, others in self._together:
            is_there = cost[volumes] < others
            together = float(np.where(is_there, cost[volumes], others).sum())
            usd_hr += min(elsewhere, together)
            slope += float(self._slope[volumes][is_there].sum()) * (together < elsewhere)
        return usd_hr, slope

    def proven(self, start: float, end: float, plan_usd_hr: float, gb: float) -> float:
        """Return how far from one price to another no plan is cheaper than the plan.

        What the bound is above the plan's line is concave: its tangents, from the end, meet zero
        nearer and nearer to where it does.

        Parameters
        ----------
        plan_usd_hr, gb : float
            The plan's cost at the start, and what it has at the offer.
        """
        price = end
        for _ in range(_STEPS):
            usd_hr, slope = self.at(price)
            above = usd_hr - plan_usd_hr - gb * (price - start)
            if above >= 0:
                return price
            if slope == gb:
                break
            nearer = price - above / (slope - gb) * (1 + _ROUNDING)
            nearer = float(np.nextafter(nearer, start))
            if not min(start, end) < nearer < max(start, end):
                break
            price = nearer
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
