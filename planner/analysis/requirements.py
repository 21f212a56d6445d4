"""Requirements: what a demand asks, field by field, in the user's words.

Sizes and hours are facts here, not requirements: nothing relaxes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.analysis.changes import as_json
from planner.analysis.steps import WORDS, labelled
from planner.requirements.policy import policy_requirements
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.demand.model import Demand, Policy, Volume, Workload


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
    """

    kind: str
    name: str
    field: str
    which: Any = None
    value: Any = None

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
        if self.field == "mounts":
            return f"`mounts: [{visible(self.which)}]` on {name}"
        value = as_json(self.value)
        if self.field == "gpus":
            value = f"{self.value[0]}, nodes: {self.value[1]}"
        elif isinstance(value, list):
            value = f"[{', '.join(map(visible, value))}]"
        elif isinstance(value, bool):
            value = str(value).lower()
        told = f"`{self.field}: {visible(str(value))}`"
        return told if self.kind == "policy" else f"{told} on {name}"

    @property
    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        subject: dict[str, Any] = {"policy": True} if self.kind == "policy" else {}
        subject = subject or {self.kind: self.name}
        value = self.which if self.field == "mounts" else as_json(self.value)
        return {**subject, "field": self.field, "value": value, "text": self.text}


def requirements(demand: Demand) -> list[Requirement]:
    """Return everything that a demand asks: of the policy, groups, workloads, then volumes."""
    found = list(_of_policy(demand.policy))
    for _, (label, which) in labelled(demand.groups):
        found.append(Requirement("group", label, "groups", which, label))
    for workload in demand.workloads:
        found += _of_workload(workload)
    for volume in demand.volumes:
        found += _of_volume(volume)
    return found


def _of_policy(policy: Policy) -> Iterator[Requirement]:
    for one in policy_requirements(policy):
        yield Requirement(*one.step, value=one.value)


def _of_workload(workload: Workload) -> Iterator[Requirement]:
    name = workload.name
    yield Requirement("workload", name, "gpu", value=workload.gpu)
    yield Requirement("workload", name, "gpus", value=(workload.gpus, workload.nodes))
    for field in ("socket", "regions", "providers"):
        if (value := getattr(workload, field)) is not None:
            yield Requirement("workload", name, field, value=value)
    if not workload.spot:
        yield Requirement("workload", name, "spot", value=False)
    if workload.security != "any":
        yield Requirement("workload", name, "security", value=workload.security)
    for volume in workload.mounts:
        yield Requirement("workload", name, "mounts", volume)


def _of_volume(volume: Volume) -> Iterator[Requirement]:
    def asks(field: str, value: Any) -> Requirement:  # noqa: ANN401 -- the field's
        return Requirement("volume", volume.name, field, value=value)

    for word in WORDS:
        if (allowed := getattr(volume, word)) is not None:
            yield asks(word, allowed)
        if excluded := getattr(volume.exclude, word):
            yield asks(f"exclude.{word}", excluded)
    if volume.security != "any":
        yield asks("security", volume.security)
    for field in ("stock", "multinode", "max_usd_gb_hr"):
        if value := getattr(volume, field):
            yield asks(field, value)
    yield asks("max_disks", volume.max_disks)
    if volume.replicas > 1:
        if volume.spread != "none":
            yield asks("spread", volume.spread)
        yield asks("replicas", volume.replicas)
