"""What a plan happens to satisfy that it was not asked for: a plan in hand saves many questions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from planner.solve.problem import Scope
from planner.solve.rentals import broken_by
from planner.solve.whynot.requirements import only_one

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.demand.model import Demand, Volume, Workload
    from planner.solve.whynot.requirements import Requirement
    from planner.solve.whynot.trials import Bench, Plan


def witnessed(
    bench: Bench, demand: Demand, plan: Plan, others: Iterable[Requirement]
) -> set[Requirement]:
    """Return requirements that a plan satisfies, of some that it was not asked for.

    Mounts are left out: a volume that one workload more mounts asks more of its disks.
    """
    at = {volume.name: v for v, volume in enumerate(demand.volumes)}
    return {one for one in others if _satisfies(bench, demand, plan, one, at)}


def _satisfies(
    bench: Bench, demand: Demand, plan: Plan, one: Requirement, at: dict[str, int]
) -> bool:
    variant, loose = only_one(demand, one)
    if one.kind == "workload":
        return one.field != "mounts" and _rents(bench, plan, one, loose)
    if one.kind == "volume":
        return _places(bench, plan, one, at[one.name], variant.volumes[0])
    groups, policy = variant.groups, variant.policy
    only_this = plan.instance.demand.model_copy(update={"groups": groups, "policy": policy})
    asked, chosen = replace(plan.instance, demand=only_this), plan.found.chosen
    if one.kind != "group":
        return asked.holds(Scope((), (), (), capped=True), chosen)
    (group,) = groups
    levels = frozenset(level for level in (group.same, group.different) if level is not None)
    members = [volume for volume in variant.volumes if volume.name in group.volumes]
    return all(
        bench.row(volume, levels)[0][o] == 0 for volume in members for o in chosen[at[volume.name]]
    ) and asked.holds(Scope((), (), asked.ties), chosen)


def _places(bench: Bench, plan: Plan, one: Requirement, v: int, volume: Volume) -> bool:
    """Return whether a volume is where its wish lets it be; it has no other wish."""
    offers = plan.found.chosen[v]
    if one.field == "replicas":
        return bool(len(offers) == one.value)
    row = bench.row(volume.model_copy(update={"replicas": len(offers)}))[0]
    apart = plan.instance.spread_domains(volume.spread) if volume.spread != "none" else ()
    held = [apart[o] for o in offers if apart]
    is_apart = sum(map(len, held)) == len(frozenset().union(*held))
    return is_apart and all(row[o] == 0 for o in offers)


def _rents(bench: Bench, plan: Plan, one: Requirement, loose: Iterable[Workload]) -> bool:
    """Return whether the GPUs that a workload has are such as it asks for."""
    jobs = [workload.name for workload in plan.instance.demand.workloads]
    rentals = bench.whole.rentals
    if rentals is None or one.name not in jobs:
        return False
    job = next(job for job in loose if job.name == one.name)
    g = plan.found.rented[jobs.index(one.name)]
    return bool(broken_by((job,), rentals.gpus)[0][g] == 0)
