"""A second marketplace: in memory, with ids, statuses and errors of its own, and no HTTP.

It shares nothing with Prime Intellect's client but the protocol and its records.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from planner.errors import Invalid, NotFound, PaymentRequired
from planner.market.disks import Disk
from planner.market.snapshot import Snapshot
from planner.marketplace.protocol import (
    LISTING_S,
    Bill,
    DiskListing,
    Probe,
    WalletStatement,
)
from planner.units import usd_hr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.marketplace.protocol import Access, DiskRequest, GpuListing, ListingName


class Toy:
    """Sells everything in stock at once; a disk is ready when it is created."""

    base_url = "toy://warehouse"
    team_id = date = None

    def __init__(self, offers: list[dict[str, Any]], balance_usd: Decimal = Decimal(1000)) -> None:
        self.offers, self.balance_usd = offers, balance_usd
        self.stored: dict[str, Disk] = {}
        self.sent: list[str] = []
        self._ids = (f"toy-disk-{number:04}" for number in count(1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Keep everything: the account outlives a connection."""

    def listing(self, name: ListingName, *, within_s: float = LISTING_S) -> Snapshot:  # noqa: ARG002 -- instant
        """Return the offers; there are no GPUs."""
        return Snapshot(self.offers if name == "disks" else [], self.base_url, datetime.now(UTC))

    def gpus_beside(
        self,
        disk_ids: Sequence[str],
        gpu_type: str,  # noqa: ARG002 -- there are no GPUs
        *,
        listing: GpuListing = "gpus",  # noqa: ARG002 -- there are no GPUs
        within_s: float = LISTING_S,  # noqa: ARG002 -- instant
    ) -> Snapshot:
        """Return nothing: there are no GPUs; an unknown disk is refused."""
        for disk_id in disk_ids:
            self.disk(disk_id)
        return Snapshot([], self.base_url, datetime.now(UTC))

    def disks(self, *, readings: int = 1, trust_empty: bool = True) -> DiskListing:  # noqa: ARG002 -- always whole
        """Return every disk."""
        return DiskListing(tuple(self.stored.values()), datetime.now(UTC), self.base_url)

    def disk(self, disk_id: str) -> Disk:
        """Return one disk."""
        if disk_id not in self.stored:
            raise NotFound(f"no disk {disk_id}", status=404)
        return self.stored[disk_id]

    def create(self, request: DiskRequest) -> Disk:
        """Create a disk by the one offer with its create key."""
        self.sent.append(request.name)
        key = (request.provider, request.cloud_id, request.data_center, request.country)
        names = ("provider", "cloudId", "dataCenter", "country")
        sold = [row for row in self.offers if tuple(row.get(name) for name in names) == key]
        if not sold:
            raise Invalid("no such offer", status=422, method="POST")
        if self.balance_usd <= 0:
            raise PaymentRequired("the wallet is empty", status=402, method="POST")
        disk_id = next(self._ids)
        self.stored[disk_id] = Disk(
            key=disk_id,
            id=disk_id,
            status="ACTIVE",
            usd_hr=usd_hr(request.size_gb, Decimal(str(sold[0]["spec"]["pricePerUnit"]))),
            attached=(),
            created_at=datetime.now(UTC).isoformat(),
            **vars(request),
        )
        return self.stored[disk_id]

    def rename(self, disk_id: str, name: str) -> None:
        """Give a disk another name."""
        self.stored[disk_id] = replace(self.disk(disk_id), name=name)

    def delete(self, disk_id: str) -> None:
        """Forget a disk."""
        del self.stored[self.disk(disk_id).key]

    def wallet(self, *, bills: bool = False) -> WalletStatement:
        """Return the balance; nothing is billed before the month ends."""
        listed = [Bill(key, Decimal(0), "disks", key) for key in self.stored] if bills else []
        return WalletStatement(self.balance_usd, tuple(listed), len(self.stored))

    def probe(self, access: Access) -> Probe:  # noqa: ARG002 -- everything may be read
        """Answer."""
        now = datetime.now(UTC)
        return Probe(200, now, now, now, None)
