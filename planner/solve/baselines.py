"""What the plan is compared with: what a person would do without a program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from planner.solve.candidates import Pairs, sites
from planner.solve.least import Least
from planner.solve.rules import BIT
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray


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
    best: tuple[Decimal, str] | None = None
    names = sorted(set(groups), key=lambda group: tuple((part or "") for part in group))
    member = [np.array([one == group for one in groups]) for group in names]
    bounds = [_lower_bound(pairs, mask) for mask in member]
    for index in np.argsort(bounds, kind="stable").tolist():
        if not np.isfinite(bounds[index]) or (best and bounds[index] > float(best[0])):
            break
        cost = _least_cost(pairs, member[index])
        if cost is not None and (best is None or cost < best[0]):
            best = (cost, " ".join(part or "unnamed" for part in names[index]))
    if best is None:
        return Baseline(name, None, None, _why_not(pairs, member))
    return Baseline(name, best[1], best[0])


def _lower_bound(pairs: Pairs, member: NDArray[np.bool_]) -> float:
    price = np.array([np.inf if usd is None else float(usd) for usd in pairs.offers["usd_gb_hr"]])
    allowed = (pairs.broken == 0) & member
    cost = np.where(allowed, pairs.provision_gb * np.where(allowed, price, 0), np.inf)
    replicas = np.array([volume.replicas for volume in pairs.volumes])
    return float((cost.min(axis=1, initial=np.inf) * replicas).sum()) * (1 - 1e-9)


def _least_cost(pairs: Pairs, member: NDArray[np.bool_]) -> Decimal | None:
    costs: list[Decimal] = []
    for cost in _least_costs(pairs, member):
        if cost is None:
            return None
        costs.append(cost)
    return total(costs)


def _least_costs(pairs: Pairs, member: NDArray[np.bool_]) -> Iterator[Decimal | None]:
    shut = np.where(member, np.uint32(0), np.uint32(BIT["provider"]))
    least = Least(replace(pairs, broken=pairs.broken | shut))
    return (least.cost(volume) for volume in range(len(pairs.volumes)))


def _why_not(pairs: Pairs, member: Sequence[NDArray[np.bool_]]) -> str:
    """Return the volumes that have no room where most volumes have an offer."""
    fits = [int(((pairs.broken == 0) & mask).any(axis=1).sum()) for mask in member]
    if not fits:
        return "the market has no offers"
    costs = _least_costs(pairs, member[int(np.argmax(fits))])
    left = [v.name for v, cost in zip(pairs.volumes, costs, strict=True) if cost is None]
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return f"there is no room for {', '.join(left[:_NAMED])}{more}"
