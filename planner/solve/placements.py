"""Placements: what was chosen, in the words of the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from planner.frames import EXACT, TEXT, WHOLE, Column, records
from planner.market.sizes import disk_sizes_gb
from planner.units import usd_hr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from planner.solve.candidates import Pairs

PLACEMENTS = (
    Column("volume", TEXT, "name in the demand"),
    Column("replica", WHOLE, "from 1"),
    Column("action", TEXT, "create: it is to be bought"),
    Column("offer_id", TEXT, "short id of the offer"),
    Column("provider", TEXT, "where"),
    Column("cloud_id", TEXT, "where; null: the offer has none"),
    Column("data_center", TEXT, "where; null: unknown"),
    Column("country", TEXT, "where; null: unknown"),
    Column("region", TEXT, "where; null: unknown"),
    Column("disk_sizes_gb", EXACT, "tuple of the sizes of the disks, larger first"),
    Column("provision_gb", WHOLE, "their sum"),
    Column("usd_gb_hr", EXACT, "price, exact Decimal"),
    Column("usd_hr", EXACT, "provision_gb * usd_gb_hr, exact Decimal"),
    Column("owner", TEXT, "from the demand; null: nobody"),
    Column("tags", EXACT, "dict, from the demand"),
)
"""Columns of a plan as a frame, in the demand's order."""


@dataclass(frozen=True)
class Placement:
    """One replica of a volume at one offer; fields as in ``PLACEMENTS``."""

    volume: str
    replica: int
    action: Literal["create"]
    offer_id: str
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


def placements(pairs: Pairs, chosen: Sequence[Sequence[int]]) -> tuple[Placement, ...]:
    """Return one placement for each replica, volumes in order, replicas by create key.

    Parameters
    ----------
    pairs : Pairs
        All pairs of volumes and offers.
    chosen : sequence of sequence of int
        Offers of each volume, one entry for each replica.
    """
    offers = records(pairs.offers)
    return tuple(
        _placement(pairs, offers[o], v, o, replica)
        for v, chosen_offers in enumerate(chosen)
        for replica, o in enumerate(sorted(chosen_offers), 1)
    )


def _placement(pairs: Pairs, offer: dict[str, Any], v: int, o: int, replica: int) -> Placement:
    volume, provision_gb = pairs.volumes[v], int(pairs.provision_gb[v, o])
    disks = int(pairs.disks[v, o])
    named = ("offer_id", "provider", "cloud_id", "data_center", "country", "region", "usd_gb_hr")
    return Placement(
        volume=volume.name,
        replica=replica,
        action="create",
        **{name: offer[name] for name in named},
        disk_sizes_gb=disk_sizes_gb(provision_gb, disks, offer["min_gb"], offer["step_gb"]),
        provision_gb=provision_gb,
        usd_hr=usd_hr(provision_gb, offer["usd_gb_hr"]),
        owner=volume.owner,
        tags=dict(volume.tags),
    )
