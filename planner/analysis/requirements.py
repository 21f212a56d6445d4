"""Requirements: what a demand asks, field by field, in the user's words.

Sizes and hours are facts here, not requirements: nothing relaxes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.analysis.relaxation import as_json
from planner.requirements import volume, workload
from planner.requirements.group import labelled
from planner.requirements.policy import policy_requirements
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.demand.model import Demand, Policy
    from planner.requirements.field import FieldRequirement


@dataclass(frozen=True)
class Requirement:
    """One thing that a demand asks.

    Attributes
    ----------
    kind : str
        Who asks: ``volume``, ``workload``, ``group``, ``policy`` or ``owner``.
    name : str
        Its name; the label of a group; empty for the policy.
    field : str
        As in the demand; ``exclude.regions`` for a list in an exclusion, ``mounts`` for one mount.
    which : Any
        The volume of a mount; which of equal groups.
    value : Any
        What is asked.
    shown : str
        The same as a demand writes it.
    """

    kind: str
    name: str
    field: str
    which: Any = None
    value: Any = None
    shown: str = ""

    @property
    def key(self) -> tuple[str, str, str, Any]:
        """Return what identifies it, as `Step.requirement` does."""
        return self.kind, self.name, self.field, self.which

    @property
    def text(self) -> str:
        """Return it as the demand says it, and where."""
        name = visible(self.name)
        if self.kind == "group":
            return f"group {name}"
        if self.kind == "owner":
            return f"`budgets: {{{name}: {plain(self.value)}}}`"
        told = f"`{self.field}: {self.shown}`"
        return told if self.kind == "policy" else f"{told} on {name}"

    @property
    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        subject: dict[str, Any] = {"policy": True} if self.kind == "policy" else {}
        subject = subject or {self.kind: self.name}
        return {**subject, "field": self.field, "value": as_json(self.value), "text": self.text}


def requirements(demand: Demand) -> list[Requirement]:
    """Return everything that a demand asks: of the policy, groups, workloads, then volumes."""
    found = list(_of_policy(demand.policy))
    for _, (label, which) in labelled(demand.groups):
        found.append(Requirement("group", label, "groups", which, label))
    for job in demand.workloads:
        found += [_of("workload", job.name, one) for one in workload.asked_by(job)]
    for each in demand.volumes:
        found += [_of("volume", each.name, one) for one in volume.asked_by(each)]
    return found


def _of(kind: str, name: str, one: FieldRequirement) -> Requirement:
    return Requirement(kind, name, one.field, one.which, one.value, one.shown)


def _of_policy(policy: Policy) -> Iterator[Requirement]:
    for one in policy_requirements(policy):
        yield Requirement(*one.step, value=one.value, shown=one.shown)
