"""What is wrong with the groups and workloads of a file, beside what single fields say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from planner.demand.fields import HOURS_OF_MONTH, MAX_MEMBERS, NAME
from planner.demand.model import beyond_month, beyond_replicas
from planner.demand.names import VolumeNames
from planner.demand.problems import Problem
from planner.demand.words import FieldPath, shown
from planner.units import HOURS_PER_MONTH


def entries(document: Mapping[str, Any], section: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the mappings in a list of the document, each with its index."""
    listed = document.get(section)
    return [
        (index, entry)
        for index, entry in enumerate(listed if isinstance(listed, (list, tuple)) else ())
        if isinstance(entry, Mapping)
    ]


def workload_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each workload whose name is taken, or that runs longer than the policy's month."""
    policy = document.get("policy")
    month = policy.get("hours_per_month") if isinstance(policy, Mapping) else None
    month = HOURS_PER_MONTH if month is None else month
    shortest, longest = HOURS_OF_MONTH
    is_month = type(month) is int and shortest <= month <= longest
    taken: dict[str, int] = {}
    for index, entry in entries(document, "workloads"):
        name, hours = entry.get("name"), entry.get("hours_per_month")
        if isinstance(name, str) and taken.setdefault(name, index) != index:
            sentence = f"workloads[{taken[name]}] is called {shown(name)} already"
            yield ("workloads", index, "name"), sentence
        if is_month and type(hours) is int and hours <= longest:
            wrong = beyond_month(hours, month)
            if wrong is not None:
                yield ("workloads", index, "hours_per_month"), wrong


def disk_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each volume whose named disks cannot be its replicas."""
    defaults = document.get("defaults")
    defaults = defaults if isinstance(defaults, Mapping) else {}
    if defaults.get("disks"):
        yield ("defaults", "disks"), "disks belong to one volume; name them there"
    taken: dict[str, int] = {}
    for index, entry in entries(document, "volumes"):
        named = entry.get("disks")
        if not isinstance(named, (list, tuple)) or not named:
            continue
        path = ("volumes", index, "disks")
        if entry.get("count", defaults.get("count")) is not None:
            yield path, "`count` makes several volumes; write the one with disks on its own"
        replicas = entry.get("replicas", defaults.get("replicas"))
        replicas = 1 if replicas is None else replicas
        if type(replicas) is int and (wrong := beyond_replicas(len(named), replicas)):
            yield path, wrong
        texts = [disk for disk in named if isinstance(disk, str)]
        for disk in sorted({disk for disk in texts if texts.count(disk) > 1}):
            yield path, f"disk {shown(disk)} is named twice; each replica is a disk of its own"
        for disk in dict.fromkeys(texts):
            if taken.setdefault(disk, index) != index:
                yield path, f"disk {shown(disk)} is named by volumes[{taken[disk]}] already"


def member_problems(
    document: Mapping[str, Any], names: VolumeNames, unsure: set[str]
) -> Iterator[Problem]:
    """Yield each name that stands for no volume, and each group of fewer than two.

    Parameters
    ----------
    document : Mapping
        As the file says it.
    names : VolumeNames
        The volumes whose names and counts are sound.
    unsure : set of str
        Volumes whose count is wrong; nothing is said about what they would expand to.
    """
    total = 0
    for section, field in (("workloads", "mounts"), ("groups", "volumes")):
        for index, entry in entries(document, section):
            path = (section, index, field)
            meant, wrong = _meant(entry.get(field), path, names, unsure)
            yield from wrong
            total += sum(len(each) for each in meant or ())
            if total > MAX_MEMBERS:
                sentence = f"groups and workloads name more than {MAX_MEMBERS:,} volumes in all"
                yield (section,), f"{sentence}, counts expanded; name fewer"
                return
            if section == "groups" and meant and len(distinct := set().union(*meant)) == 1:
                only = shown(distinct.pop())
                yield path, f"a group has at least two volumes; here is only {only}"


def _meant(
    listed: object, path: FieldPath, names: VolumeNames, unsure: set[str]
) -> tuple[list[Sequence[str]] | None, list[Problem]]:
    """Return what each name of a list stands for, None where that cannot be said, and why not."""
    if not isinstance(listed, (list, tuple)):
        return None, []
    meant: dict[str, Sequence[str]] = {}
    wrong: list[Problem] = []
    known = True
    for index, name in enumerate(listed):
        is_name = isinstance(name, str) and NAME.fullmatch(name)
        if not is_name or {name, name.rpartition("-")[0]} & unsure:
            known = False
            continue
        try:
            meant[name] = names.meant_by(name)
        except ValueError as error:
            wrong.append(((*path, index), str(error)))
    return list(meant.values()) if known and not wrong else None, wrong
