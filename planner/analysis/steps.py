"""Steps out of a demand that has no plan: each relaxes one requirement a little.

A step says what it changes and how; `relaxed` applies steps to a demand and changes nothing else.
Every step only widens what is allowed, with two exceptions: fewer replicas may be in the way of
what looks at all of them, and a spread over sites or countries need not be implied by a stronger
one: only the data centre is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.market.places import PLACES
from planner.requirements.policy import KINDS, BudgetLimit, policy_requirements

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from planner.demand.model import Demand, Group, Policy, Volume, Workload

SPREADS = ("none", "site", "data_center", "provider", "country", "region")
"""Levels of spread, weakest first."""
STOCKS = (None, "Low", "Medium", "Available")
"""Levels of stock that a volume can ask for, weakest first; High is the same as Available."""
MOST_DISKS = 1000
"""The most disks that a volume may be split into at all."""
LIMITS = (
    "spread",
    "max_usd_gb_hr",
    "max_disks",
    *(kind.field for kind in KINDS if kind is not BudgetLimit),
    "budgets",
    BudgetLimit.field,
)
"""Limits, in the order in which each takes its least sufficient value; spread its strongest."""
WORDS = tuple(PLACES.values())
_OPEN = {"max_disks": MOST_DISKS, "spread": "none"}


@dataclass(frozen=True)
class Step:
    """One relaxation.

    Attributes
    ----------
    kind : str
        What is changed: ``volume``, ``workload``, ``group``, ``policy`` or ``owner``.
    name : str
        Its name; the label of a group; empty for the policy.
    field : str
        As in the demand; ``exclude.regions`` for a list in an exclusion.
    action : str
        ``add`` a value to a list or ``take`` one from it; ``set`` it; ``lower`` it by one;
        ``open`` a limit (spread is one too) as far as is needed; ``drop`` it.
    value : Any
        The value of ``add``, ``take`` and ``set``; of ``lower`` the number of the step, which
        counts only where those before it are taken too; of ``drop`` which of equal groups. GPUs
        are set together with the nodes they are on: (gpus, nodes).
    """

    kind: str
    name: str
    field: str
    action: str
    value: Any = None

    @property
    def is_limit(self) -> bool:
        """Return whether the step opens a limit, to a value that is determined later."""
        return self.action == "open"

    @property
    def requirement(self) -> tuple[str, str, str, Any]:
        """Return which requirement the step relaxes: kind, name, field, which of equal groups."""
        which = self.value if self.kind == "group" else None
        return self.kind, self.name, self.field, which


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
    mine: dict[tuple[str, str], list[Step]] = defaultdict(list)
    for step in steps:
        mine[step.kind, step.name].append(step)
    if not mine:
        return demand
    values = values or {}
    volumes = tuple(
        _volume(volume, mine["volume", volume.name], values)
        if ("volume", volume.name) in mine
        else volume
        for volume in demand.volumes
    )
    workloads = tuple(
        _workload(workload, mine["workload", workload.name])
        if ("workload", workload.name) in mine
        else workload
        for workload in demand.workloads
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


def labelled(groups: Iterable[Group]) -> list[tuple[Group, tuple[str, int]]]:
    """Return each group with its label and which of equal ones it is."""
    seen: dict[str, int] = defaultdict(int)
    found = []
    for group in groups:
        label = label_of(group)
        found.append((group, (label, seen[label])))
        seen[label] += 1
    return found


def label_of(group: Group) -> str:
    """Return what a group is called: its members, and what it asks of them."""
    asked = [f"{word} {level}" for word, level in _levels(group)]
    return f"{', '.join(group.volumes)} ({', '.join(asked)})"


def _levels(group: Group) -> list[tuple[str, str]]:
    both = (("same", group.same), ("different", group.different))
    return [(word, level) for word, level in both if level is not None]


def weaker(level: str) -> tuple[str, ...]:
    """Return the levels of spread that are weaker, weakest first."""
    return SPREADS[: SPREADS.index(level)]


def stocks_below(stock: str | None) -> tuple[str | None, ...]:
    """Return the levels of stock below one, the nearest first; None accepts all but Unavailable."""
    rank = STOCKS.index("Available" if stock == "High" else stock)
    return tuple(reversed(STOCKS[:rank]))


def _lowered(steps: Iterable[Step], field: str) -> int:
    """Return how many steps down a field goes: only those that follow on one another count."""
    taken = {step.value for step in steps if step.field == field}
    count = 0
    while count + 1 in taken:
        count += 1
    return count


def _volume(volume: Volume, steps: list[Step], values: Mapping[Step, Any]) -> Volume:
    update: dict[str, Any] = {}
    excluded: dict[str, Any] = {}
    for step in steps:
        if step.action == "add":
            held = update.get(step.field, getattr(volume, step.field)) or ()
            update[step.field] = tuple(sorted({*held, step.value}))
        elif step.action == "take":
            word = step.field.removeprefix("exclude.")
            held = excluded.get(word, getattr(volume.exclude, word))
            excluded[word] = tuple(name for name in held if name != step.value)
        elif step.action == "open":
            update[step.field] = values.get(step, _OPEN.get(step.field))
    update |= {step.field: step.value for step in steps if step.action == "set"}
    if down := _lowered(steps, "stock"):
        update["stock"] = stocks_below(volume.stock)[down - 1]
    if fewer := _lowered(steps, "replicas"):
        update["replicas"] = volume.replicas - fewer
        update["disks"] = volume.disks[: volume.replicas - fewer]
    if excluded:
        update["exclude"] = volume.exclude.model_copy(update=excluded)
    return volume.model_copy(update=update)


def _workload(workload: Workload, steps: list[Step]) -> Workload:
    update: dict[str, Any] = {}
    for step in steps:
        if step.field == "gpus":
            update["gpus"], update["nodes"] = step.value
        elif step.action == "set":
            update[step.field] = step.value
        else:
            held = update.get(step.field, getattr(workload, step.field)) or ()
            update[step.field] = tuple(sorted({*held, step.value}))
    return workload.model_copy(update=update)


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
