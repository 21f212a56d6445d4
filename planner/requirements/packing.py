"""How many disks one pod can mount, and volumes that share a disk as directories."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from planner.requirements.base import negated
from planner.requirements.field import Step
from planner.requirements.offer import OfferRequirement

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from planner.demand.model import Demand
    from planner.requirements.base import ProgramRows, Terms
    from planner.requirements.offer import At, LiveReplica, Moves


class OneDisk(OfferRequirement):
    """The volumes that a group wants on one disk; its value is their names."""

    rules = (("one_disk", "its group is to be on one disk, and this would be a disk of its own"),)
    fields = ("groups",)
    wrong = "its group is to be on one disk, which cannot be there"

    def breaks(self, at: At) -> NDArray[np.bool_]:
        """Return every offer: each is for a disk of its own."""
        return np.ones(len(at.disks), np.bool_)

    def moves(self, at: At, offer: int) -> Moves | None:
        """Return nothing: the group is dropped as a whole."""
        del at, offer
        return ()

    def broken_by(self, live: LiveReplica) -> Iterator[str]:
        """Yield that the disk is not that of the group."""
        if {*live.group} != {*self.value}:
            yield "is not one disk of its whole group"


def one_disk_groups(demand: Demand) -> dict[str, tuple[str, ...]]:
    """Return the volumes that share every disk with a volume, itself included, by its name.

    Groups with a common volume are one.
    """
    together: dict[str, set[str]] = {}
    for group in demand.groups:
        if group.same == "disk":
            joined = set(group.volumes).union(*(together.get(name, ()) for name in group.volumes))
            together.update((name, joined) for name in joined)
    order = {volume.name: v for v, volume in enumerate(demand.volumes)} if together else {}

    def place(name: str) -> tuple[int, str]:
        return order.get(name, len(order)), name  # some questions leave volumes out

    return {name: tuple(sorted(mine, key=place)) for name, mine in together.items()}


def pod_limit(provider: str) -> Step:
    """Return the step that lets a pod of a provider mount more disks."""
    return Step("provider", provider, "attach_limits", "open")


PACKING = Step("policy", "", "packing", "set", "auto")
"""The step that lets volumes of a job share a disk."""


class Mountable(NamedTuple):
    """A replica that a job can mount: its variable of the program, and the disks that hold it.

    Attributes
    ----------
    disk : hashable
        What is equal for volumes that share the disk.
    """

    placed: Terms
    disk: Hashable
    disks: int


class AttachLimit:
    """The disks that one pod of a job can mount."""

    @staticmethod
    def constrain(
        program: ProgramRows,
        running: Terms,
        mounts: Sequence[tuple[int, Sequence[Mountable]]],
        most: int,
        relaxing: Sequence[tuple[Any, float]] = (),
    ) -> None:
        """Let a job run only where one replica of each volume is on few enough disks.

        Parameters
        ----------
        running : Terms
            1 where the job runs there.
        mounts : sequence of (int, sequence of Mountable)
            Replicas that each volume may have, and of these what the job can mount there.
        most : int
            How many disks one pod can mount.
        """
        used: dict[Hashable, list[tuple[Terms, int]]] = defaultdict(list)
        for replicas, mountable in mounts:
            choices: Terms = []
            for each in mountable:
                terms = each.placed
                if replicas > 1:
                    taken = program.new("e", 1)
                    terms = [(taken, 1.0)]
                    program.add([*terms, *negated(each.placed)], "<=", 0)
                    choices += terms
                used[each.disk].append((terms, each.disks))
            if choices:
                program.add([*running, *negated(choices)], "<=", 0)
        counted: Terms = []
        worst = sum(max((each.disks for each in mountable), default=0) for _, mountable in mounts)
        for members in used.values():
            terms, disks = members[0]
            if len(members) > 1:
                shared = program.new("f", 1)
                for other, _ in members:
                    program.add([*other, (shared, -1.0)], "<=", 0)
                terms = [(shared, 1.0)]
            counted += [(variable, disks * coefficient) for variable, coefficient in terms]
        room = worst - most
        if room > 0:
            only_there = [(variable, room * coefficient) for variable, coefficient in running]
            program.add([*counted, *only_there, *relaxing], "<=", most + room)


def fewest_disks(options: Sequence[Mapping[Hashable, int]], most: int) -> int:
    """Return on how few disks one replica of each volume is; any number above ``most`` for more.

    Parameters
    ----------
    options : sequence of mapping
        For each volume its replicas: the disk, as in `Mountable`, and how many disks that is.
    """
    fixed = {disk: n for each in options if len(each) == 1 for disk, n in each.items()}
    left = [each for each in options if len(each) > 1 and fixed.keys().isdisjoint(each)]
    spent = sum(fixed.values())
    if not left or spent > most:
        return spent

    def descend(at: int, taken: dict[Hashable, int], best: int) -> int:
        spent = sum(taken.values())
        if at == len(left) or spent >= best:
            return min(best, spent)
        if not taken.keys().isdisjoint(left[at]):
            best = descend(at + 1, taken, best)
        for disk, disks in left[at].items():
            best = descend(at + 1, {**taken, disk: disks}, best)
        return best

    return descend(0, fixed, most + 1)
