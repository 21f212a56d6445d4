"""Sources: the plans and accounts of a report; an account's disks, wallet and bills."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from planner.errors import MarketError
from planner.formats import digest_of
from planner.market.disks import ACCOUNT_FACTS, disk_records, disks_frame, read_disks
from planner.marketplace.fetch import connect, read_wallet_file
from planner.marketplace.protocol import target_of
from planner.plans.file import Signed, Size, Utc
from planner.present.table import counted, moment
from planner.project.sightings import record_sightings
from planner.reports.lines import HOURS_PER_DAY, RunRate, in_hours
from planner.schema import handed_out, json_rows, records
from planner.text import some, visible
from planner.units import hours_left, lasting, money, total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from planner.marketplace.credentials import Credentials
    from planner.marketplace.protocol import Bill, Marketplace, WalletStatement
    from planner.project.sightings import Sighting
    from planner.reports.lines import GpuLine, Line


FILE = "file "
"""What the name of an account begins with that a file shows."""


def account_name(base_url: str, team_id: str | None) -> str:
    """Return what an account of a marketplace is called."""
    return base_url if team_id is None else f"{base_url} team {team_id}"


@dataclass(frozen=True)
class Source:
    """What a report was made from.

    Attributes
    ----------
    kind : str
        ``plan``, ``account``, or ``remembered``: the account as a plan was made with.
    as_of : str
        When it was so, UTC: when the plan was made, or the account read.
    account : str | None
        Base URL and team; None where unknown.
    prices, prices_at : str | None
        Where the offers of a plan came from, and when they were fetched; the latter is None for a
        file that does not say.
    hours_per_month : int | None
        Hours of the month in which a plan counts its budgets.
    """

    kind: Literal["plan", "account", "remembered"]
    name: str
    as_of: Utc
    account: str | None
    project: str | None = None
    plan_id: str | None = None
    digest: str | None = None
    prices: str | None = None
    prices_at: str | None = None
    hours_per_month: Size | None = None


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
    listed : DataFrame
        Columns ``LISTED``, amounts exact: what exists and is billed.
    balance_usd : Decimal | None
        What the wallet has; None where unknown.
    bills : tuple of Bill
        Billing rows that were read, the latest first.
    unread_bills : int | None
        Billing rows that were not read; None where the number is unknown.
    notes : tuple of str
        What could not be read, and why.
    seen : mapping
        Id → what planner saw of the disk until now, gone ones too.
    """

    source: str
    base_url: str | None
    team_id: str | None
    read_at: datetime
    listed: pd.DataFrame
    balance_usd: Decimal | None = None
    bills: tuple[Bill, ...] = ()
    unread_bills: int | None = None
    notes: tuple[str, ...] = ()
    seen: Mapping[str, Sighting] = field(default_factory=dict)

    @property
    def disks(self) -> pd.DataFrame:
        """Return what exists and is billed (columns ``LISTED`` and ``usd_month``), in floats."""
        return handed_out(self.listed, exact=False)

    @property
    def has_wallet(self) -> bool:
        """Return whether the wallet was read, or its reading was refused."""
        return self.base_url is not None or self.balance_usd is not None

    @cached_property
    def account(self) -> str:
        """Return whose it is: base URL and team, or the file and a digest of what it lists."""
        if self.base_url is None:
            listed = json_rows(disk_records(self.listed), ACCOUNT_FACTS)
            return f"{FILE}{self.source} ({digest_of(listed)[:8]})"
        return account_name(self.base_url, self.team_id)


