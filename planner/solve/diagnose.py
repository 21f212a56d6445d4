"""When there is no plan: what cannot hold, in the words of the demand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.solve.rules import BIT, RULES
from planner.units import difference, money, plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from planner.demand import Demand
    from planner.solve.candidates import Pairs
    from planner.solve.least import Least

_LEVELS = {
    "site": "sites",
    "data_center": "data centres",
    "provider": "providers",
    "country": "countries",
    "region": "regions",
}


def conflicts(demand: Demand, pairs: Pairs, least: Least) -> list[dict[str, Any]]:
    """Return everything that keeps a demand from having a plan; empty when it has one.

    Returns
    -------
    list of dict
        Each with ``reason`` (``no_offer``, ``spread``, ``budget``) and ``message``; volumes with
        ``volume``, ``offers`` and ``rules`` (rule → offers that fell to it); budgets with
        ``owner``, ``limit_usd_month`` and ``needed_usd_month`` (the least that works, exact text).
    """
    costs = [least.cost(volume) for volume in range(len(pairs.volumes))]
    found = [_unplaced(pairs, least, v) for v, cost in enumerate(costs) if cost is None]
    return found or over_budget(demand, [cost for cost in costs if cost is not None])


def sentence(found: Iterable[dict[str, Any]]) -> str:
    """Return what a person reads: one line for each conflict."""
    return "no plan satisfies the demand:\n" + "\n".join(f"  {one['message']}" for one in found)


def _unplaced(pairs: Pairs, least: Least, v: int) -> dict[str, Any]:
    volume, broken = pairs.volumes[v], pairs.broken[v]
    rules = {rule: int(np.count_nonzero(broken & bit)) for rule, bit in BIT.items()}
    fallen = Counter({rule: count for rule, count in rules.items() if count})
    facts = {"volume": volume.name, "offers": len(broken), "rules": dict(fallen)}
    admissible = np.flatnonzero(broken == 0).tolist()
    reasons = _reasons(fallen, len(broken))
    if not admissible:
        told = f"none of {len(broken)} offers is admissible{reasons}"
        if not len(broken):
            told = "the market has no offers"
        return {"reason": "no_offer", **facts, "message": f"volume {volume.name}: {told}"}
    places = least.domains(volume.spread)
    inside = {domain for o in admissible for domain in places[o]}
    message = (
        f"volume {volume.name}: {volume.replicas} replicas need as many "
        f"{_LEVELS[volume.spread]} of their own, and the {len(admissible)} admissible offers lie "
        f"in {len(inside)}{reasons}"
    )
    return {"reason": "spread", **facts, "message": message}


def _reasons(fallen: Counter[str], offers: int) -> str:
    parts = [f"{count} of {offers}: {RULES[rule]} ({rule})" for rule, count in fallen.most_common()]
    return "".join(f"\n    {part}" for part in parts)


def over_budget(demand: Demand, costs: Sequence[Decimal]) -> list[dict[str, Any]]:
    """Return the budgets that hourly costs exceed, one cost for each volume; see `conflicts`."""
    hours = demand.policy.hours_per_month
    found = []
    for owner, limit in demand.policy.limits:
        spent = usd_month(
            total(
                cost
                for volume, cost in zip(demand.volumes, costs, strict=True)
                if owner is None or volume.owner == owner
            ),
            hours,
        )
        if spent <= limit:
            continue
        field = "policy.budget_usd_month" if owner is None else f"policy.budgets.{owner}"
        over = difference(spent, limit)
        message = (
            f"{field} is {plain(limit)}, and the cheapest plan needs {plain(spent)} USD a month "
            f"of {hours} h, {money(over)} more"
        )
        found.append(
            {
                "reason": "budget",
                "owner": owner,
                "limit_usd_month": plain(limit),
                "needed_usd_month": plain(spent),
                "message": message,
            }
        )
    return found
