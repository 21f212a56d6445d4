"""Numbers out of proportion: said, never dropped."""

from __future__ import annotations

from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.market.offers import KEY, Sizes, place_text
from planner.text import visible
from planner.units import money, plain, usd_hr, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from planner.demand.model import Demand, Volume
    from planner.market.canonical import Market
    from planner.solve.solution import Placement

    Row = Mapping[str, Any]

TIMES = 10
"""How many times the median is out of proportion."""
_FEWEST = 3
"""Prices that it takes to tell which of them is odd."""
_NAMED = 3
_CLOSE = 1 - 1e-9
"""What floats may be off by, and far more."""


def price_warnings(offers: Iterable[Row]) -> Iterator[str]:
    """Yield what is to be said of prices far from the median of the offers that can be bought.

    Parameters
    ----------
    offers : iterable of mapping
        Keys ``OFFERS`` or ``ADDRESSABLE``.
    """
    rows = [row for row in _priced(offers) if row["stock"] != "Unavailable"]
    if len(rows) < _FEWEST:
        return
    middle = Decimal(median(row["usd_gb_hr"] for row in rows))
    low = [row for row in rows if row["usd_gb_hr"] * TIMES < middle]
    high = [row for row in rows if row["usd_gb_hr"] > middle * TIMES]
    for side, far in (("below", low), ("above", high)):
        if far:
            named = ", ".join(
                f"{visible(place_text(row))} ${plain(row['usd_gb_hr'])}/GB/h"
                for row in far[:_NAMED]
            )
            rest = f" and {len(far) - _NAMED} more" if len(far) > _NAMED else ""
            yield (
                f"price more than {TIMES} times {side} the market's median "
                f"(${_short(middle)}/GB/h): {named}{rest}; check it with the provider before buying"
            )


def limit_warnings(demand: Demand, market: Market) -> Iterator[str]:
    """Yield each limit of a demand that is far beyond what any offer could reach."""
    dearest = max((row["usd_gb_hr"] for row in _priced(market.sold)), default=None)
    if dearest is None:
        return
    limits: dict[Decimal, list[str]] = {}
    for volume in demand.volumes:
        if volume.max_usd_gb_hr is not None and volume.max_usd_gb_hr > dearest * TIMES:
            limits.setdefault(volume.max_usd_gb_hr, []).append(volume.name)
    for limit, names in limits.items():
        yield (
            f"max_usd_gb_hr {plain(limit)} is above every offer (${plain(dearest)}); is it a "
            f"monthly price? ({', '.join(names[:_NAMED])}{' …' if len(names) > _NAMED else ''})"
        )
    hours = demand.policy.hours_per_month
    costs = _Costs(market)
    for owner, budget in demand.policy.limits:
        volumes = [volume for volume in demand.volumes if owner in {None, volume.owner}]
        most = sum((costs.most(volume) * volume.replicas for volume in volumes), Decimal(0))
        if most and budget > usd_month(most, hours) * TIMES:
            whose = "the budget" if owner is None else f"the budget of {visible(owner)}"
            yield (
                f"{whose}, ${money(budget)}/month, is more than {TIMES} times what the dearest "
                f"offers would cost (${money(usd_month(most, hours))}/month); is it for a year?"
            )


def disk_warnings(demand: Demand, market: Market, placements: Sequence[Placement]) -> Iterator[str]:
    """Yield each volume whose new disk costs far more than the market's median for its size."""
    costs = _Costs(market)
    volumes = {volume.name: volume for volume in demand.volumes}
    warned: set[tuple[Any, ...]] = set()
    for placement in placements:
        key = (placement.volume, *(getattr(placement, name) for name in KEY))
        volume = volumes[placement.volume]
        if placement.action == "keep" or key in warned or not costs.may_exceed(volume, placement):
            continue
        each = costs.of(volume)
        middle = Decimal(median(each))
        if len(each) >= _FEWEST and placement.usd_hr > middle * TIMES:
            warned.add(key)
            hours = demand.policy.hours_per_month
            yield (
                f"{placement.volume}: its disk costs "
                f"${money(usd_month(placement.usd_hr, hours))}/month, more than "
                f"{TIMES} times the market's median for its size "
                f"(${money(usd_month(middle, hours))}); see `planner explain` for why cheaper "
                "offers are ruled out"
            )


class _Costs:
    """Hourly costs of a size at every offer that can be bought, ascending."""

    def __init__(self, market: Market) -> None:
        self._sizes = Sizes(market.addressable)
        self._prices = [
            row["usd_gb_hr"]
            if row["problem"] is None and row["stock"] != "Unavailable" and sells
            else None
            for row, sells in zip(market.sold, self._sizes.sells, strict=True)
        ]
        self._float_prices = np.array([float(price or 0) for price in self._prices])
        prices = [float(price) for price in self._prices if price is not None]
        self._middle = median(prices) if prices else 0.0
        self._known: dict[int, list[Decimal]] = {}

    def may_exceed(self, volume: Volume, placement: Placement) -> bool:
        """Return whether a placement may be out of proportion: by floats, no size rounded up."""
        return float(placement.usd_hr) > volume.need_gb * self._middle * TIMES * _CLOSE

    def most(self, volume: Volume) -> Decimal:
        """Return the exact cost of a replica at the dearest offer: floats say which it can be."""
        _, total_gb = self._sizes.provision(volume.need_gb)
        cost = total_gb * self._float_prices
        near = np.flatnonzero(cost >= cost.max(initial=0) * (1 - 1e-9)).tolist()
        return max(
            (usd_hr(int(total_gb[o]), price) for o in near if (price := self._prices[o])),
            default=Decimal(0),
        )

    def of(self, volume: Volume) -> list[Decimal]:
        """Return what a replica of a volume costs at each offer, USD per hour; never empty."""
        size_gb = volume.need_gb
        if size_gb not in self._known:
            _, total_gb = self._sizes.provision(size_gb)
            self._known[size_gb] = sorted(
                usd_hr(int(gb), price)
                for gb, price in zip(total_gb, self._prices, strict=True)
                if price is not None
            ) or [Decimal(0)]
        return self._known[size_gb]


def _priced(offers: Iterable[Row]) -> list[Row]:
    return [row for row in offers if row["problem"] is None and row["usd_gb_hr"] is not None]


def _short(price: Decimal) -> str:
    return plain(Decimal(f"{price:.4g}"))
