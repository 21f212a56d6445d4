"""What the account holds: its disks, and its wallet where the key may read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from planner.errors import MarketError
from planner.formats import digest_of
from planner.market.disks import disk_rows, disks_frame, read_disks
from planner.marketplace.fetch import connect, read_wallet_file
from planner.reports.parts import FILE, account_name
from planner.schema import records
from planner.text import visible

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    import pandas as pd

    from planner.marketplace.credentials import Credentials
    from planner.marketplace.protocol import Bill, Marketplace, WalletStatement


_NAMED = 5
"""Disks that are named where some are left out."""


@dataclass(frozen=True)
class Holdings:
    """Disks and wallet of one account at one moment.

    Attributes
    ----------
    source : str
        The URL or the file that said so.
    base_url, team_id : str | None
        Whose; None where a file does not say.
    read_at : datetime
        When, UTC, by the server's clock where it tells the time.
    disks : DataFrame
        Columns ``LISTED``: what exists and is billed.
    balance_usd : Decimal | None
        What the wallet has; None where nobody may say.
    bills : tuple of Bill
        Billing rows that were read, the latest first.
    unread_bills : int | None
        Billing rows that were not read; None where nobody says how many there are.
    notes : tuple of str
        What could not be read, and why.
    """

    source: str
    base_url: str | None
    team_id: str | None
    read_at: datetime
    disks: pd.DataFrame
    balance_usd: Decimal | None = None
    bills: tuple[Bill, ...] = ()
    unread_bills: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_wallet(self) -> bool:
        """Return whether anybody asked for the wallet, also where it was not told."""
        return self.base_url is not None or self.balance_usd is not None

    @property
    def account(self) -> str:
        """Return whose it is: base URL and team, or the file and a digest of what it lists."""
        if self.base_url is None:
            return f"{FILE}{self.source} ({digest_of(disk_rows(self.disks))[:8]})"
        return account_name(self.base_url, self.team_id)


def existing_then(holdings: Holdings) -> tuple[Holdings, tuple[str, ...]]:
    """Return an account without the disks that were created after its moment, and which they are.

    Only a file has such disks: it is read as of any time. A live account is what is there.
    """
    if holdings.base_url is not None or "created_at" not in holdings.disks:
        return holdings, ()
    created = [
        None if text is None else datetime.fromisoformat(text)
        for text in (row["created_at"] for row in records(holdings.disks))
    ]
    later = [at is not None and at > holdings.read_at for at in created]
    if not any(later):
        return holdings, ()
    named = [
        f"{visible(row['name'] or row['id'] or 'without name and id')} "
        f"(created {row['created_at'][:16].replace('T', ' ')} UTC)"
        for row in records(holdings.disks[later])
    ]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    disks = f"{len(named)} disk{'s' * (len(named) > 1)}"
    note = (
        f"{disks} created after {holdings.read_at:%Y-%m-%d %H:%M} UTC left out: "
        f"{', '.join(named[:_NAMED])}{more}"
    )
    kept = holdings.disks[[not one for one in later]].reset_index(drop=True)
    return replace(holdings, disks=kept), (note,)


def account_holdings(marketplace: Marketplace, now: datetime) -> Holdings:
    """Return what an account holds: its disks, complete, and its wallet where the key may read it.

    Parameters
    ----------
    marketplace : Marketplace
        Whose.
    now : datetime
        When, where the server tells no time.

    Raises
    ------
    MarketError
        When the disks cannot be read whole; a wallet that cannot be read becomes a note.
    """
    listing = marketplace.disks(trust_empty=False)
    notes: tuple[str, ...] = ()
    wallet: WalletStatement | None = None
    try:
        wallet = marketplace.wallet(bills=True)
    except MarketError as error:
        notes = (f"the balance is unknown: {error}",)
    return Holdings(
        source=listing.source,
        base_url=marketplace.base_url,
        team_id=marketplace.team_id,
        read_at=(listing.date or now).astimezone(UTC),
        disks=disks_frame(listing.live),
        balance_usd=wallet.balance_usd if wallet else None,
        bills=wallet.bills if wallet else (),
        unread_bills=wallet.unread_bills if wallet else None,
        notes=notes,
    )


def fetch_holdings(credentials: Credentials | None = None) -> Holdings:
    """Return what the live account holds.

    Parameters
    ----------
    credentials : Credentials | None
        None finds them as the vendor's client does.

    Raises
    ------
    InputError
        When there is no usable key.
    MarketError
        When the account cannot be read whole.
    """
    with connect(credentials) as marketplace:
        return account_holdings(marketplace, datetime.now(UTC))


def read_holdings(
    disks: str | Path, wallet: str | Path | None = None, *, now: datetime | None = None
) -> Holdings:
    """Return what an account holds from files in the API's shape.

    Parameters
    ----------
    disks : str | Path
        See `read_disks`.
    wallet : str | Path | None
        What ``GET /billing/wallet`` answered.
    now : datetime | None
        When the files were read from the account, as far as is known; None takes this moment.

    Raises
    ------
    InputError
        When a file cannot be read, or is not of that shape.
    """
    frame = read_disks(disks)
    read_at = (now or datetime.now(UTC)).astimezone(UTC)
    if wallet is None:
        return Holdings(str(disks), None, None, read_at, frame)
    found = read_wallet_file(wallet)
    return Holdings(
        source=str(disks),
        base_url=None,
        team_id=None,
        read_at=read_at,
        disks=frame,
        balance_usd=found.balance_usd,
        bills=found.bills,
        unread_bills=found.unread_bills,
    )
