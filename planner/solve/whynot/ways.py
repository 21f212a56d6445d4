"""Which steps there are out of a demand without a plan: only those that the market can answer.

A value that nothing buyable has is not proposed, nor a level that accepts nothing more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from planner.solve.rentals import broken_by
from planner.solve.whynot.steps import MOST_DISKS, WORDS, Step, labelled, stocks_below, weaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from planner.demand.model import Demand, Policy, Volume, Workload
    from planner.solve.rentals import Rentals
    from planner.solve.whynot.trials import Bench


def steps_of(demand: Demand, bench: Bench) -> list[Step]:
    """Return every step out of a demand: of the policy, groups, workloads, then volumes."""
    found = list(_of_policy(demand.policy, {volume.owner for volume in demand.volumes}))
    found += [
        Step("group", label, "groups", "drop", which)
        for _, (label, which) in labelled(demand.groups)
    ]
    if bench.whole.rentals is not None:
        for workload in demand.workloads:
            found += _of_workload(workload, bench.whole.rentals)
    for volume in demand.volumes:
        found += _of_volume(volume, bench)
    return found


def _of_policy(policy: Policy, owners: set[str | None]) -> Iterator[Step]:
    for field in ("budget_usd_month", "max_sites", "max_providers", "max_provider_share"):
        if getattr(policy, field) is not None:
            yield Step("policy", "", field, "open")
    for owner in policy.budgets:
        if owner in owners:
            yield Step("owner", owner, "budgets", "open")


def _of_workload(workload: Workload, rentals: Rentals) -> Iterator[Step]:
    rows = rentals.gpus[broken_by((freed_job(workload),), rentals.gpus)[0] == 0]
    spot = rows["spot"].fillna(value=False)
    if workload.socket is not None and _any(rows["socket"].fillna("") != workload.socket):
        yield Step("workload", workload.name, "socket", "set", None)
    if not workload.spot and _any(spot):
        yield Step("workload", workload.name, "spot", "set", value=True)
    if workload.security != "any" and _any(rows["security"].fillna("") != workload.security):
        yield Step("workload", workload.name, "security", "set", "any")
    for field, column in (("regions", "region"), ("providers", "provider")):
        if (allowed := getattr(workload, field)) is not None:
            for value in sorted({*rows[column].dropna()} - {*allowed}):
                yield Step("workload", workload.name, field, "add", str(value))


def _any(column: pd.Series[Any]) -> bool:
    return bool(column.to_numpy(bool).any())


def freed(volume: Volume) -> Volume:
    """Return a volume with no wish left but its size."""
    free = {"stock": None, "security": "any", "multinode": False, "max_usd_gb_hr": None}
    lists = dict.fromkeys(WORDS)
    exclude = volume.exclude.model_copy(update=dict.fromkeys(WORDS, ()))
    rest = {"max_disks": MOST_DISKS, "exclude": exclude, "spread": "none", "replicas": 1}
    return volume.model_copy(update={**free, **lists, **rest})


def freed_job(workload: Workload) -> Workload:
    """Return a workload with no wish left but its GPUs."""
    lists = dict.fromkeys(("socket", "regions", "providers"))
    return workload.model_copy(update={"spot": True, "security": "any", **lists})


def _of_volume(volume: Volume, bench: Bench) -> Iterator[Step]:
    broken, disks, _ = bench.row(freed(volume))
    asked = [word for word in WORDS if getattr(volume, word) is not None]
    open_to = broken == 0
    for word in asked:
        open_to = open_to & bench.told[word]
    offers = np.flatnonzero(open_to).tolist()
    yield from _of_lists(volume, bench, asked, offers)
    yield from _of_quality(volume, bench, offers)
    if volume.max_disks < disks[open_to].max(initial=0):
        yield Step("volume", volume.name, "max_disks", "open")
    if volume.replicas > 1:
        for level in weaker(volume.spread):
            yield Step("volume", volume.name, "spread", "set", level)
        for fewer in range(1, volume.replicas):
            yield Step("volume", volume.name, "replicas", "lower", fewer)


def _of_lists(volume: Volume, bench: Bench, asked: list[str], offers: list[int]) -> Iterator[Step]:
    """Yield the steps to places that are not allowed, and to places that are excluded."""

    def here(word: str) -> set[str]:
        return {name for o in offers for name in bench.places[word][o] if name is not None}

    for word in asked:
        for value in sorted(here(word) - {*getattr(volume, word)}):
            yield Step("volume", volume.name, word, "add", value)
    for word in WORDS:
        if excluded := getattr(volume.exclude, word):
            for value in sorted(here(word) & {*excluded}):
                yield Step("volume", volume.name, f"exclude.{word}", "take", value)


def _of_quality(volume: Volume, bench: Bench, offers: list[int]) -> Iterator[Step]:
    """Yield the steps to lesser stock, security, multi-node and price."""
    held = bench.qualities
    if volume.security != "any" and any(held["security"][o] != volume.security for o in offers):
        yield Step("volume", volume.name, "security", "set", "any")
    if volume.multinode and not all(held["multinode"][o] is True for o in offers):
        yield Step("volume", volume.name, "multinode", "set", value=False)
    for down in range(1, len(stocks_below(volume.stock)) + 1):
        yield Step("volume", volume.name, "stock", "lower", down)
    most = volume.max_usd_gb_hr
    if most is not None and any(held["usd_gb_hr"][o] > most for o in offers):
        yield Step("volume", volume.name, "max_usd_gb_hr", "open")
