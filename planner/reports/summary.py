"""The sentences of a report: its key figures first, its assumptions last."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from planner.present.table import counted
from planner.reports.holdings import FILE
from planner.reports.lines import HOURS_PER_DAY, RunRate
from planner.text import visible
from planner.units import HOURS_PER_MONTH, money

if TYPE_CHECKING:
    from collections.abc import Iterator

    from planner.reports.aggregates import Aggregates


def summary(report: Aggregates) -> tuple[str, ...]:
    """Return the key figures in sentences."""
    return tuple(_summary(report))


def _summary(report: Aggregates) -> Iterator[str]:
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
        lost = RunRate.of(idle)
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


def assumptions(report: Aggregates) -> tuple[str, ...]:
    """Return every assumption that a figure of the report rests on."""
    return tuple(_assumptions(report))


def _assumptions(report: Aggregates) -> Iterator[str]:
    month = report.month
    yield (
        "amounts are list cost: size times price per GB and hour, billed or not; what was billed "
        "is called billed"
    )
    yield "amounts are exact, and rounded to the cent one by one, where they are shown"
    yield (
        f"a day is 24 hours, a month {HOURS_PER_MONTH}, and the calendar month {month.name} (UTC) "
        f"{month.hours}"
    )
    for source in report.sources:
        if source.kind != "plan":
            told = "are those of"
            if (source.account or "").startswith(FILE):
                told = "are taken to be, since a file does not say when it was read, those of"
            yield f"disks and prices of {visible(source.name)} {told} {source.as_of}"
            continue
        prices = visible(str(source.prices))
        since = source.prices_at or "a time that it does not say"
        yield (
            f"prices of what {visible(str(source.project))} is to buy are those of {prices}, "
            f"fetched at {since}; the plan was made at {source.as_of}"
        )
        if source.hours_per_month != HOURS_PER_MONTH:
            yield (
                f"budgets and comparisons of {visible(str(source.project))} count a month of "
                f"{source.hours_per_month} hours, as its policy says"
            )
    yield from _of_the_account(report)
    if report.gpus:
        yield (
            "GPUs cost the hours that the demand names, at list price, in any month; pods that "
            "are running now are not looked at"
        )


def _of_the_account(report: Aggregates) -> Iterator[str]:
    if not report.knows_now:
        yield "nobody looked at the account: what it has already is not counted"
        return
    yield "carrying out a plan deletes nothing: disks that it does not keep go on costing"
    yield (
        "accrued is today's list price since creation, since no earlier price is told; the rest "
        "of the month assumes that nothing is created or deleted before it ends"
    )
    unpriced = report.after.unpriced
    if unpriced:
        yield f"disks without a price ({unpriced}) are in no amount: every sum is the least"
    if report.wallets:
        yield "a wallet lasts as long as nothing else is paid from it, and nothing paid in"
