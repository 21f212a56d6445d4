"""Wallets: what is left to spend, how long it lasts, and what was billed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from planner.plans.file import Signed, Size, Utc
from planner.reports.periods import Rate, in_hours
from planner.units import hours_left, plain, total

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from planner.reports.holdings import Holdings
    from planner.reports.lines import GpuLine, Line


GONE = "disks that are gone"
"""What billing rows are called whose disk the account no longer has."""


@dataclass(frozen=True)
class Billed:
    """Billing rows of one kind.

    Attributes
    ----------
    kind : str
        ``disks`` that are there, `GONE`, or what else the wallet paid for.
    rows : int
        How many.
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
        What is left; None where nobody may say.
    billed : tuple of Billed
        By kind; empty where no rows were read.
    unread_bills : int | None
        Billing rows that were not read; None where nobody says how many there are.
    """

    account: str | None
    as_of: Utc
    balance_usd: Signed | None
    billed: tuple[Billed, ...]
    unread_bills: Size | None

    def runway(self, lines: Sequence[Line], gpus: Sequence[GpuLine]) -> dict[str, Any]:
        """Return, as JSON values, how long the balance lasts: now, after, and with the GPUs.

        Parameters
        ----------
        lines, gpus : sequence
            What is paid from this wallet.
        """
        now, after = Rate.of(one for one in lines if one.is_live), Rate.of(lines)
        rented = total(gpu.usd_hr for gpu in gpus)
        with_gpus = replace(after, usd_hr=total([after.usd_hr, rented]))
        return {
            "account": self.account,
            "as_of": self.as_of,
            "balance_usd": None if self.balance_usd is None else plain(self.balance_usd),
            "now": self._lasts(now),
            "after": self._lasts(after),
            "with_gpus": self._lasts(with_gpus) if gpus else None,
        }

    def _lasts(self, rate: Rate) -> dict[str, Any]:
        """Return what is paid per hour and for how long: at most, where some has no price."""
        usd_hr = rate.usd_hr
        hours = None if self.balance_usd is None else hours_left(self.balance_usd, usd_hr)
        empty = None if hours is None else in_hours(hours, datetime.fromisoformat(self.as_of))
        return {
            "usd_hr": plain(usd_hr),
            "unpriced": rate.unpriced,
            "hours_left": None if hours is None else plain(hours),
            "empty_at": None if empty is None else empty.isoformat(timespec="seconds"),
        }


def wallet_of(holdings: Holdings, account: str | None) -> Wallet:
    """Return the wallet of what was read, its billing rows summed by kind, disks first."""
    live = set(holdings.disks["id"].dropna())
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
