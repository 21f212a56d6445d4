"""Key figures: the cost, its change, budgets used, how long the wallet lasts, and what is saved.

Each is one number with what it is of, for the first screen of a page, and one sentence, for every
other format.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from planner.present.table import counted, moment
from planner.reports.holdings import FILE
from planner.reports.lines import RunRate
from planner.text import visible
from planner.units import HOURS_PER_MONTH, difference, money, percent_of, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.reports.aggregates import Aggregates, Comparison

SIMPLE = {
    "single provider": "one provider for everything",
    "single site": "one site for everything",
    "cheapest offer per volume": "the cheapest offer per volume",
}
"""Simpler plans that savings are measured against, the first that is possible; as a person says."""


@dataclass(frozen=True)
class Figure:
    """A number of the first screen.

    Attributes
    ----------
    is_alert : bool
        Whether a person should look at it.
    """

    value: str
    label: str
    sentence: str
    is_alert: bool = False


@dataclass(frozen=True)
class FirstScreen:
    """What a page shows first: numbers, then sentences."""

    figures: tuple[Figure, ...] = ()
    sentences: tuple[str, ...] = ()


def figures(report: Aggregates) -> Iterator[Figure]:
    """Yield the key figures of a report, those that it has."""
    yield _cost(report)
    yield from _change(report)
    yield from _budget(report)
    yield from _runway(report)
    yield from _savings(report)


def _cost(report: Aggregates) -> Figure:
    rate = report.after
    month, disks = money(rate.usd_month), counted(rate.disks, "disk")
    unpriced = f", and {rate.unpriced} without a price" if rate.unpriced else ""
    what = "With the plan: " if report.now is not None and report.new.disks else ""
    size = f"{disks}, {rate.size_gb:,} GB"
    sentence = f"{what}{size}: ${month}/month, ${money(rate.usd_hr, 4)}/h{unpriced}"
    with_plan = ", with the plan" if what else ""
    return Figure(f"${month}/month", f"{size}{with_plan}{unpriced}", sentence)


def _change(report: Aggregates) -> Iterator[Figure]:
    """Yield what the plan adds to the account, else what changed since the month began."""
    now = report.now
    if now is None:
        return
    if report.projects:
        if report.new.disks:
            here, more = (money(one.usd_month) for one in (now, report.new))
            disks = counted(now.disks, "disk")
            sentence = f"Now: {disks}, ${here}/month. The plan adds ${more}/month."
            yield Figure(f"+${more}/month", f"the plan adds; now ${here}/month", sentence)
        return
    came, went = report.changed
    added, gone = (RunRate.of(lines).usd_month for lines in (came, went))
    if not added and not gone:
        return
    change = difference(added, gone)
    share = percent_of(abs(change), difference(now.usd_month, change))
    sign = "-" if change < 0 else "+"
    percent = "" if share is None else f" ({sign}{money(share, 1)} %)"
    since = f"since {report.month.start:%Y-%m-%d}"
    value = f"{sign}${money(abs(change))}/month"
    yield Figure(value, f"{since}{percent}", f"{value}{percent} {since}.")


def _budget(report: Aggregates) -> Iterator[Figure]:
    """Yield what is used of the budgets of whole plans, or of everything."""
    whole = [one for one in report.budgets if one.limit.owner is None]
    chosen = [one for one in whole if one.limit.project is None][:1] or whole
    if not chosen:
        return
    spent = total(one.projected_usd_month for one in chosen)
    limit = total(one.limit.usd_month for one in chosen)
    share = percent_of(spent, limit)
    percent = "" if share is None else f" ({money(share, 1)} %)"
    name = chosen[0].title if len(chosen) == 1 else f"{len(chosen)} budgets"
    of_limit = f"${money(spent)} of ${money(limit)}/month"
    value = "over" if share is None else f"{money(share, 1)} %"
    is_alert = any(one.state(report.warn_above) in {"over", "warn"} for one in chosen)
    yield Figure(value, f"of the {name}: {of_limit}", f"{name}: {of_limit}{percent}", is_alert)


def _runway(report: Aggregates) -> Iterator[Figure]:
    """Yield how long each wallet lasts, the shortest first."""
    for one in sorted(report.lasting, key=lambda each: each.after.hours_left or 0):
        if one.after.hours_left is not None:
            days, label = one.after.days_text, f"until the wallet ({one.held}) is empty"
            yield Figure(days, label, f"Wallet: {one.held}, lasts {days}", one.is_low)


def _savings(report: Aggregates) -> Iterator[Figure]:
    """Yield how much cheaper the plans are than simpler ones, each than the simplest possible."""
    chosen: dict[str, Comparison] = {}
    for name in SIMPLE:
        for one in report.comparisons:
            if one.name == name and one.usd_month is not None:
                chosen.setdefault(one.project, one)
    saved = total(one.saves_usd_month or Decimal(0) for one in chosen.values())
    if money(saved) == "0.00" or saved < 0:
        return
    share = percent_of(saved, total(one.usd_month or Decimal(0) for one in chosen.values()))
    value, percent = f"${money(saved)}/month", f"{money(share or Decimal(0), 1)} %"
    names = {SIMPLE[one.name] for one in chosen.values()}
    label = f"cheaper than {names.pop() if len(names) == 1 else 'simpler plans'} ({percent})"
    yield Figure(value, label, f"{value} {label}")


def summary(report: Aggregates) -> Iterator[str]:
    """Yield the key figures in sentences."""
    yield from (figure.sentence for figure in figures(report))
    yield from further(report)


def further(report: Aggregates) -> Iterator[str]:
    """Yield the figures that have no place of their own on the first screen, in sentences."""
    if report.gpus:
        yield f"GPUs of the workloads: ${money(report.gpu_usd_month)}/month"
    idle = report.idle
    if idle:
        rate = RunRate.of(idle)
        cost = money(rate.usd_month)
        more = f", and {rate.unpriced} without a price" if rate.unpriced else ""
        times = [one.idle_time for one in idle if one.idle_time is not None]
        days = max(times).days if times else 0
        oldest = f"; the oldest for {counted(days, 'day')}" if days else ""
        disks = counted(rate.disks, "disk")
        yield f"Idle (unattached, still billed): {disks}, ${cost}/month{more}{oldest}"


def assumptions(report: Aggregates) -> Iterator[str]:
    """Yield every assumption that a figure of the report rests on."""
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