def existing_then(holdings: Holdings) -> tuple[Holdings, tuple[str, ...]]:
    """Return an account without the disks that were created after its moment, and which they are.

    Only a file has such disks: it is read as of any time. A live account is what is there.
    """
    if holdings.base_url is not None or "created_at" not in holdings.listed:
        return holdings, ()
    created = [
        None if text is None else datetime.fromisoformat(text)
        for text in (row["created_at"] for row in records(holdings.listed))
    ]
    later = [at is not None and at > holdings.read_at for at in created]
    if not any(later):
        return holdings, ()
    named = [
        f"{visible(row['name'] or row['id'] or 'without name and id')} "
        f"(created {moment(row['created_at'])})"
        for row in records(holdings.listed[later])
    ]
    when = moment(holdings.read_at.isoformat())
    note = f"{counted(len(named), 'disk')} created after {when} left out: {some(named)}"
    kept = holdings.listed[[not one for one in later]].reset_index(drop=True)
    return replace(holdings, listed=kept), (note,)


def account_holdings(
    marketplace: Marketplace, now: datetime, folder: Path | None = None
) -> Holdings:
    """Return what an account holds: its disks, complete, and its wallet where the key may read it.

    Parameters
    ----------
    now : datetime
        When, where the server tells no time.
    folder : Path | None
        State directory, to write down which disks are unattached, see `sightings`.

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
    read_at = (listing.date or now).astimezone(UTC)
    seen: dict[str, Sighting] = {}
    if folder is not None:
        seen = record_sightings(folder, target_of(marketplace), listing.attachments, read_at)
    return Holdings(
        source=listing.source,
        base_url=marketplace.base_url,
        team_id=marketplace.team_id,
        read_at=read_at,
        seen=seen,
        listed=disks_frame(listing.live),
        notes=notes,
        **_known(wallet),
    )


def fetch_holdings(credentials: Credentials | None = None, folder: Path | None = None) -> Holdings:
    """Return what the live account holds.

    Parameters
    ----------
    credentials : Credentials | None
        None finds them as the vendor's client does.
    folder : Path | None
        State directory, to write down which disks are unattached; None writes nothing.

    Raises
    ------
    InputError
        When there is no usable key.
    MarketError
        When the account cannot be read whole.
    """
    with connect(credentials) as marketplace:
        return account_holdings(marketplace, datetime.now(UTC), folder)


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
    frame = read_disks(disks, exact=True)
    read_at = (now or datetime.now(UTC)).astimezone(UTC)
    known = _known(None if wallet is None else read_wallet_file(wallet))
    return Holdings(str(disks), None, None, read_at, frame, **known)


def _known(wallet: WalletStatement | None) -> dict[str, Any]:
    """Return what holdings have of a wallet."""
    names = ("balance_usd", "bills", "unread_bills")
    return {} if wallet is None else {name: getattr(wallet, name) for name in names}


GONE = "disks that are gone"
"""What billing rows are called whose disk the account no longer has."""


@dataclass(frozen=True)
class Billed:
    """Billing rows of one kind.

    Attributes
    ----------
    kind : str
        ``disks`` that are there, `GONE`, or what else the wallet paid for.
    unreadable : int
        How many of them have no amount in USD, and are not in the sum.
    usd : Decimal
        Their sum, exact: what was billed, not what the list price comes to.
    """

    kind: str
    rows: Size
    unreadable: Size
    usd: Signed


@dataclass(frozen=True)
class Wallet:
    """The wallet of one account.

    Attributes
    ----------
    account : str | None
        Base URL and team; None where a file does not say.
    as_of : str
        When it was read, UTC.
    balance_usd : Decimal | None
        What is left; None where unknown.
    billed : tuple of Billed
        By kind; empty where no rows were read.
    unread_bills : int | None
        Billing rows that were not read; None where the number is unknown.
    """

    account: str | None
    as_of: Utc
    balance_usd: Signed | None
    billed: tuple[Billed, ...]
    unread_bills: Size | None

    def runway(self, lines: Sequence[Line], gpus: Sequence[GpuLine]) -> Runway:
        """Return how long the balance lasts: now, after, and with the GPUs."""
        now, after = RunRate.of(one for one in lines if one.is_live), RunRate.of(lines)
        rented = total(gpu.usd_hr for gpu in gpus)
        with_gpus = replace(after, usd_hr=total([after.usd_hr, rented]))
        return Runway(
            account=self.account,
            as_of=self.as_of,
            balance_usd=self.balance_usd,
            now=self._lasts(now),
            after=self._lasts(after),
            with_gpus=self._lasts(with_gpus) if gpus else None,
        )

    def _lasts(self, rate: RunRate) -> Lasting:
        hours = None if self.balance_usd is None else hours_left(self.balance_usd, rate.usd_hr)
        empty = None if hours is None else in_hours(hours, datetime.fromisoformat(self.as_of))
        empty_at = None if empty is None else empty.isoformat(timespec="seconds")
        return Lasting(rate.usd_hr, rate.unpriced, hours, empty_at)


LOW_DAYS = 7
"""Days below which a wallet is the first line of every report."""


@dataclass(frozen=True)
class Lasting:
    """What is paid per hour and for how long: at most, where some has no price."""

    usd_hr: Decimal
    unpriced: int
    hours_left: Decimal | None
    empty_at: str | None

    @property
    def days(self) -> Decimal | None:
        """Return the days; None where they are unknown, or have no end."""
        return None if self.hours_left is None else self.hours_left / HOURS_PER_DAY

    @property
    def days_text(self) -> str:
        """Return days or hours as a person reads them."""
        return f"{'at most ' * bool(self.unpriced)}{lasting(self.hours_left or Decimal(0))}"


@dataclass(frozen=True)
class Runway:
    """How long a wallet lasts: with what there is, with the plans, and with their GPUs."""

    account: str | None
    as_of: str
    balance_usd: Decimal | None
    now: Lasting
    after: Lasting
    with_gpus: Lasting | None

    @property
    def held(self) -> str:
        """Return what is in the wallet, as a person reads it."""
        balance = self.balance_usd or Decimal(0)
        return f"{'-' * (balance < 0)}${money(abs(balance))}"

    @property
    def is_low(self) -> bool:
        """Return whether it lasts less than `LOW_DAYS`."""
        return self.after.days is not None and self.after.days < LOW_DAYS

    def is_lasting(self, hours: Decimal) -> bool:
        """Return whether it is known to last so many hours."""
        left = self.after.hours_left
        is_known = self.balance_usd is not None and not self.after.unpriced
        return is_known and (left is None or left >= hours)

    def __str__(self) -> str:
        if self.balance_usd is None:
            return "The balance of the wallet is unknown"
        if self.balance_usd <= 0:
            return f"The wallet is empty ({self.held})"
        after = self.after
        costs = f"{self.held} at ${money(after.usd_hr, 4)}/h"
        costs += f" and {counted(after.unpriced, 'disk')} without a price" * bool(after.unpriced)
        if after.days is None:
            return f"How long the wallet lasts is unknown: {costs}"
        empty = f", until {moment(after.empty_at)}" if after.empty_at else ""
        return f"The wallet lasts {after.days_text}{empty}: {costs}"


def wallet_of(holdings: Holdings, account: str | None) -> Wallet:
    """Return the wallet of what was read, its billing rows summed by kind, disks first."""
    live = set(holdings.listed["id"].dropna())
    kinds: dict[str, list[Decimal | None]] = {}
    for bill in holdings.bills:
        gone = bill.resource_type == "disks" and bill.resource_id not in live
        kinds.setdefault(GONE if gone else bill.resource_type, []).append(bill.amount_usd)
    billed = (
        Billed(
            kind=kind,
            rows=len(amounts),
            unreadable=amounts.count(None),
            usd=total(usd for usd in amounts if usd is not None),
        )
        for kind, amounts in sorted(kinds.items(), key=lambda one: (one[0] != "disks", one[0]))
    )
    return Wallet(
        account=account,
        as_of=holdings.read_at.isoformat(),
        balance_usd=holdings.balance_usd,
        billed=tuple(billed),
        unread_bills=holdings.unread_bills,
    )
