"""Shared disks: volumes that are directories of one disk, and what each of them has of it.

A disk is bought, counted and deleted once; its GB and its cost are shared out to its volumes, and
the shares add up to the disk exactly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from planner.market.offers import KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from planner.solve.solution import Placement


@dataclass(frozen=True)
class DiskShare:
    """What one volume has of a disk; on a disk that it shares, the directory of its name.

    Attributes
    ----------
    volume, replica
        Which replica of the demand it is.
    size_gb : int
        Its part of the disk; the shares add up to the whole. Nothing for a volume that was dropped
        from the demand: its data may still be there, and the others pay for the room.
    owner, tags
        Who pays for that part, and its labels.
    """

    volume: str
    replica: int
    size_gb: int
    owner: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the share that ``vars`` of one described; what is not known yet is ignored."""
        names = ("volume", "replica", "size_gb", "owner", "tags")
        return cls(**{name: record[name] for name in names})


_OFFER = (*KEY, "offer_id", "disk_sizes_gb")


def by_disk(placements: Sequence[Placement]) -> tuple[tuple[Placement, ...], ...]:
    """Return the placements of each disk together, those that share one in the demand's order.

    A replica on several disks of its own is one entry.
    """
    together: dict[object, list[Placement]] = {}
    met = Counter[object]()
    for number, placement in enumerate(placements):
        key: object = number
        if placement.disk_group is not None:
            offer = tuple(getattr(placement, name) for name in _OFFER)
            disk = (placement.disk_group, placement.disk_ids or offer)
            met[placement.volume, disk] += 1  # the second replica there is on the second disk
            key = (disk, met[placement.volume, disk])
        together.setdefault(key, []).append(placement)
    return tuple(tuple(members) for members in together.values())


def shares_of(members: Sequence[Placement]) -> tuple[DiskShare, ...]:
    """Return what each of the placements on a shared disk has of it; nothing of a disk of its own.

    Parameters
    ----------
    members : sequence of Placement
        As of `by_disk`.
    """
    if members[0].disk_group is None:
        return ()
    return tuple(
        DiskShare(member.volume, member.replica, member.provision_gb, member.owner, member.tags)
        for member in members
    )


def titled(shares: Sequence[DiskShare], *, numbered: bool = False) -> str:
    """Return what a person calls the volumes of a disk, perhaps with the numbers of the replicas.

    >>> titled([DiskShare("corpus", 1, 2000), DiskShare("ckpt", 1, 1000)])
    'corpus + ckpt'
    """
    return " + ".join(
        f"{share.volume} #{share.replica}" if numbered else share.volume for share in shares
    )


class VolumesOnDisk(ABC):
    """What a slot and its entry have in common: the volumes that are on the disk.

    One that volumes share is named by the first of them, and ``group`` has them all.
    """

    volume: str
    replica: int
    disk: int
    group: tuple[DiskShare, ...]
    owner: str | None
    tags: dict[str, str]

    @property
    @abstractmethod
    def size_gb(self) -> int:
        """Return the size of the whole disk."""

    @property
    def key(self) -> str:
        """Return the disk's short name: volume/replica/disk."""
        return f"{self.volume}/{self.replica}/{self.disk}"

    @property
    def shares(self) -> tuple[DiskShare, ...]:
        """Return what each volume has of the disk; of a disk of its own, all of it."""
        own = DiskShare(self.volume, self.replica, self.size_gb, self.owner, self.tags)
        return self.group or (own,)

    @property
    def paying(self) -> tuple[DiskShare, ...]:
        """Return the shares but those of 0 GB: volumes that no plan names any more."""
        return tuple(share for share in self.shares if share.size_gb) or self.shares

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the key as each volume on the disk has it."""
        return tuple(f"{share.volume}/{share.replica}/{self.disk}" for share in self.shares)

    @property
    def volumes(self) -> tuple[str, ...]:
        """Return the volumes on the disk."""
        return tuple(share.volume for share in self.shares)

    @property
    def title(self) -> str:
        """Return what a person calls the volumes on the disk."""
        return titled(self.shares)

    @property
    def disk_group(self) -> list[str] | None:
        """Return the volumes that share the disk, as a plan has them; None for a disk of its own.

        It is a list, as JSON has it.
        """
        return [*self.volumes] if self.group else None
