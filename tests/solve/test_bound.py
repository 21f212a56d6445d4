"""Ties: of all choices of least cost the one that DESIGN ranks first, against enumeration."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from planner.demand.read import demand_from
from planner.market.market import addressable
from planner.market.offers import offers_frame
from planner.market.wire import STOCK_RANK
from planner.requirements.spread import spreads
from planner.solve.bound import SeparableBound
from planner.solve.candidates import Pairs, pair
from planner.solve.places import domains, sites
from tests.solve import instances

if TYPE_CHECKING:
    from decimal import Decimal

Choice = tuple[int, ...]


def tied_pairs(seed: int) -> Pairs:
    """Return an instance in which most offers cost the same."""
    rng = random.Random(seed)
    rows = instances.market(rng)
    for row in rows:
        row["spec"] |= {"pricePerUnit": 0.0001, "minCount": 0, "step": 1, "maxCount": None}
        row["stockStatus"] = rng.choice(["Available", "Low"])
    return pair(demand_from(instances.demand(rng)), addressable(offers_frame(rows), exact=True))


def choices(pairs: Pairs, v: int) -> list[Choice]:
    """Return every way to place the replicas of a volume."""
    volume = pairs.volumes[v]
    offers = (pairs.broken[v] == 0).nonzero()[0].tolist()
    if not spreads(volume.replicas, volume.spread):
        return list(itertools.combinations_with_replacement(offers, volume.replicas))
    levels = {volume.spread}
    if volume.spread in {"provider", "country", "region"}:
        levels.add("data_center")
    places = [domains(pairs.offers, level) for level in levels]
    return [
        choice
        for choice in itertools.combinations(offers, volume.replicas)
        if all(
            place[a].isdisjoint(place[b])
            for place in places
            for a, b in itertools.combinations(choice, 2)
        )
    ]


def cost_and_stock(pairs: Pairs, v: int, choice: Choice) -> tuple[Decimal, int]:
    stock = [STOCK_RANK[level] for level in pairs.offers["stock"]]
    costs = [pairs.usd_hr(v, o) for o in choice]
    return sum(costs[1:], start=costs[0]), sum(3 - stock[o] for o in choice)


@pytest.mark.slow
def test_settled_choice_is_first_by_cost_stock_popularity_and_keys() -> None:
    """Enumerating everything gives the same choice for every volume, ties and all.

    A volume without room for its replicas has no choice, and no cost.
    """
    compared = 0
    for seed in range(100):
        pairs = tied_pairs(seed)
        bound = SeparableBound(pairs)
        every = [choices(pairs, v) for v in range(len(pairs.volumes))]
        best: list[list[Choice]] = []
        for v, found in enumerate(every):
            ranked = [cost_and_stock(pairs, v, choice) for choice in found]
            least = min(ranked, default=None)
            assert bound.cost(v) == (None if least is None else least[0])
            best.append([c for c, r in zip(found, ranked, strict=True) if r == least])
        where = sites(pairs.offers)
        tied = Counter[Any](
            site for found in best for site in {where[o] for choice in found for o in choice}
        )
        for tie_break, found in zip(bound.choices(), best, strict=True):
            if not found:
                assert tie_break is None
                continue
            first = min(found, key=lambda c: (-sum(tied[where[o]] for o in c), c))
            assert tie_break == sorted(first), seed
            compared += len(found) > 1
    assert compared > 40
