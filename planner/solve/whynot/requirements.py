"""Requirements: what a demand asks, piece by piece, in the user's words.

What is stored and run is asked and is no requirement here: sizes, GPU models and counts, nodes and
hours. Everything else can be left out; a volume without its replicas needs one copy or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.solve.whynot.changes import LEVELS, PLACE_WORDS, as_json
from planner.solve.whynot.steps import MOST_DISKS, WORDS, labelled
from planner.text import visible
from planner.units import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from planner.demand.model import Demand, Policy, Volume, Workload

_CAPS = ("budget_usd_month", "max_sites", "max_providers", "max_provider_share")


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
    def text(self) -> str:
        """Return it as a person would say it."""
        name = visible(self.name)
        if self.kind == "group":
            return f"the group of {name}"
        if self.kind == "owner":
            return f"the budget of {name} is {plain(self.value)} USD a month"
        if self.kind == "policy":
            return f"{self.field} is {as_json(self.value)}"
        if self.field == "mounts":
            return f"workload {name} needs its GPUs beside volume {visible(self.which)}"
        return f"{self.kind} {name}: {_wish(self.field, self.value)}"

    @property
    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        subject: dict[str, Any] = {"policy": True} if self.kind == "policy" else {}
        subject = subject or {self.kind: self.name}
        value = self.which if self.field == "mounts" else as_json(self.value)
        return {**subject, "field": self.field, "value": value, "text": self.text}


def _wish(field: str, value: Any) -> str:  # noqa: ANN401 -- the field's
    word = field.removeprefix("exclude.")
    if word in PLACE_WORDS:
        which = f"{PLACE_WORDS[word][len(value) > 1]} {', '.join(map(visible, value))}"
        return f"only {which}" if word == field else f"not {which}"
    texts = {
        "multinode": "several nodes must be able to mount it",
        "stock": f"stock {value} or better",
        "security": f"security {value}",
        "replicas": f"{value} replicas",
        "spread": f"each replica in another {LEVELS.get(value, value)}",
        "max_disks": f"at most {value} disk{'s' * (value != 1)}" if field == "max_disks" else "",
        "socket": f"socket {visible(str(value))}",
        "spot": "no spot offers",
    }
    return texts.get(field) or f"{field} is {as_json(value)}"


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
    for field in _CAPS:
        if (value := getattr(policy, field)) is not None:
            yield Requirement("policy", "", field, value=value)
    for owner, budget in policy.budgets.items():
        yield Requirement("owner", owner, "budgets", value=budget)


def _of_workload(workload: Workload) -> Iterator[Requirement]:
    name = workload.name
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


def only(
    demand: Demand, kept: Collection[Requirement]
) -> tuple[Demand, dict[str, int], tuple[Workload, ...]]:
    """Return a demand with nothing asked but some requirements.

    Returns
    -------
    demand : Demand
        Its workloads are those that still mount something.
    fewest : dict of int
        Replicas that volumes need at least.
    loose : tuple of Workload
        Workloads that mount nothing any more, and only need GPUs.
    """
    held = {(one.kind, one.name, one.field, one.which) for one in kept}
    volumes = tuple(_volume(volume, held) for volume in demand.volumes)
    jobs = [_workload(workload, held) for workload in demand.workloads]
    groups = tuple(
        group
        for group, (label, which) in labelled(demand.groups)
        if ("group", label, "groups", which) in held
    )
    policy = demand.policy
    dropped: dict[str, Any] = dict.fromkeys(
        field for field in _CAPS if ("policy", "", field, None) not in held
    )
    budgets = {o: b for o, b in policy.budgets.items() if ("owner", o, "budgets", None) in held}
    update: dict[str, Any] = {
        "volumes": volumes,
        "workloads": tuple(job for job in jobs if job.mounts),
        "groups": groups,
        "policy": policy.model_copy(update={**dropped, "budgets": budgets}),
    }
    fewest = {
        volume.name: 1
        for volume in volumes
        if volume.replicas > 1 and ("volume", volume.name, "replicas", None) not in held
    }
    return demand.model_copy(update=update), fewest, tuple(job for job in jobs if not job.mounts)


def only_one(demand: Demand, one: Requirement) -> tuple[Demand, tuple[Workload, ...]]:
    """Return who asks for a requirement, asking for nothing else; see `only`.

    Volumes come with a requirement of theirs or of their group; workloads are loose.
    """
    names = {one.name} if one.kind == "volume" else set()
    groups = demand.groups if one.kind == "group" else ()
    if one.kind == "group":
        names = {name for group in groups for name in group.volumes}
    update: dict[str, Any] = {
        "volumes": tuple(volume for volume in demand.volumes if volume.name in names),
        "workloads": tuple(
            job for job in demand.workloads if one.kind == "workload" and job.name == one.name
        ),
        "groups": groups,
    }
    asked, _, loose = only(demand.model_copy(update=update), (one,))
    return asked, loose


_FREE_VOLUME = {
    **dict.fromkeys((*WORDS, "stock", "max_usd_gb_hr")),
    "security": "any",
    "multinode": False,
    "max_disks": MOST_DISKS,
    "spread": "none",
}
_FREE_WORKLOAD = {"socket": None, "regions": None, "providers": None, "security": "any"}


def _volume(volume: Volume, held: set[tuple[Any, ...]]) -> Volume:
    def is_asked(field: str) -> bool:
        return ("volume", volume.name, field, None) in held

    update = {field: free for field, free in _FREE_VOLUME.items() if not is_asked(field)}
    gone = [word for word in WORDS if not is_asked(f"exclude.{word}")]
    update["exclude"] = volume.exclude.model_copy(update=dict.fromkeys(gone, ()))
    return volume.model_copy(update=update)


def _workload(workload: Workload, held: set[tuple[Any, ...]]) -> Workload:
    def is_asked(field: str, which: str | None = None) -> bool:
        return ("workload", workload.name, field, which) in held

    update: dict[str, Any] = {
        field: free for field, free in _FREE_WORKLOAD.items() if not is_asked(field)
    }
    update["spot"] = workload.spot or not is_asked("spot")
    update["mounts"] = tuple(name for name in workload.mounts if is_asked("mounts", name))
    return workload.model_copy(update=update)
