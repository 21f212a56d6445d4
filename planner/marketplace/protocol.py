"""What planner needs of a marketplace: one protocol, and the records that cross it.

A second marketplace is one package that satisfies `Marketplace`; nothing else has to know it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from planner.errors import MarketError
    from planner.market.disks import Disk
    from planner.market.snapshot import Snapshot


ListingName = Literal["disks", "gpus", "multi-node"]
GpuListing = Literal["gpus", "multi-node"]
Access = Literal["availability_read", "disks_read", "wallet_read"]
"""What a key may be allowed to read."""
LISTING_S = 40.0
"""Seconds for the listings of one command together."""


def utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class DiskRequest:
    """A disk to create: an offer's create key and a size; what is None is not sent."""

    name: str
    size_gb: int
    provider: str
    cloud_id: str | None
    data_center: str | None
    country: str | None


@dataclass(frozen=True)
class PodRequest:
    """A pod to create: one node of a job, with its disks; what is None is not sent.

    Attributes
    ----------
    max_usd_hr : Decimal
        The most that it may cost per hour.
    """

    name: str
    offer_id: str
    provider: str
    cloud_id: str | None
    gpu_type: str
    gpus: int
    socket: str | None
    data_center: str | None
    country: str | None
    security: str | None
    max_usd_hr: Decimal
    disk_ids: tuple[str, ...]


@dataclass(frozen=True)
class DiskListing:
    """All disks of the account.

    Attributes
    ----------
    date : datetime | None
        When the server began to answer, by its own clock.
    """

    disks: tuple[Disk, ...]
    date: datetime | None = None
    source: str = ""

    @property
    def live(self) -> tuple[Disk, ...]:
        """Return the disks that exist and are billed."""
        return tuple(disk for disk in self.disks if disk.is_live)

    @property
    def attachments(self) -> dict[str, tuple[str, ...] | None]:
        """Return what each live disk is attached to, by id."""
        return {disk.id: disk.attached for disk in self.live if disk.id is not None}

    def named(self, name: str) -> tuple[Disk, ...]:
        """Return the live disks of a name."""
        return tuple(disk for disk in self.live if disk.name == name)

    @cached_property
    def by_id(self) -> Mapping[str | None, Disk]:
        """Return the disks that have an id, by it."""
        return {disk.id: disk for disk in reversed(self.disks) if disk.id is not None}

    def find(self, disk_id: str) -> Disk | None:
        """Return the disk of an id."""
        return self.by_id.get(disk_id)


@dataclass(frozen=True)
class Bill:
    """One row of the wallet's billing: what something has cost so far.

    Attributes
    ----------
    key : str
        What tells rows apart: the id, or the whole row where it has no usable id.
    amount_usd : Decimal | None
        Negative for a credit; None where it is not plausible, or not in USD.
    resource_type : str
        Such as ``disks`` or ``compute``; ``unknown`` where it is missing.
    resource_id : str | None
        Which disk, pod or run; None where it is missing.
    created_at, billed_until : str | None
        When the row began, and until when it was billed, UTC; None where unknown.
    """

    key: str
    amount_usd: Decimal | None
    resource_type: str
    resource_id: str | None
    created_at: str | None = None
    billed_until: str | None = None


@dataclass(frozen=True)
class WalletStatement:
    """What is left to spend, and what was billed.

    Attributes
    ----------
    balance_usd : Decimal
        Negative where more was spent than paid in.
    bills : tuple of Bill
        The rows that were read, the latest first.
    total_bills : int | None
        How many rows there are; None where that is unknown.
    """

    balance_usd: Decimal
    bills: tuple[Bill, ...] = ()
    total_bills: int | None = None

    @property
    def unread_bills(self) -> int | None:
        """Return how many rows were not read, None where that is unknown."""
        return None if self.total_bills is None else max(0, self.total_bills - len(self.bills))


@dataclass(frozen=True)
class Probe:
    """The outcome of one GET.

    Attributes
    ----------
    status : int | None
        The HTTP status; None where there was no whole answer.
    sent_at, answered_at : datetime
        Before the request and after the answer, by our clock.
    failure : MarketError | None
        Why it failed; None where it did not.
    """

    status: int | None
    date: datetime | None
    sent_at: datetime
    answered_at: datetime
    failure: MarketError | None

    @property
    def skew_s(self) -> float | None:
        """Return how far our clock is ahead of the server's at least; None where unknown.

        The server counts whole seconds, and answered at some time between the two of ours.
        """
        if self.date is None:
            return None
        ahead = (self.sent_at - self.date).total_seconds() - 1
        behind = (self.answered_at - self.date).total_seconds()
        return ahead if ahead > 0 else min(0.0, behind)


class Marketplace(Protocol):
    """An account at a marketplace, to be used in a ``with`` statement; threads may share it.

    Every method raises `MarketError`. A listing is complete or an error: a part of one is never
    returned. A write is sent at most once, and raises `RequestNotSent` where nothing left this
    machine, `RequestRefused` where it was refused, `OutcomeUnknown` in every other case.
    """

    @property
    def base_url(self) -> str:
        """Where it is; with the team, what a plan is bound to."""

    @property
    def team_id(self) -> str | None:
        """The team that pays, None for the personal account."""

    @property
    def date(self) -> datetime | None:
        """The marketplace's time when it last answered; None where unknown."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def listing(self, name: ListingName, *, within_s: float = LISTING_S) -> Snapshot:
        """Return one listing of offers, complete.

        Its rows have the fields of a snapshot file, which are those of `planner.market.offers`
        and `planner.market.gpus`.

        Raises
        ------
        IncompleteListing
            When it could not be read whole within the seconds allowed.
        """

    def gpus_beside(
        self,
        disk_ids: Sequence[str],
        gpu_type: str,
        *,
        listing: GpuListing = "gpus",
        within_s: float = LISTING_S,
    ) -> Snapshot:
        """Return the GPU offers of a model where disks are, complete; there may be none.

        Parameters
        ----------
        disk_ids : sequence of str
            Existing disks; GPUs are listed that all of them can be attached to.

        Raises
        ------
        IncompleteListing
            When it could not be read whole within the seconds allowed.
        RequestRefused
            When the account has no such disk.
        """

    def disks(self, *, readings: int = 1, trust_empty: bool = True) -> DiskListing:
        """Return every disk of the account.

        Parameters
        ----------
        readings : {1, 2}
            How many complete readings in a row have to show the same disks: 2 where the answer
            decides whether a request is sent again.
        trust_empty : bool
            Otherwise a listing without disks is read again, once.

        Raises
        ------
        IncompleteListing
            When no reading was complete, or no two agreed.
        """

    def disk(self, disk_id: str) -> Disk:
        """Return one disk.

        Raises
        ------
        NotFound
            When the account has no such disk.
        """

    def create(self, request: DiskRequest) -> Disk:
        """Create a disk, and return it as the answer describes it."""

    def rename(self, disk_id: str, name: str) -> None:
        """Give a disk another name."""

    def delete(self, disk_id: str) -> None:
        """Delete a disk and all its data."""

    def wallet(self, *, bills: bool = False) -> WalletStatement:
        """Return the balance of the account or team, and what was billed where asked for."""

    def probe(self, access: Access) -> Probe:
        """Try once whether the key may read something; failures are returned, not raised."""


def target_of(marketplace: Marketplace) -> dict[str, str | None]:
    """Return marketplace and team, as a plan records them."""
    return {"base_url": marketplace.base_url, "team_id": marketplace.team_id}
