"""An independent optimiser for small instances: enumerate everything, from the API's rows.

Shares nothing with planner but how the sizes of a key are divided, which is tested on its own: the
rules are written down once more, in the plainest words, so that the two can be held side by side.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import ceil
from typing import Any

from planner.market.tiers import SizeGrid, divide

STOCK = {"Unavailable": -1, "Low": 1, "Medium": 2, "Available": 3, "High": 3}
UNBOUNDED = 400
"""Enough for every size in these instances."""

Row = dict[str, Any]


def best(demand: Row, rows: list[Row]) -> tuple[Fraction, int] | None:
    """Return the least hourly cost and, at that cost, the least stock penalty; None if none."""
    offers = merge(rows)
    chosen = [best_of_volume(volume, offers) for volume in demand["volumes"]]
    if any(one is None for one in chosen):
        return None
    found = [one for one in chosen if one is not None]
    policy = demand.get("policy", {})
    hours = policy.get("hours_per_month", 730)
    whole = policy.get("budget_usd_month")
    if whole is not None and sum(cost for cost, _ in found) * hours > Fraction(str(whole)):
        return None
    for owner, limit in policy.get("budgets", {}).items():
        mine = [
            cost
            for volume, (cost, _) in zip(demand["volumes"], found, strict=True)
            if volume.get("owner") == owner
        ]
        if sum(mine) * hours > Fraction(str(limit)):
            return None
    return sum((cost for cost, _ in found), Fraction(0)), sum(stock for _, stock in found)


def merge(rows: list[Row]) -> list[Row]:
    """Return for each create key one offer for each set of rows that sells the same sizes."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = tuple(row.get(name) for name in ("provider", "cloudId", "dataCenter", "country"))
        groups.setdefault(key, []).append(row)
    return [offer for key, group in groups.items() for offer in of_key(key, group)]


def of_key(key: tuple[Any, ...], group: list[Row]) -> list[Row]:
    """Return a key's offers; each knows all of them, since a volume takes one of a key."""
    sellers: dict[int, frozenset[int]] = {}
    largest = largest_of(group)
    for number, row in enumerate(group):
        for size in sold(row.get("spec") or {}, largest):
            sellers[size] = sellers.get(size, frozenset()) | {number}
    tiers = [
        {**worst(key, [group[number] for number in sorted(sellers[sizes[0]])]), "sizes": sizes}
        for sizes in pieces(group)
        if sizes and len({sellers[size] for size in sizes}) == 1
    ]
    assert sorted(size for tier in tiers for size in tier["sizes"]) == sorted(sellers)
    for tier in tiers:
        tier["of_key"] = tiers
    return tiers


def pieces(group: list[Row]) -> list[list[int]]:
    """Return the sizes that disks of one placement are taken from: planner's own division."""
    specs = [row.get("spec") or {} for row in group]
    grids = []
    for spec in specs:
        high = spec.get("maxCount")
        bound = 10**12 if high is None else high
        grids.append(SizeGrid.of(spec.get("minCount") or 0, bound, spec.get("step") or 1))
    return [
        list(range(grid.first, min(grid.last, largest_of(group)) + 1, grid.step))
        for grid, _ in divide(sorted(grid for grid in grids if grid))
    ]


def worst(key: tuple[Any, ...], group: list[Row]) -> Row:
    specs = [row.get("spec") or {} for row in group]
    prices = [spec.get("pricePerUnit") for spec in specs]
    priced = all(price is not None and price > 0 for price in prices)
    securities = {row.get("security") for row in group}
    nodes = [row.get("isMultinode") for row in group]
    return {
        "provider": key[0],
        "cloud_id": key[1],
        "data_center": key[2],
        "country": key[3],
        "price": max(Fraction(str(price)) for price in prices) if priced else None,
        "stock": min(STOCK.get(row.get("stockStatus", "unknown"), 0) for row in group),
        "security": None
        if None in securities
        else "community_cloud"
        if "community_cloud" in securities
        else "secure_cloud",
        "multinode": all(node is True for node in nodes),
        "regions": {row.get("region") for row in group},
    }


def largest_of(group: list[Row]) -> int:
    """Return the largest size that is enumerated for a key."""
    highs = [(row.get("spec") or {}).get("maxCount") for row in group]
    return int(max([UNBOUNDED, *(high for high in highs if high is not None)]))


def sold(spec: Row, largest: int) -> set[int]:
    low, step = spec.get("minCount") or 0, spec.get("step") or 1
    high = spec.get("maxCount")
    high = largest if high is None else high
    return {size for size in range(low, high + 1, step) if size >= 1}


