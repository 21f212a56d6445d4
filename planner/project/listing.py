"""The complete listing of the account's live disks, or an error.

All pages, a total that holds, no id twice, as many rows as the total. Where the answer decides
whether something is sent again, two such readings have to show the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.errors import IncompleteListing

if TYPE_CHECKING:
    from datetime import datetime

    from planner.market.disks import Disk
    from planner.marketplace.prime.account import Account
    from planner.project.pace import Pace


REREADS = 5
MAX_PAGES = 500
_PAUSE_S = 1.0


@dataclass(frozen=True)
class DiskListing:
    """All disks of the account.

    Attributes
    ----------
    disks : tuple of Disk
        Every row, whatever its status.
    date : datetime | None
        When the server began to answer, by its own clock.
    """

    disks: tuple[Disk, ...]
    date: datetime | None

    @property
    def live(self) -> tuple[Disk, ...]:
        """Return the disks that exist and are billed."""
        return tuple(disk for disk in self.disks if disk.is_live)

    def named(self, name: str) -> tuple[Disk, ...]:
        """Return the live disks of a name."""
        return tuple(disk for disk in self.live if disk.name == name)

    def find(self, disk_id: str) -> Disk | None:
        """Return the disk of an id."""
        return next((disk for disk in self.disks if disk.id == disk_id), None)


def complete_listing(account: Account, pace: Pace, *, scans: int = 1) -> DiskListing:
    """Return every disk of the account.

    Parameters
    ----------
    account : Account
        Whose.
    pace : Pace
        The pauses between readings.
    scans : {1, 2}
        How many readings in a row have to be whole and show the same ids.

    Raises
    ------
    IncompleteListing
        When no reading was whole, or no two agreed.
    MarketError
        When a page cannot be read.
    """
    agreed: list[DiskListing] = []
    flaw = ""
    for reading in range(REREADS + scans):
        if flaw:
            pace.pause(_PAUSE_S * pace.scale * (reading + 1) / 2)
        found = _scan(account)
        if isinstance(found, str):
            agreed, flaw = [], found
            continue
        if agreed and _ids(agreed[-1]) != _ids(found):
            agreed, flaw = [], "two readings showed different disks"
        agreed.append(found)
        if len(agreed) >= scans:
            return agreed[-1]
    url = f"{account.credentials.base_url}/api/v1/disks/"
    message = f"GET {url}: the account's disks could not be read whole: {flaw}"
    raise IncompleteListing(message, url=url, hint="run again; nothing is sent without it")


def believed_listing(account: Account, pace: Pace) -> DiskListing:
    """Return every disk of the account, an answer without any asked for again.

    An endpoint may answer with nothing and recover a moment later; for whoever plans or reports
    on what there is, one such answer would be an account without disks.

    Raises
    ------
    IncompleteListing, MarketError
        As `complete_listing`.
    """
    found = complete_listing(account, pace)
    if found.disks:
        return found
    pace.pause(_PAUSE_S * pace.scale)
    return complete_listing(account, pace)


def _ids(listing: DiskListing) -> frozenset[str]:
    return frozenset(disk.key for disk in listing.disks)


def _scan(account: Account) -> DiskListing | str:
    """Return one reading of all pages, or why it is not whole."""
    disks: list[Disk] = []
    seen: set[str] = set()
    total: int | None = None
    date = None
    for number in range(MAX_PAGES):
        reply = account.disks(len(disks))
        page = reply.value
        if number == 0:
            total, date = page.total, reply.date
        elif page.total != total:
            return "its total changed between pages"
        for disk in page.disks:
            if disk.key in seen:
                return "it shows a disk twice"
            seen.add(disk.key)
        disks += page.disks
        if not page.disks or len(disks) == total:
            break
    else:
        return f"there is no end to it after {MAX_PAGES} pages"
    if total is not None and len(disks) != total:
        return f"{len(disks)} disks where {total} are claimed"
    return DiskListing(tuple(disks), date)
