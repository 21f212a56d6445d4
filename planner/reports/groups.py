"""Groups: the lines of a report by volume, owner, tag, provider, site and region.

Each way of grouping takes every line once, so each table adds up to the same total.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.reports.periods import HOURS_PER_DAY, Month, Rate, amounts
from planner.schema import EXACT, TEXT, WHOLE, Column
from planner.units import HOURS_PER_MONTH, plain, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from planner.reports.lines import GpuLine, Line


GROUPS = (
    Column("by", TEXT, "volume, owner, tag:NAME, provider, site or region"),
    Column("value", TEXT, "null: nobody's, of no volume, without the tag, or unknown"),
    Column("disks", WHOLE, "how many"),
    Column("unpriced", WHOLE, "how many of them have no price, and are not in the amounts"),
    Column("size_gb", WHOLE, "their sizes together"),
    Column("now_usd_hr", EXACT, "of those that are there, exact Decimal; null: nobody looked"),
    Column("usd_hr", EXACT, "with those to be bought, exact Decimal"),
    Column("usd_day", EXACT, "the same in 24 hours"),
    Column("usd_month", EXACT, "the same in 730 hours"),
    Column("usd_calendar_month", EXACT, "the same in the calendar month of the report"),
    Column("gpu_usd_month", EXACT, "GPUs of workloads there, in a month; null: not by place"),
)
"""Columns of the groups, the dearest of each kind first."""

WAYS = ("volume", "owner", "provider", "site", "region")
_PLACES = ("provider", "site", "region")
TAG = "tag:"


@dataclass(frozen=True)
class Group:
    """Lines that have one value in common."""

    by: str
    value: str | None
    rate: Rate
    now: Rate | None
    gpu_usd_month: Decimal | None

    def row(self, month: Month) -> dict[str, Any]:
        """Return it as a row of ``GROUPS``."""
        return {
            "by": self.by,
            "value": self.value,
            "disks": self.rate.disks,
            "unpriced": self.rate.unpriced,
            "size_gb": self.rate.size_gb,
            "now_usd_hr": None if self.now is None else self.now.usd_hr,
            "usd_hr": self.rate.usd_hr,
            "usd_day": self.rate.per(HOURS_PER_DAY),
            "usd_month": self.rate.per(HOURS_PER_MONTH),
            "usd_calendar_month": self.rate.per(month.hours),
            "gpu_usd_month": self.gpu_usd_month,
        }

    def to_document(self, month: Month) -> dict[str, Any]:
        """Return it as JSON values."""
        gpus = self.gpu_usd_month
        return {
            "value": self.value,
            **self.rate.to_document(month),
            "now": None if self.now is None else amounts(self.now.usd_hr, month),
            "gpu_usd_month": None if gpus is None else plain(gpus),
        }


def ways(lines: Sequence[Line]) -> tuple[str, ...]:
    """Return how lines can be grouped: the usual ways, and one for each tag."""
    tags = sorted({name for line in lines for name in line.tags})
    return (*WAYS[:2], *(f"{TAG}{name}" for name in tags), *WAYS[2:])


def groups(
    lines: Sequence[Line], gpus: Sequence[GpuLine], by: str, *, knows_now: bool
) -> tuple[Group, ...]:
    """Return lines grouped one way, the dearest group first; GPUs are at places only.

    Parameters
    ----------
    by : str
        One of `ways`.
    knows_now : bool
        Whether anybody looked at what is there.
    """
    several = len({line.project for line in lines if line.volume is not None}) > 1
    key = _key(by, several=several)
    members: dict[str | None, list[Line]] = {}
    for line in lines:
        members.setdefault(key(line), []).append(line)
    rented: dict[str | None, list[Decimal]] = {}
    if by in _PLACES:
        for gpu in gpus:
            rented.setdefault(getattr(gpu, by), []).append(gpu.usd_month)
    found = [
        Group(
            by,
            value,
            Rate.of(members.get(value, [])),
            Rate.of(one for one in members.get(value, []) if one.is_live) if knows_now else None,
            total(rented.get(value, [])) if by in _PLACES else None,
        )
        for value in dict.fromkeys([*members, *rented])
    ]
    return tuple(
        sorted(found, key=lambda one: (-one.rate.usd_hr, one.value is None, one.value or ""))
    )


def _key(by: str, *, several: bool) -> Callable[[Line], str | None]:
    if by.startswith(TAG):
        name = by.removeprefix(TAG)
        return lambda line: line.tags.get(name)
    if by == "volume" and several:
        return lambda line: None if line.volume is None else f"{line.project}/{line.volume}"
    return lambda line: getattr(line, by)