def best_of_volume(volume: Row, offers: list[Row]) -> tuple[Fraction, int] | None:
    replicas, level = volume.get("replicas", 1), volume.get("spread", "data_center")
    options = []
    for offer in offers:
        cost = price_of(volume, offer)
        if cost is not None:
            options.append((offer, cost))
    if replicas == 1 or level == "none":
        combos = list(itertools.combinations_with_replacement(options, replicas))
    else:
        combos = list(itertools.combinations(options, replicas))
    costs = []
    for combo in combos:
        offers_of = [offer for offer, _ in combo]
        if replicas > 1 and level != "none" and not are_apart(offers_of, level):
            continue
        penalty: int = sum(3 - offer["stock"] for offer, _ in combo)
        costs.append((sum((cost for _, cost in combo), Fraction(0)), penalty))
    return min(costs, default=None)


def are_apart(offers: list[Row], level: str) -> bool:
    """Return whether copies at these offers differ by level, and by data centre below it."""
    if any(None in domains(offer, level) for offer in offers):
        return False
    for one, other in itertools.combinations(offers, 2):
        if domains(one, level) & domains(other, level):
            return False
        if level != "site" and domains(one, "data_center") & domains(other, "data_center"):
            return False
    return True


def domains(offer: Row, level: str) -> set[Any]:
    site = (offer["provider"], offer["data_center"], offer["country"])
    if level == "region":
        return set(offer["regions"])
    if level == "site" or (level == "data_center" and offer["data_center"] is None):
        return {site}
    return {offer[level]}


def price_of(volume: Row, offer: Row) -> Fraction | None:
    """Return the hourly cost of one replica there, None where it must not or cannot be."""
    held = provision_of(volume, offer)
    return None if held is None else offer["price"] * held[0]


def provision_of(volume: Row, offer: Row, levels: tuple[str, ...] = ()) -> tuple[int, int] | None:
    """Return the GB to buy there for one replica and in how many disks, None where none may be.

    A volume takes one offer of a key: of those whose places are known where its spread and its
    groups look at them.
    """
    if volume.get("replicas", 1) > 1 and volume.get("spread", "data_center") != "none":
        levels = (*levels, volume.get("spread", "data_center"))
    held = [
        (
            None
            if any(None in domains(other, level) for level in levels)
            else provision_alone(volume, other),
            other,
        )
        for other in offer["of_key"]
    ]
    own = next(one for one, other in held if other is offer)
    if own is None:
        return None
    _, best_offer = min(
        ((one[1], one[0] * other["price"], one[0]), index)
        for index, (one, other) in enumerate(held)
        if one is not None
    )
    return own if offer["of_key"][best_offer] is offer else None


def provision_alone(volume: Row, offer: Row) -> tuple[int, int] | None:
    """Return the same, of an offer whose key sells no other sizes."""
    if not admissible(volume, offer):
        return None
    need = need_gb(volume)
    for disks in range(1, volume.get("max_disks", 1) + 1):
        totals = reachable(offer["sizes"], disks)
        enough = [total for total in totals if total >= need]
        if enough:
            return min(enough), disks
    return None


def reachable(sizes: list[int], disks: int) -> set[int]:
    totals = {0}
    for _ in range(disks):
        totals = {total + size for total in totals for size in sizes}
    return totals


def need_gb(volume: Row) -> int:
    headroom = str(volume.get("headroom", "0")).rstrip("%")
    size_gb: int = volume["size_gb"]
    return ceil(size_gb * (100 + Fraction(headroom)) / 100)


def admissible(volume: Row, offer: Row) -> bool:  # noqa: PLR0911 -- one rule a line
    if offer["price"] is None or offer["stock"] < 0 or not offer["sizes"]:
        return False
    if "stock" in volume and offer["stock"] < STOCK[volume["stock"]]:
        return False
    if volume.get("security", "any") not in {"any", offer["security"]}:
        return False
    if volume.get("multinode") and not offer["multinode"]:
        return False
    limit = volume.get("max_usd_gb_hr")
    if limit is not None and offer["price"] > Fraction(str(limit)):
        return False
    here = {
        "regions": offer["regions"],
        "countries": {offer["country"]},
        "data_centers": {offer["data_center"]},
        "providers": {offer["provider"]},
    }
    for word, places in here.items():
        if word in volume and not places <= set(volume[word]):
            return False
        if places & set(volume.get("exclude", {}).get(word, [])):
            return False
    return True
