"""Why there is no plan, in one sentence that is found without any search.

What `planner.solve.whynot.diagnose` says in full, with the smallest conflict and the ways out,
costs many plans more; where very many demands are tried, this has to do.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from planner.solve.rentals import GPU_RULES, gpu_rules_of
from planner.solve.rules import RULES, rules_of
from planner.solve.whynot.changes import LEVELS
from planner.text import visible
from planner.units import money, plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from planner.solve.instance import Instance

_CAPS = ("budget_usd_month", "max_sites", "max_providers", "max_provider_share")


def first_conflict(instance: Instance) -> str:
    """Return why an instance has no plan: the first of these that holds.

    A volume has no admissible offer, or too few places for its replicas; a workload has no GPUs;
    the cheapest disks exceed a budget; else all that ties volumes together is named.

    Parameters
    ----------
    instance : Instance
        What is known to have no plan.
    """
    return next(_sentences(instance))


def _sentences(instance: Instance) -> Iterator[str]:
    alone = instance.least.settle()
    unplaced = [v for v, offers in enumerate(alone) if offers is None]
    for v in unplaced:
        yield _unplaced(instance, v) + _more(len(unplaced) - 1, "volume")
    rentals = instance.rentals
    if rentals is not None:
        unrented = np.flatnonzero((rentals.broken != 0).all(axis=1)).tolist()
        for w in unrented:
            job = rentals.workloads[w].name
            fallen = Counter(r for bits in rentals.broken[w].tolist() for r in gpu_rules_of(bits))
            told = _fallen(fallen, GPU_RULES, rentals.broken.shape[1], "GPU offers")
            yield f"workload {job}: {told}" + _more(len(unrented) - 1, "workload")
    yield from _budgets(instance)
    yield _together(instance)


def _more(count: int, kind: str) -> str:
    return f"; so it is with {count} more {kind}{'s' * (count > 1)}" if count else ""


def _unplaced(instance: Instance, v: int) -> str:
    volume, pairs = instance.pairs.volumes[v], instance.pairs
    sold = len(pairs.offers) - len(instance.kept)
    fits = np.flatnonzero(pairs.broken[v] == 0).tolist()
    if not fits:
        fallen = Counter(r for bits in pairs.broken[v, :sold].tolist() for r in rules_of(bits))
        return f"volume {volume.name}: {_fallen(fallen, RULES, sold, 'offers')}"
    places = instance.places(volume.spread)
    inside = len({domain for o in fits for domain in places[o]})
    told = "1 admissible offer lies" if len(fits) == 1 else f"{len(fits)} admissible offers lie"
    return (
        f"volume {volume.name}: {volume.replicas} replicas must each be at another "
        f"{LEVELS[volume.spread]}, and {told} in {inside}"
    )


def _fallen(fallen: Counter[str], meaning: Mapping[str, str], offers: int, what: str) -> str:
    if not offers:
        return f"the market has no {what}"
    rule, count = fallen.most_common(1)[0]
    return f"none of {offers} {what} will do; of {count}, {meaning[rule]} ({rule})"


def _budgets(instance: Instance) -> Iterator[str]:
    policy = instance.demand.policy
    for owner, limit in policy.limits:
        costs = (
            instance.least.cost(v)
            for v, volume in enumerate(instance.pairs.volumes)
            if owner is None or volume.owner == owner
        )
        hourly = total(cost for cost in costs if cost is not None)
        needed = usd_month(hourly, policy.hours_per_month)
        if needed > limit:
            whose, field = "", "budget_usd_month"
            if owner is not None:
                whose, field = f" of {visible(owner)}", f"budgets.{visible(owner)}"
            sum_month = f"the cheapest disks{whose} come to {money(needed)} USD a month"
            yield f"{sum_month}, and {field} is {plain(limit)}"


def _together(instance: Instance) -> str:
    demand = instance.demand
    asked = [f"{cap} {getattr(demand.policy, cap)}" for cap in _CAPS if getattr(demand.policy, cap)]
    asked += [f"budgets.{visible(o)} {plain(limit)}" for o, limit in demand.policy.limits if o]
    asked += ["the groups"] if demand.groups else []
    asked += ["the workloads"] if demand.workloads else []
    asked += ["the disks that are kept"] if instance.kept else []
    listed = ", ".join(asked[:-1]) + " and " * (len(asked) > 1) + "".join(asked[-1:])
    return f"no plan satisfies {listed or 'the demand'}{' together' * (len(asked) > 1)}"
