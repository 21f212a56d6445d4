"""The sentences of a report: its key figures first, its assumptions last."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from planner.present.table import counted, moment
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
    what = "With the plan: " if now is not None and report.new.disks else ""
    yield (
        f"{what}{counted(rate.disks, 'disk')}, {rate.size_gb:,} GB: ${month}/month, "
        f"${money(rate.usd_hr, 4)}/h{unpriced}"
    )
    if now is not None and report.new.disks:
        here, added = (money(one.per(HOURS_PER_MONTH)) for one in (now, report.new))
        yield f"Now: {counted(now.disks, 'disk')}, ${here}/month. The plan adds ${added}/month."
    if report.gpus:
        yield f"GPUs of the workloads: ${money(report.gpu_usd_month)}/month"
    for one in report.budgets:
        percent = "" if one.percent is None else f" ({money(one.percent, 1)} %)"
        spent, limit = money(one.projected_usd_month), money(one.limit.usd_month)
        yield f"{one.title}: ${spent} of ${limit}/month{percent}"
    idle = report.idle
    if idle:
        rate = RunRate.of(idle)
        cost = money(rate.per(HOURS_PER_MONTH))
        more = f", and {rate.unpriced} without a price" if rate.unpriced else ""
        times = [one.idle_time for one in idle if one.idle_time is not None]
        oldest = f"; the oldest for {counted(max(times).days, 'day')}" if times else ""
        disks = counted(len(idle), "disk")
        yield f"Idle (unattached, still billed): {disks}, ${cost}/month{more}{oldest}"
    for wallet in report.runways():
        if wallet["balance_usd"] is not None and wallet["after"]["hours_left"] is not None:
            days = money(Decimal(wallet["after"]["hours_left"]) / HOURS_PER_DAY, 1)
            most = "at most " if wallet["after"]["unpriced"] else ""
            balance = Decimal(wallet["balance_usd"])
            held = f"{'-' if balance < 0 else ''}${money(abs(balance))}"
            yield f"Wallet: {held}, lasts {most}{days} days"


def assumptions(report: Aggregates) -> tuple[str, ...]:
    """Return every assumption that a figure of the report rests on."""
    return tuple(_assumptions(report))


def _assumptions(report: Aggregates) -> Iterator[str]:
    month = report.month
    yield (
        "Amounts are list cost: size times price per GB and hour. Amounts that were billed are "
        "marked as billed."
    )
    yield "Amounts are exact; each is rounded to the cent only where it is shown."
    yield (
        f"A day has 24 hours, a month {HOURS_PER_MONTH}, the calendar month {month.name} (UTC) "
        f"{month.hours}, of which a disk counts those from its creation on."
    )
    for source in report.sources:
        if source.kind != "plan":
            is_file = (source.account or "").startswith(FILE)
            assumed = " (assumed: the file has no time)" if is_file else ""
            as_of = f"{moment(source.as_of)}{assumed}"
            yield f"Disks and prices of {visible(source.name)}: as of {as_of}."
            continue
        prices = visible(str(source.prices))
        since = f"fetched {moment(source.prices_at)}" if source.prices_at else "fetch time unknown"
        yield (
            f"Prices of new disks of {visible(str(source.project))}: {prices}, {since}; planned "
            f"{moment(source.as_of)}."
        )
        if source.hours_per_month != HOURS_PER_MONTH:
            yield (
                f"Budgets and comparisons of {visible(str(source.project))} use a month of "
                f"{source.hours_per_month} hours, from its policy."
            )
    yield from _of_the_account(report)
    if report.gpus:
        yield (
            "GPUs cost the demand's hours at list price in every month. Pods that are running now "
            "are not counted."
        )


def _of_the_account(report: Aggregates) -> Iterator[str]:
    if not report.knows_now:
        yield "The account was not read: existing disks are not counted."
        return
    yield "Applying a plan deletes nothing: disks that it does not keep are still billed."
    yield (
        "Accrued cost uses today's list price since creation: earlier prices are unknown. The rest "
        "of the month assumes that no disk is created or deleted before it ends."
    )
    unpriced = report.after.unpriced
    if unpriced:
        yield f"{counted(unpriced, 'disk')} without a price: every sum is a lower bound."
    if report.wallets:
        yield "Wallet days assume no other charges and no deposits."
