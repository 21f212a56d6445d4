"""What the plan is compared with: what a person would do without a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.market.merge import key_order
from planner.solve.candidates import Pairs, domains, sites
from planner.solve.least import Least, spreads
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal


_NAMED = 3


@dataclass(frozen=True)
class Baseline:
    """A simpler way to place the same demand, budgets aside.

    Attributes
    ----------
    name : str
        What is kept simple.
    place : str | None
        The provider or site it ends at; None where it is impossible.
    usd_hr : Decimal | None
        Exact hourly cost of the best such placement; None where it is impossible.
    why_not : str
        The volumes that rule it out where it comes closest; empty where it is possible.
    """

    name: str
    place: str | None
    usd_hr: Decimal | None
    why_not: str = ""


def baselines(pairs: Pairs) -> tuple[Baseline, ...]:
    """Return the cheapest placement at one provider, and at one site."""
    where = sites(pairs.offers)
    providers = [(site[0],) for site in where]
    return (_best("single provider", pairs, providers), _best("single site", pairs, where))


def _best(name: str, pairs: Pairs, groups: Sequence[tuple[str | None, ...]]) -> Baseline:
    """Try groups of offers from the least lower bound up, until none left can be cheaper."""
    members: dict[tuple[str | None, ...], list[int]] = {}
    for offer, group in enumerate(groups):
        members.setdefault(group, []).append(offer)
    ordered = sorted(members, key=key_order)
    bounds = _lower_bounds(pairs, [members[group] for group in ordered])
    best: tuple[Decimal, str] | None = None
    for index in np.argsort(bounds, kind="stable").tolist():
        if not np.isfinite(bounds[index]) or (best and bounds[index] > float(best[0])):
            break
        cost = _least_cost(pairs, members[ordered[index]])
        if cost is not None and (best is None or cost < best[0]):
            best = (cost, " ".join(part or "unnamed" for part in ordered[index]))
    if best is None:
        return Baseline(name, None, None, _why_not(pairs, list(members.values())))
    return Baseline(name, best[1], best[0])


def _lower_bounds(pairs: Pairs, members: Sequence[list[int]]) -> list[float]:
    """Return, for each group, the cost of every replica at the group's cheapest offer."""
    price = np.array([np.nan if usd is None else float(usd) for usd in pairs.offers["usd_gb_hr"]])
    usd_hr = np.where(pairs.broken == 0, pairs.provision_gb * price, np.inf)
    replicas = np.array([volume.replicas for volume in pairs.volumes])
    below = 1 - 1e-9  # so that rounding never makes a bound exceed the cost it bounds
    kept_apart: dict[str, int] = {}
    for volume in pairs.volumes:
        if spreads(volume.replicas, volume.spread):
            most = max(volume.replicas, kept_apart.get(volume.spread, 0))
            kept_apart[volume.spread] = most
    places = {level: domains(pairs.offers, level) for level in kept_apart}

    def bound(offers: list[int]) -> float:
        for level, most in kept_apart.items():
            if len(frozenset[Any]().union(*(places[level][o] for o in offers))) < most:
                return np.inf
        return float((usd_hr[:, offers].min(axis=1) * replicas).sum()) * below

    return [bound(offers) for offers in members]


def _least_cost(pairs: Pairs, offers: list[int]) -> Decimal | None:
    costs: list[Decimal] = []
    for cost in _least_costs(pairs, offers):
        if cost is None:
            return None
        costs.append(cost)
    return total(costs)


def _least_costs(pairs: Pairs, offers: list[int]) -> Iterator[Decimal | None]:
    least = Least(
        Pairs(
            pairs.volumes,
            pairs.offers.iloc[offers],
            pairs.broken[:, offers],
            pairs.disks[:, offers],
            pairs.provision_gb[:, offers],
        )
    )
    return (least.cost(volume) for volume in range(len(pairs.volumes)))


def _why_not(pairs: Pairs, members: Sequence[list[int]]) -> str:
    """Return the volumes that have no room in the group that has an offer for most volumes."""
    if not members:
        return "the market has no offers"
    admissible = pairs.broken == 0
    closest = max(members, key=lambda offers: int(admissible[:, offers].any(axis=1).sum()))
    costs = _least_costs(pairs, closest)
    left = [v.name for v, cost in zip(pairs.volumes, costs, strict=True) if cost is None]
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return f"no place for {', '.join(left[:_NAMED])}{more}"
