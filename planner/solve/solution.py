"""Placements: what was chosen, in the words of the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from planner.market.offers import disk_sizes_gb
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, Column, records
from planner.units import usd_hr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from planner.demand.model import Volume
    from planner.solve.candidates import Pairs
    from planner.solve.existing import Kept


PLACEMENTS = (
    Column("volume", TEXT, "name in the demand"),
    Column("replica", WHOLE, "from 1"),
    Column("action", TEXT, "create, keep (live disks are it already) or replace (see replaces)"),
    Column("offer_id", TEXT, "short id of the offer; null: it is kept"),
    Column("provider", TEXT, "where"),
    Column("cloud_id", TEXT, "where; null: the offer has none"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("region", TEXT, "where; null: unknown"),
    Column("disk_ids", EXACT, "tuple of the ids of the live disks that are kept"),
    Column("replaces", EXACT, "tuple of the ids of the live disks that the new ones replace"),
    Column("disk_sizes_gb", EXACT, "tuple of the whole sizes of the disks, larger first"),
    Column("provision_gb", WHOLE, "their sum; of a shared disk, the volume's part of it"),
    Column("usd_gb_hr", AMOUNT, "price"),
    Column("usd_hr", AMOUNT, "provision_gb * usd_gb_hr"),
    Column("disk_group", EXACT, "volumes that share the disk, as a tuple; null: it has its own"),
    Column("owner", TEXT, "from the demand; null: none"),
    Column("tags", EXACT, "dict, from the demand"),
)
"""Columns of a plan as a frame, in the demand's order."""


@dataclass(frozen=True)
class Placement:
    """One replica of a volume at one offer; fields as in ``PLACEMENTS``.

    Where volumes share a disk, ``disk_group`` names them in the demand's order, the first being
    the leader, and each of them has the whole disk in ``disk_sizes_gb`` and its own share of it in
    ``provision_gb`` and ``usd_hr``; the shares add up to the disk.
    """

    volume: str
    replica: int
    action: Literal["create", "keep", "replace"]
    offer_id: str | None
    provider: str
    cloud_id: str | None
    data_center: str | None
    country: str | None
    region: str | None
    disk_sizes_gb: tuple[int, ...]
    provision_gb: int
    usd_gb_hr: Decimal
    usd_hr: Decimal
    owner: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    disk_ids: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    disk_group: tuple[str, ...] | None = None

    @property
    def leads(self) -> bool:
        """Return whether its disks are counted and bought here, not with another volume's."""
        return self.disk_group is None or self.disk_group[0] == self.volume


def placements(
    pairs: Pairs, chosen: Sequence[Sequence[int]], kept: Mapping[int, Kept] | None = None
) -> tuple[Placement, ...]:
    """Return one placement for each replica, volumes in order.

    What is kept has its number; what is bought takes the numbers that are left, by create key.

    Parameters
    ----------
    pairs : Pairs
        All pairs of volumes and offers.
    chosen : sequence of sequence of int
        Offers of each volume, one entry for each replica.
    kept : mapping
        The kept replica that an offer stands for, by number of the offer.
    """
    offers, live = records(pairs.offers), kept or {}
    regions = {each.disk_ids[0]: offers[o]["region"] for o, each in live.items()}
    placed: list[Placement] = []
    for v, places in enumerate(chosen):
        have = {live[o].replica: live[o] for o in places if o in live}
        left = iter(r for r in range(1, len(places) + 1) if r not in have)
        bought = sorted((pairs.base(o), o) for o in places if o not in live)
        new = {next(left): o for _, o in bought}
        volume = pairs.volumes[v]
        placed += (
            kept_placement(have[replica], volume, regions[have[replica].disk_ids[0]])
            if replica in have
            else _placement(pairs, offers, v, new[replica], replica)
            for replica in range(1, len(places) + 1)
        )
    return tuple(placed)


def kept_placement(existing: Kept, volume: Volume, region: str | None) -> Placement:
    """Return a replica that exists as a placement."""
    return Placement(
        volume=volume.name,
        replica=existing.replica,
        action="keep",
        offer_id=None,
        provider=existing.provider,
        cloud_id=existing.cloud_id,
        data_center=existing.data_center,
        country=existing.country,
        region=region,
        disk_sizes_gb=existing.sizes_gb,
        provision_gb=existing.provision_gb,
        usd_gb_hr=existing.usd_gb_hr,
        usd_hr=existing.usd_hr,
        owner=volume.owner,
        tags=dict(volume.tags),
        disk_ids=existing.disk_ids,
        disk_group=existing.disk_group,
    )


def _placement(
    pairs: Pairs, offers: Sequence[dict[str, Any]], v: int, o: int, replica: int
) -> Placement:
    volume, provision_gb, offer = pairs.volumes[v], int(pairs.provision_gb[v, o]), offers[o]
    disk = pairs.shared.get(o)
    disks, size_gb = int(pairs.disks[v, o]), provision_gb
    if disk is not None:
        disks, size_gb = 1, pairs.disk_gb(o)
    named = ("offer_id", "provider", "cloud_id", "data_center", "country", "region", "usd_gb_hr")
    return Placement(
        volume=volume.name,
        replica=replica,
        action="create",
        **{name: offer[name] for name in named},
        disk_sizes_gb=disk_sizes_gb(size_gb, disks, offer["min_gb"], offer["step_gb"]),
        provision_gb=provision_gb,
        usd_hr=usd_hr(provision_gb, offer["usd_gb_hr"]),
        owner=volume.owner,
        tags=dict(volume.tags),
        disk_group=None if disk is None else disk.members,
    )
