"""Volumes that share every disk, planned as one volume: it needs what they need together.

A disk of theirs is bought, moved and outgrown as one. So a demand that grows is solved with each
group of `same: disk` as one volume, of which every member's requirements hold.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from planner.demand.model import Volume
from planner.errors import Infeasible, InputError
from planner.requirements.group import group_places
from planner.requirements.packing import OneDisk, one_disk_groups
from planner.requirements.spread import SPREADS
from planner.requirements.volume import of_offers
from planner.solve.existing import Kept
from planner.text import visible
from planner.units import total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planner.demand.model import Demand, Group
    from planner.requirements.offer import OfferRequirement


class PackedVolume(Volume):
    """Volumes on one disk as one volume; it goes by the name of the first."""

    members: tuple[Volume, ...]

    @property
    def need_gb(self) -> int:
        """Return what must be bought at least: what the members need together."""
        return sum(each.need_gb for each in self.members)

    def held_gb(self, month: int) -> int:
        """Return what a disk that exists must hold at least until the end of a month."""
        return sum(each.held_gb(month) for each in self.members)

    def need_at(self, month: int) -> int:
        """Return what a disk must be bought for that is to last until the end of a month."""
        return sum(each.need_at(month) for each in self.members)

    def in_month(self, month: int) -> Volume:
        """Return the members as they are at the end of a month."""
        return self._of([each.in_month(month) for each in self.members])

    def bought_for(self, month: int) -> Volume:
        """Return members that need, now, what these need at the end of a month."""
        return self._of([each.bought_for(month) for each in self.members])

    def _of(self, members: Sequence[Volume]) -> Volume:
        return self.model_copy(update={"members": tuple(members), "growth": None})


class Packed(NamedTuple):
    """A demand whose groups of one disk are one volume each.

    Attributes
    ----------
    kept : tuple of Kept
        Live disks, a shared one once.
    asked : dict of tuple of OfferRequirement
        What volumes ask of offers beside their own fields, by name.
    """

    demand: Demand
    kept: tuple[Kept, ...]
    asked: Mapping[str, tuple[OfferRequirement, ...]]


def packed(demand: Demand, kept: Sequence[Kept]) -> Packed:
    """Return a demand with each group of one disk as one volume.

    Raises
    ------
    Infeasible
        When a group wants two volumes of one disk apart.
    InputError
        When members count against different budgets, or are apart at levels that are not nested.
    """
    asked, together = group_places(demand), one_disk_groups(demand)
    if not together:
        return Packed(demand, tuple(kept), asked)
    by_name = {volume.name: volume for volume in demand.volumes}
    leader = {name: members[0] for name, members in together.items()}
    units = {
        members[0]: _unit(demand, [by_name[each] for each in members])
        for members in together.values()
    }
    tied = {
        name: tuple(each for each in listed if not isinstance(each, OneDisk))
        for name, listed in asked.items()
    }
    for name, unit in units.items():
        every = (*(_all_asked(tied, each) for each in unit.members),)
        tied[name] = tuple(dict.fromkeys(item for listed in every for item in listed))
    merged = demand.model_copy(
        update={
            "volumes": tuple(
                units.get(volume.name, volume)
                for volume in demand.volumes
                if leader.get(volume.name, volume.name) == volume.name
            ),
            "groups": tuple(_groups(demand, leader)),
            "workloads": tuple(
                job.model_copy(
                    update={"mounts": tuple(dict.fromkeys(leader.get(n, n) for n in job.mounts))}
                )
                for job in demand.workloads
            ),
        }
    )
    return Packed(merged, tuple(_kept(kept, together)), tied)


def _all_asked(
    tied: Mapping[str, tuple[OfferRequirement, ...]], volume: Volume
) -> tuple[OfferRequirement, ...]:
    return (*of_offers(volume), *tied.get(volume.name, ()))


def _unit(demand: Demand, members: Sequence[Volume]) -> PackedVolume:
    """Return members as one volume."""
    names = visible(", ".join(volume.name for volume in members))
    owners = {volume.owner for volume in members}
    if len(owners) > 1 and any(owner in owners - {None} for owner, _ in demand.policy.enforced):
        raise InputError(
            f"growth cannot be planned for volumes of one disk with different budgets: {names}",
            hint="give them one `owner`, or leave the budgets of their owners out",
        )
    levels = sorted({volume.spread for volume in members}, key=SPREADS.index)
    if members[0].replicas > 1 and sum(level in _NOT_NESTED for level in levels) > 1:
        raise InputError(
            f"growth cannot be planned for volumes of one disk with different `spread`: {names}",
            hint=f"give them one `spread`; now they have {' and '.join(levels)}",
        )
    first = members[0]
    return PackedVolume.model_construct(
        **{
            **dict(first),
            "members": tuple(members),
            "size_gb": sum(volume.size_gb for volume in members),
            "headroom_percent": Decimal(0),
            "growth": next((each.growth for each in members if each.growth is not None), None),
            "spread": levels[-1],
            "max_disks": 1,
            "owner": first.owner if len(owners) == 1 else None,
        }
    )


_NOT_NESTED = {"provider", "country", "region"}
"""Levels of which none implies another; each implies the weaker ones."""


def _groups(demand: Demand, leader: Mapping[str, str]) -> list[Group]:
    """Return the other groups, in which a disk is named by its first volume."""
    groups = []
    for group in demand.groups:
        names = [leader.get(name, name) for name in group.volumes]
        if group.different is not None and len(set(names)) < len(names):
            raise Infeasible("No schedule satisfies the demand.")
        if group.same != "disk" and len(set(names)) > 1:
            groups.append(group.model_copy(update={"volumes": tuple(dict.fromkeys(names))}))
    return groups


def _kept(kept: Sequence[Kept], together: Mapping[str, tuple[str, ...]]) -> list[Kept]:
    """Return live disks, each shared one once."""
    listed = []
    for each in kept:
        if each.volume not in together:
            listed.append(each)
        elif each.leads:
            usd_hr = total(part.usd_hr for part in kept if part.disk_ids == each.disk_ids)
            names = ("volume", "replica", "disk_ids", "sizes_gb", "multinode")
            place = ("provider", "cloud_id", "data_center", "country")
            fields = {name: getattr(each, name) for name in (*names, *place)}
            listed.append(Kept(**fields, usd_hr=usd_hr))
    return listed


def shares_gb(needs_gb: Sequence[int], size_gb: int) -> list[int]:
    """Return what each volume has of a disk: what it needs, the largest the rest as well."""
    shares = [*needs_gb]
    shares[shares.index(max(shares))] += size_gb - sum(shares)
    return shares
