"""Steps out of a demand that has no plan: each relaxes one requirement a little.

A step says what it changes and how; `relaxed` applies steps to a demand and changes nothing else.
Every step only widens what is allowed, with two exceptions: fewer replicas may be in the way of
what looks at all of them, and a spread over sites or countries need not be implied by a stronger
one: only the data centre is.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from planner.requirements import volume, workload
from planner.requirements.field import Step
from planner.requirements.group import labelled
from planner.requirements.policy import KINDS, BudgetLimit, policy_requirements

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from planner.demand.model import Demand, Policy
    from planner.requirements.field import FieldRequirement

LIMITS = (
    *(field for kind in (*volume.COPIES, *volume.LIMITS) if kind.is_limit for field in kind.fields),
    *(kind.field for kind in KINDS if kind is not BudgetLimit),
    "budgets",
    BudgetLimit.field,
)
"""Limits, in the order in which each takes its least sufficient value; spread its strongest."""


def relaxed(
    demand: Demand, steps: Collection[Step], values: Mapping[Step, Any] | None = None
) -> Demand:
    """Return a demand with relaxations applied.

    Parameters
    ----------
    steps : collection of Step
        What to relax; what names nothing in the demand is passed over.
    values : mapping
        Values of the limits that steps open; a limit without one is none at all.
    """
    mine = defaultdict[tuple[str, str], list[Step]](list)
    for step in steps:
        mine[step.kind, step.name].append(step)
    if not mine:
        return demand
    values = values or {}
    volumes = tuple(
        _relaxed(one, volume.KIND_OF, mine["volume", one.name], values) for one in demand.volumes
    )
    workloads = tuple(
        _relaxed(one, workload.KIND_OF, mine["workload", one.name], values)
        for one in demand.workloads
    )
    gone = {(step.name, step.value) for step in steps if step.kind == "group"}
    groups = tuple(group for group, key in labelled(demand.groups) if key not in gone)
    policy = _policy(demand.policy, [s for s in steps if s.kind in {"policy", "owner"}], values)
    changed = {"volumes": volumes, "workloads": workloads, "groups": groups, "policy": policy}
    return demand.model_copy(update=changed)


def policy_steps(demand: Demand) -> list[Step]:
    """Return the steps that open a limit of the policy."""
    owners = {volume.owner for volume in demand.volumes}
    return [
        Step(*one.step, "open")
        for one in policy_requirements(demand.policy)
        if one.owner is None or one.owner in owners
    ]


def _relaxed(
    subject: Any,  # noqa: ANN401 -- a volume or a workload
    kinds: Mapping[str, type[FieldRequirement]],
    steps: list[Step],
    values: Mapping[Step, Any],
) -> Any:  # noqa: ANN401 -- the same
    by_field: dict[str, list[Any]] = defaultdict(list)
    for step in steps:
        value = values.get(step, kinds[step.field].without) if step.is_limit else step.value
        by_field[step.field].append(value)
    for field, moves in by_field.items():
        subject = kinds[field].relaxed(subject, field, moves)
    return subject


def _policy(policy: Policy, steps: list[Step], values: Mapping[Step, Any]) -> Policy:
    if not steps:
        return policy
    update: dict[str, Any] = {}
    budgets = dict(policy.budgets)
    for step in steps:
        if step.kind == "policy":
            update[step.field] = values.get(step)
        elif (value := values.get(step)) is None:
            budgets.pop(step.name, None)
        else:
            budgets[step.name] = value
    return policy.model_copy(update={**update, "budgets": budgets})
