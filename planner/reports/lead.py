"""The lead of a report: its key figures in sentences."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from planner.present.table import counted
from planner.reports.periods import HOURS_PER_DAY, Rate
from planner.units import HOURS_PER_MONTH, money

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.reports.report import Report


def lead(report: Report) -> tuple[str, ...]:
    """Return the key figures in sentences."""
    return tuple(_lead(report))


def _lead(report: Report) -> Iterator[str]:
    rate, now = report.after, report.now
    unpriced = f", and {rate.unpriced} without a price" if rate.unpriced else ""
    month = money(rate.per(HOURS_PER_MONTH))
    what = "with everything bought, " if now is not None and report.new.disks else ""
    yield (
        f"{what}{counted(rate.disks, 'disk')} with {rate.size_gb:,} GB cost ${month} a month, "
        f"${money(rate.usd_hr, 4)} an hour{unpriced}"
    )
    if now is not None and report.new.disks:
        here, added = (money(one.per(HOURS_PER_MONTH)) for one in (now, report.new))
        yield f"now: ${here} a month for {counted(now.disks, 'disk')}; the plan adds ${added}"
    if report.gpus:
        yield f"GPUs of the workloads: ${money(report.gpu_usd_month)} a month"
    for one in report.budgets:
        percent = "" if one.percent is None else f" ({money(one.percent, 1)} %)"
        spent, limit = money(one.projected_usd_month), money(one.limit.usd_month)
        yield f"{one.title}: ${spent} of ${limit} a month{percent}"
    idle = [line for line in report.lines if line.is_idle]
    if idle:
        lost = Rate.of(idle)
        cost = money(lost.per(HOURS_PER_MONTH))
        more = f", and {lost.unpriced} without a price" if lost.unpriced else ""
        yield f"attached to nothing: {counted(len(idle), 'disk')}, ${cost} a month{more}"
    for wallet in report.runways():
        if wallet["balance_usd"] is not None and wallet["after"]["hours_left"] is not None:
            days = money(Decimal(wallet["after"]["hours_left"]) / HOURS_PER_DAY, 1)
            most = "at most " if wallet["after"]["unpriced"] else ""
            balance = Decimal(wallet["balance_usd"])
            held = f"{'-' if balance < 0 else ''}${money(abs(balance))}"
            yield f"the wallet has {held}: {most}{days} days"
