"""The sentences of a report: its key figures first, its assumptions last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.present.table import counted, moment
from planner.reports.figures import figures
from planner.reports.holdings import FILE
from planner.reports.lines import RunRate
from planner.text import visible
from planner.units import HOURS_PER_MONTH, money

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.reports.aggregates import Aggregates


def summary(report: Aggregates) -> tuple[str, ...]:
    """Return the key figures in sentences."""
    return tuple(_summary(report))


def _summary(report: Aggregates) -> Iterator[str]:
    yield from (figure.sentence for figure in figures(report))
    yield from further(report)


def further(report: Aggregates) -> Iterator[str]:
    """Yield the figures that have no place of their own on the first screen, in sentences."""
    if report.gpus:
        yield f"GPUs of the workloads: ${money(report.gpu_usd_month)}/month"
    idle = report.idle
    if idle:
        rate = RunRate.of(idle)
        cost = money(rate.per(HOURS_PER_MONTH))
        more = f", and {rate.unpriced} without a price" if rate.unpriced else ""
        times = [one.idle_time for one in idle if one.idle_time is not None]
        days = max(times).days if times else 0
        oldest = f"; the oldest for {counted(days, 'day')}" if days else ""
        disks = counted(rate.disks, "disk")
        yield f"Idle (unattached, still billed): {disks}, ${cost}/month{more}{oldest}"


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
    yield from _of_the_plans(report)
    yield from _of_the_account(report)
    if report.gpus:
        yield (
            "GPUs cost the demand's hours at list price in every month. Pods that are running now "
            "are not counted."
        )


_NAMED = 3
"""Projects that are named where many have the same prices."""


def _of_the_plans(report: Aggregates) -> Iterator[str]:
    """Yield where prices of new disks come from, once for all plans that share them."""
    alike: dict[tuple[str, str], list[str]] = {}
    hours: dict[int, list[str]] = {}
    for source in report.sources:
        if source.kind != "plan":
            continue
        fetched = source.prices_at
        since = f"fetched {moment(fetched)}" if fetched else "fetch time unknown"
        prices = f"{visible(str(source.prices))}, {since}"
        alike.setdefault((prices, moment(source.as_of)), []).append(str(source.project))
        if source.hours_per_month not in {None, HOURS_PER_MONTH}:
            hours.setdefault(source.hours_per_month or 0, []).append(str(source.project))
    for (prices, planned), projects in alike.items():
        yield f"Prices of new disks of {_listed(projects)}: {prices}; planned {planned}."
    for number, projects in hours.items():
        yield (
            f"Budgets and comparisons of {_listed(projects)} use a month of {number} hours, from "
            "the policy."
        )


def _listed(projects: Sequence[str]) -> str:
    """Return projects by name, the first ones where they are many."""
    names = [*dict.fromkeys(map(visible, projects))]
    more = len(names) - _NAMED
    if more <= 1:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {more} more projects"


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
