"""The least choice for one volume at a time, in exact decimals.

Nothing that the program may do costs less than the least choice of every volume on its own: the
sum is a bound that needs no solver. Where nothing couples the volumes the least choice *is* the
optimum, and of all choices of that cost this module takes the one with

1. better stock: least sum of ``3 - rank`` over the replicas,
2. fewer sites: at each volume the tied site that is tied for most volumes,
3. the least create keys (provider, cloud id, data centre, country; null first).

Replicas in disjoint failure domains are chosen by depth-first search over the cheapest offer of
each set of domains; where every offer lies in one domain, the first descent is already the least.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.market.wire import STOCK_RANK
from planner.solve.candidates import Pairs, Site, domains, sites
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CLOSE = 1 + 1e-9
"""Relative distance within which float costs are told apart exactly; doubles err by 1e-15."""

Weight = tuple[Decimal, int, int, int]
"""Cost, stock penalty, minus how many volumes are tied at the site, rank of the create key."""


@dataclass(frozen=True)
class _Choice:
    """One candidate of a volume: its offer, the domains it lies in, what it weighs."""

    offer: int
    domains: frozenset[Any]
    weight: Weight


class Least:
    """The least choice of every volume of a set of pairs.

    Parameters
    ----------
    pairs : Pairs
        All pairs of volumes and offers.

    Notes
    -----
    A volume whose replicas find no room in disjoint domains has no choice: None.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        self._sites = sites(pairs.offers)
        self._penalty = [3 - STOCK_RANK[stock] for stock in pairs.offers["stock"]]
        price = pairs.offers["usd_gb_hr"].map(lambda usd: np.inf if usd is None else float(usd))
        self._float_usd_hr = np.where(
            pairs.broken == 0, pairs.provision_gb * price.to_numpy(float), np.inf
        )
        self._domains: dict[str, list[frozenset[Any]]] = {}
        self._codes: dict[str, Any] = {}

    def undominated(self, volume: int) -> list[int]:
        """Return the candidates that no other of the same failure domains is cheaper than."""
        return [one.offer for one in self._survivors(volume)]

    def cost(self, volume: int) -> Decimal | None:
        """Return the exact least hourly cost of all replicas of a volume."""
        choice = self._pick(volume, self._survivors(volume))
        return None if choice is None else total(one.weight[0] for one in choice)

    def settle(self) -> list[list[int] | None]:
        """Return the chosen offers of each volume, by create key, one entry for each replica."""
        survivors = [self._survivors(volume) for volume in range(len(self._pairs.volumes))]
        tied = Counter[Site]()
        for volume, choices in enumerate(survivors):
            tied.update(self._tied_sites(volume, choices))
        return [
            self._offers(self._pick(volume, choices, lambda o: -tied[self._sites[o]]))
            for volume, choices in enumerate(survivors)
        ]

    def _offers(self, choice: list[_Choice] | None) -> list[int] | None:
        return None if choice is None else sorted(one.offer for one in choice)

    def domains(self, level: str) -> list[frozenset[Any]]:
        """Return the failure domains of each offer at a level."""
        if level not in self._domains:
            self._domains[level] = domains(self._pairs.offers, level)
        return self._domains[level]

    def _domain_codes(self, level: str) -> Any:  # noqa: ANN401 -- an integer array
        if level not in self._codes:
            numbers: dict[frozenset[Any], int] = {}
            found = [numbers.setdefault(domain, len(numbers)) for domain in self.domains(level)]
            self._codes[level] = np.array(found, dtype=np.int64)
        return self._codes[level]

    def _survivors(self, volume: int) -> list[_Choice]:
        """Return the candidates that are cheapest, or close to it, in their set of domains."""
        usd_hr = self._float_usd_hr[volume]
        offers = np.flatnonzero(np.isfinite(usd_hr))
        if offers.size == 0:
            return []
        demanded = self._pairs.volumes[volume]
        if spreads(demanded.replicas, demanded.spread):
            codes = self._domain_codes(demanded.spread)
            least = np.full(codes.max() + 1, np.inf)
            np.minimum.at(least, codes[offers], usd_hr[offers])
            offers = offers[usd_hr[offers] <= least[codes[offers]] * _CLOSE]
            every = self.domains(demanded.spread)
        else:
            offers = offers[usd_hr[offers] <= usd_hr[offers].min() * _CLOSE]
            every = [frozenset()] * len(usd_hr)
        return [
            _Choice(o, every[o], (self._pairs.usd_hr(volume, o), self._penalty[o], 0, o))
            for o in offers.tolist()
        ]

    def _pick(
        self,
        volume: int,
        choices: list[_Choice],
        popularity: Callable[[int], int] = lambda _: 0,
    ) -> list[_Choice] | None:
        """Return the least set of replicas among a volume's survivors."""
        demanded = self._pairs.volumes[volume]
        weighed = [
            _Choice(one.offer, one.domains, (*one.weight[:2], popularity(one.offer), one.offer))
            for one in choices
        ]
        if not spreads(demanded.replicas, demanded.spread):
            best = min(weighed, key=lambda one: one.weight, default=None)
            return None if best is None else [best] * demanded.replicas
        best_of: dict[frozenset[Any], _Choice] = {}
        for one in weighed:
            best = best_of.get(one.domains)
            if best is None or one.weight < best.weight:
                best_of[one.domains] = one
        return _disjoint(sorted(best_of.values(), key=lambda one: one.weight), demanded.replicas)

    def _tied_sites(self, volume: int, choices: list[_Choice]) -> set[Site]:
        """Return the sites that some choice of least cost and best stock can use."""
        picked = self._pick(volume, choices)
        if picked is None:
            return set()
        limit = max(one.weight[:2] for one in picked)
        best_of: dict[frozenset[Any], tuple[Decimal, int]] = {}
        for one in choices:
            weight = one.weight[:2]
            best_of[one.domains] = min(best_of.get(one.domains, weight), weight)
        return {
            self._sites[one.offer]
            for one in choices
            if one.weight[:2] <= limit and one.weight[:2] == best_of[one.domains]
        }


def spreads(replicas: int, level: str) -> bool:
    """Return whether replicas must be kept apart at all."""
    return replicas > 1 and level != "none"


def _disjoint(choices: Sequence[_Choice], count: int) -> list[_Choice] | None:
    """Return the lightest ``count`` choices whose domains are disjoint; choices by weight."""
    best: tuple[Weight, list[_Choice]] | None = None
    zero: Weight = (Decimal(0), 0, 0, 0)

    def descend(start: int, chosen: list[_Choice], used: frozenset[Any], weight: Weight) -> None:
        nonlocal best
        missing = count - len(chosen)
        if missing == 0:
            if best is None or weight < best[0]:
                best = (weight, list(chosen))
            return
        for index in range(start, len(choices) - missing + 1):
            following = choices[index : index + missing]
            bound = _sum([weight, *(one.weight for one in following)])
            if best is not None and bound >= best[0]:
                return
            one = choices[index]
            if used.isdisjoint(one.domains):
                heavier = _sum([weight, one.weight])
                descend(index + 1, [*chosen, one], used | one.domains, heavier)

    descend(0, [], frozenset(), zero)
    return None if best is None else best[1]


def _sum(weights: Sequence[Weight]) -> Weight:
    cost, stock, sites_, keys = zip(*weights, strict=True)
    return total(cost), sum(stock), sum(sites_), sum(keys)
