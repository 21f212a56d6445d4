"""Time and money: what an hourly price comes to in an hour, a day, a month, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.units import HOURS_PER_MONTH, plain, total, usd_elapsed, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.reports.lines import Line


HOURS_PER_DAY = 24
_MICROSECOND = timedelta(microseconds=1)
_HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Month:
    """The calendar month, UTC, that a moment lies in; it ends where the next begins."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """Return the month of a moment."""
        start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return cls(start, (start + timedelta(days=32)).replace(day=1))

    @property
    def hours(self) -> int:
        """Return how many hours it has."""
        return (self.end - self.start).days * HOURS_PER_DAY

    @property
    def name(self) -> str:
        """Return its year and month, such as 2026-11."""
        return f"{self.start:%Y-%m}"


@dataclass(frozen=True)
class Rate:
    """What disks cost while they are there.

    Attributes
    ----------
    disks : int
        How many.
    unpriced : int
        How many of them have no price, and are not in the amount: it is the least, then.
    size_gb : int
        Their sizes together, as far as they are known.
    usd_hr : Decimal
        Exact list price per hour of those that have one.
    """

    disks: int
    unpriced: int
    size_gb: int
    usd_hr: Decimal

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Rate:
        """Return the rate of lines together."""
        taken = list(lines)
        return cls(
            disks=len(taken),
            unpriced=sum(line.usd_hr is None for line in taken),
            size_gb=sum(line.size_gb or 0 for line in taken),
            usd_hr=total(line.usd_hr for line in taken if line.usd_hr is not None),
        )

    @classmethod
    def sum(cls, rates: Iterable[Rate]) -> Rate:
        """Return several rates as one."""
        taken = list(rates)
        return cls(
            disks=sum(one.disks for one in taken),
            unpriced=sum(one.unpriced for one in taken),
            size_gb=sum(one.size_gb for one in taken),
            usd_hr=total(one.usd_hr for one in taken),
        )

    def per(self, hours: int) -> Decimal:
        """Return what it comes to in so many hours, exactly."""
        return usd_month(self.usd_hr, hours)

    def to_document(self, month: Month) -> dict[str, Any]:
        """Return it as JSON values: per hour, day, month of 730 h and calendar month."""
        return {
            "disks": self.disks,
            "unpriced": self.unpriced,
            "size_gb": self.size_gb,
            **amounts(self.usd_hr, month),
        }


def amounts(usd_hr: Decimal, month: Month) -> dict[str, str]:
    """Return an hourly amount per hour, day, month of 730 h and calendar month, as exact text."""
    return {
        "usd_hr": plain(usd_hr),
        "usd_day": plain(usd_month(usd_hr, HOURS_PER_DAY)),
        "usd_month": plain(usd_month(usd_hr, HOURS_PER_MONTH)),
        "usd_calendar_month": plain(usd_month(usd_hr, month.hours)),
    }


@dataclass(frozen=True)
class Accrual:
    """What one disk has come to at its present list price, and what the month will make of it.

    Amounts are rounded at 12 decimal places, for an hour has no end in decimals.

    Attributes
    ----------
    hours : Decimal | None
        Since it was created; None where nobody says when.
    accrued_usd : Decimal | None
        Since it was created.
    month_so_far_usd : Decimal | None
        Since the month began, or since it was created, where that was later.
    rest_of_month_usd : Decimal | None
        From the moment of the report, or the disk's creation where that is later, to the
        month's end.
    """

    hours: Decimal | None
    accrued_usd: Decimal | None
    month_so_far_usd: Decimal | None
    rest_of_month_usd: Decimal | None

    @classmethod
    def of(cls, line: Line) -> Accrual:
        """Return what a line has accrued; a new disk has nothing yet, one unpriced has no amounts.

        Source: disks are billed from creation until termination (the vendor's guide).
        """
        now = datetime.fromisoformat(line.as_of)
        month = Month.of(now)
        starts = now if line.created_at is None else datetime.fromisoformat(line.created_at)
        rest = _usd(line.usd_hr, min(max(now, starts), month.end), month.end)
        if not line.is_live or line.created_at is None:
            return cls(None, None, None, rest)
        created = min(starts, now)
        return cls(
            hours=usd_elapsed(Decimal(1), (now - created) // _MICROSECOND),
            accrued_usd=_usd(line.usd_hr, created, now),
            month_so_far_usd=_usd(line.usd_hr, max(created, month.start), now),
            rest_of_month_usd=rest,
        )


def _usd(usd_hr: Decimal | None, start: datetime, end: datetime) -> Decimal | None:
    return None if usd_hr is None else usd_elapsed(usd_hr, (end - start) // _MICROSECOND)


def in_hours(hours: Decimal, start: datetime) -> datetime | None:
    """Return the moment after so many hours; None where no calendar reaches."""
    try:
        return start + timedelta(microseconds=int(hours * _HOUR_US))
    except OverflowError:
        return None
