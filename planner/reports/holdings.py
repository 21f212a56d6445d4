"""What the account holds: its disks, and its wallet where the key may read it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from planner.errors import InputError, MarketError
from planner.formats import JsonError, digest_of, parse, read_bytes
from planner.market.disks import disk_rows, disks_frame, read_disks
from planner.marketplace.fetch import find_credentials
from planner.marketplace.prime.account import Account
from planner.marketplace.prime.wire import read_wallet
from planner.project.listing import believed_listing
from planner.project.pace import Pace
from planner.reports.parts import FILE, account_name
from planner.shipped import resolve
from planner.text import visible

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    import pandas as pd

    from planner.marketplace.credentials import Credentials
    from planner.marketplace.prime.wire import Bill


_PAGE = 100
_MAX_PAGES = 50
"""Pages of billing rows that are read; what is beyond is counted, and said."""


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


def account_holdings(account: Account, pace: Pace) -> Holdings:
    """Return what an account holds: its disks read whole, and its wallet where the key may.

    Parameters
    ----------
    account, pace : Account, Pace
        Whose, and how long to wait between readings.

    Raises
    ------
    MarketError
        When the disks cannot be read whole; a wallet that cannot be read is said, and unknown.
    """
    listing = believed_listing(account, pace)
    who = account.credentials
    notes: tuple[str, ...] = ()
    balance: Decimal | None = None
    bills: tuple[Bill, ...] = ()
    unread: int | None = None
    try:
        balance, bills, unread = _wallet(account)
    except MarketError as error:
        notes = (f"the balance is unknown: {error}",)
    return Holdings(
        source=f"{who.base_url}/api/v1/disks/",
        base_url=who.base_url,
        team_id=who.team_id,
        read_at=(listing.date or pace.now()).astimezone(UTC),
        disks=disks_frame(listing.live),
        balance_usd=balance,
        bills=bills,
        unread_bills=unread,
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
    pace = Pace()
    with Account(credentials or find_credentials(), sleep=pace.pause) as account:
        return account_holdings(account, pace)


def _wallet(account: Account) -> tuple[Decimal, tuple[Bill, ...], int | None]:
    """Return balance, billing rows and how many were not read; a row is taken once."""
    seen: dict[str, Bill] = {}
    received, total = 0, None
    for _ in range(_MAX_PAGES):
        page = account.wallet(received, _PAGE).value
        received += len(page.bills)
        seen |= {bill.key: bill for bill in page.bills if bill.key not in seen}
        total = page.total_bills
        if not page.bills or (total is not None and received >= total):
            break
    unread = None if total is None else max(0, total - len(seen))
    return page.balance_usd, tuple(seen.values()), unread


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
    shown = visible(str(wallet))
    try:
        document = parse(read_bytes(resolve(str(wallet)), what="wallet"))
        found = read_wallet(document) if isinstance(document, dict) else None
    except JsonError as error:
        found, why = None, str(error)
    else:
        why = "not a JSON object"
    if found is None:
        hint = "a file of a wallet is what `GET /api/v1/billing/wallet` answers"
        raise InputError(f"{shown}: is no wallet: {why}", hint=hint)
    total = found.total_bills
    unread = None if total is None else max(0, total - len(found.bills))
    return Holdings(str(disks), None, None, read_at, frame, found.balance_usd, found.bills, unread)
