"""What groups ask of volumes: to share a place, or to share none."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from planner.requirements.spread import KnownPlace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.demand.model import Demand, Group


class GroupPlace(KnownPlace):
    """The level of a group that a volume is in."""

    rules = (("group", "a group needs a place that is unknown here"),)
    fields = ("groups",)
    wrong = "its place is unknown, and a group looks at it"


def levels_of(group: Group) -> list[tuple[str, str]]:
    """Return what a group asks: ``same`` or ``different``, each with its level."""
    both = (("same", group.same), ("different", group.different))
    return [(word, level) for word, level in both if level is not None]


def labelled(groups: Iterable[Group]) -> list[tuple[Group, tuple[str, int]]]:
    """Return each group with its label and which of equal ones it is."""
    seen: dict[str, int] = defaultdict(int)
    labels = []
    for group in groups:
        asked = ", ".join(f"{word} {level}" for word, level in levels_of(group))
        label = f"{', '.join(group.volumes)} ({asked})"
        labels.append((group, (label, seen[label])))
        seen[label] += 1
    return labels


def group_places(demand: Demand) -> dict[str, tuple[GroupPlace, ...]]:
    """Return what groups ask of each offer, by name of the volumes in them."""
    levels: dict[str, dict[str, None]] = {}
    for group in demand.groups:
        for name in group.volumes:
            levels.setdefault(name, {}).update((level, None) for _, level in levels_of(group))
    return {name: tuple(map(GroupPlace, asked)) for name, asked in levels.items()}
