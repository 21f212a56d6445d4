"""What groups ask of volumes: to share a place, or to share none."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from planner.requirements.base import negated, opened_by
from planner.requirements.packing import OneDisk, one_disk_groups
from planner.requirements.spread import KnownPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Self

    from planner.demand.model import Demand, Group, Volume
    from planner.requirements.base import Choice, ProblemView, ProgramRows, Terms
    from planner.requirements.offer import OfferRequirement


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


DISK = "disk"
"""Level of a group whose volumes share every disk: see `planner.solve.packing`."""


@dataclass(frozen=True)
class GroupConstraint:
    """A group at one level.

    Attributes
    ----------
    same : bool
        Whether they share their places, or never do.
    level : str
        What a place is; ``site`` also for ``same: data_center``.
    """

    members: tuple[int, ...]
    same: bool
    level: str

    @classmethod
    def of(cls, group: Group, index: Mapping[str, int], volumes: Sequence[Volume]) -> list[Self]:
        """Return what a group asks, at each level that it names; what shares disks is no tie."""
        members = sorted(
            (index[name] for name in group.volumes), key=lambda v: (volumes[v].replicas, v)
        )
        asked = [(word == "same", level) for word, level in levels_of(group) if level != DISK]
        return [
            cls(tuple(members), same, "site" if same and level == "data_center" else level)
            for same, level in asked
        ]

    def constrain(self, program: ProgramRows, dropped: Callable[[], Any] | None = None) -> None:
        """Add the rows.

        With ``dropped``, which returns a variable that is 1 where the group is dropped, volumes
        may also have fewer replicas than they ask for, at a weaker spread.
        """
        is_fixed = dropped is None
        present = [self._present(program, v, is_fixed=is_fixed) for v in self.members]
        opened = None if dropped is None else dropped()
        if not self.same:
            inside: dict[Any, list[Terms]] = defaultdict(list)
            for each in present:
                for place, terms in each.items():
                    inside[place].append(terms)
            for many in inside.values():
                if len(many) > 1:
                    terms = [term for each in many for term in each]
                    program.add([*terms, *opened_by(opened, len(many) - 1)], "<=", 1)
        elif is_fixed:
            self._within(program, present)
        else:
            self._within_or(program, present, opened)

    def _present(self, program: ProgramRows, v: int, *, is_fixed: bool) -> Mapping[Any, Terms]:
        """Return for each place what is 1 if a volume has a replica there."""
        volume, view = program.view.volumes[v], program.view
        inside = program.inside(v, view.places(self.level))
        if volume.replicas == 1 or (is_fixed and volume.spread == self.level):
            return inside
        most = 1 if is_fixed and volume.spread != "none" else volume.replicas
        present: dict[Any, Terms] = {}
        for place, terms in inside.items():
            y = program.new("y", 1)
            for each in [[term] for term in terms] if is_fixed else [terms]:
                program.add([*each, (y, -most)], "<=", 0)
            program.add([(y, 1.0), *negated(terms)], "<=", 0)
            present[place] = [(y, 1.0)]
        return present

    def _within(self, program: ProgramRows, present: Sequence[Mapping[Any, Terms]]) -> None:
        """Let each volume be only where the next is, which has as many replicas or more."""
        replicas = [program.view.volumes[v].replicas for v in self.members]
        for here, there, fewer, more in zip(
            present, present[1:], replicas, replicas[1:], strict=False
        ):
            for place in sorted({*here, *there}, key=str):
                terms = [*here.get(place, ()), *negated(there.get(place, []))]
                if fewer == more:
                    program.add(terms, "==", 0)
                elif place in here:
                    program.add(terms, "<=", 0)

    def _within_or(
        self,
        program: ProgramRows,
        present: Sequence[Mapping[Any, Terms]],
        opened: Any,  # noqa: ANN401 -- a variable
    ) -> None:
        """Let volumes with no more replicas than others be only where those are, or open it."""
        replicas = [program.view.volumes[v].replicas for v in self.members]
        everyone = list(zip(self.members, present, replicas, strict=True))
        pairs = [(a, b) for a in everyone for b in everyone if a is not b]
        if all(count == 1 for count in replicas):
            pairs = list(pairwise(everyone))
            pairs += [(b, a) for a, b in pairs]
        for (left, here, count), (right, there, most) in pairs:
            relaxing: Terms = [(opened, -1.0)]
            if count > 1:
                e = program.new("e", 1)  # 1 where left has no more replicas than right
                more = [*negated(program.replicas(left)), *program.replicas(right)]
                program.add([*more, (e, -most)], "<=", -1)
                relaxing.append((e, 1.0))
            for place, terms in here.items():
                less = negated(there.get(place, []))
                program.add([*terms, *less, *relaxing], "<=", len(relaxing) - 1)

    def holds(self, view: ProblemView, chosen: Choice) -> bool:
        """Return whether chosen offers of all members are as the group wants them."""
        places = view.places(self.level)
        present = [frozenset().union(*(places[o] for o in chosen[v])) for v in self.members]
        if not self.same:
            return sum(map(len, present)) == len(frozenset().union(*present))
        replicas = [view.volumes[v].replicas for v in self.members]
        return all(
            left <= right and (fewer < more or left == right)
            for left, right, fewer, more in zip(
                present, present[1:], replicas, replicas[1:], strict=False
            )
        )

    def admits(self, view: ProblemView, chosen: Choice, v: int, offer: int) -> bool:
        """Return whether a replica of a member agrees with those that others have already."""
        places, replicas = view.places(self.level), view.volumes[v].replicas
        for u in self.members:
            if u == v or u not in chosen:
                continue
            theirs: frozenset[Any] = frozenset().union(*(places[o] for o in chosen[u]))
            if not self.same and places[offer] & theirs:
                return False
            if self.same and replicas <= view.volumes[u].replicas and not places[offer] <= theirs:
                return False
        return True


def group_places(demand: Demand) -> dict[str, tuple[OfferRequirement, ...]]:
    """Return what groups ask of each offer, by name of the volumes in them."""
    levels: dict[str, dict[str, None]] = {}
    for group in demand.groups:
        for name in group.volumes:
            levels.setdefault(name, {}).update((level, None) for _, level in levels_of(group))
    together = one_disk_groups(demand)
    return {
        name: (
            *(GroupPlace(level) for level in asked if level != DISK),
            *([OneDisk(together[name])] if name in together else []),
        )
        for name, asked in levels.items()
    }
