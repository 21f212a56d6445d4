"""Sections: a report as tables of texts. Amounts are rounded here, for reading."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from planner.reports.account_sections import account_sections
from planner.reports.cells import cut, gb, usd, usd_month_of
from planner.reports.groups import TAG, Group
from planner.reports.parts import AS_IT_IS, AS_IT_IS_NOTE
from planner.reports.periods import HOURS_PER_DAY, Rate
from planner.reports.section import Section
from planner.text import visible
from planner.units import HOURS_PER_MONTH, money, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.reports.lines import Line
    from planner.reports.report import Report


MOST = 40
"""Rows that a table shows before it sums the rest in one."""
_EMPTY = {
    "volume": "(of no volume)",
    "owner": "(nobody)",
    "provider": "(unknown)",
    "site": "(unknown)",
    "region": "(unknown)",
}


def sections(report: Report, most: int | None) -> tuple[Section, ...]:
    """Return every section that a report has something for, in the order people read.

    Parameters
    ----------
    report : Report
        What to show.
    most : int | None
        Rows that a table shows before it sums the rest in one; None shows all.
    """
    return tuple(_sections(report, most))


def _sections(report: Report, most: int | None) -> Iterator[Section]:
    yield _totals(report)
    if report.limits:
        yield _budgets(report)
    yield from account_sections(report, most)
    if report.comparisons:
        yield _comparisons(report)
    for by in report.by:
        found = report.groups(by)
        # An account alone belongs to nobody: one row would say so.
        is_nobody_s = by in {"volume", "owner"} and [one.value for one in found] == [None]
        if found and not is_nobody_s:
            yield _groups(report, found, by, most)
    if report.gpus:
        yield _gpus(report)
    yield _disks(report, most)


def _totals(report: Report) -> Section:
    month = report.month
    calendar = f"$/{month.name}"

    def row(name: str, rate: Rate) -> tuple[str, ...]:
        told = f"{name}, {rate.unpriced} unpriced" if rate.unpriced else name
        costs = (money(rate.per(each)) for each in (HOURS_PER_DAY, month.hours))
        size = (f"{rate.disks:,}", gb(rate.size_gb))
        return (told, money(rate.per(HOURS_PER_MONTH)), money(rate.usd_hr, 4), *costs, *size)

    rows = [row("disks", report.after)]
    if report.now is not None and not report.projects:
        rows = [row("now", report.now)]
    elif report.now is not None:
        rows = [row("now", report.now), row("to be bought", report.new), row("after", report.after)]
    if report.gpus:
        hr, monthly = report.gpu_usd_hr, report.gpu_usd_month
        day = money(usd_month(hr, HOURS_PER_DAY))
        rows.append(("GPUs", money(monthly), money(hr, 4), day, money(monthly), "", ""))
        hr = total([report.after.usd_hr, hr])
        hours = (HOURS_PER_MONTH, month.hours)
        full, rest = (money(total([report.after.per(each), monthly])) for each in hours)
        day = money(usd_month(hr, HOURS_PER_DAY))
        rows.append(("together", full, money(hr, 4), day, rest, "", ""))
    headings = ("what", "$/month", "$/hour", "$/day", calendar, "disks", "GB")
    return Section(
        "totals",
        "What it costs",
        headings,
        tuple(rows),
        frozenset(headings[1:]),
        notes=(f"a month has {HOURS_PER_MONTH} hours", *_unpriced(report.after)),
        expendable=("$/day", "GB"),
    )


def _unpriced(rate: Rate) -> tuple[str, ...]:
    if not rate.unpriced:
        return ()
    return (f"disks without a price: {rate.unpriced}; they are in no amount, so each is the least",)


def _budgets(report: Report) -> Section:
    rows = []
    for one in report.budgets:
        row = one.row(report.warn_above)
        percent = row["percent"]
        state = row["state"] + (f", {row['unpriced']} unpriced" if row["unpriced"] else "")
        rows.append(
            (
                one.title,
                money(row["limit_usd_month"]),
                *((usd(row["now_usd_month"]),) if report.knows_now else ()),
                money(row["projected_usd_month"]),
                money(row["left_usd_month"]),
                "" if percent is None else money(percent, 1),
                state,
            )
        )
    now = ("now",) if report.knows_now else ()
    headings = ("budget", "limit", *now, "projected", "left", "%", "is")
    return Section(
        "budgets",
        "Budgets, USD a month",
        headings,
        tuple(rows),
        frozenset(headings[1:-1]),
        notes=(*_months(report), *_in_no_budget(report)),
        expendable=("left", "now"),
    )


def _months(report: Report) -> Iterator[str]:
    """Yield how many hours the month of the budgets has, and of which, where they differ."""
    hours: dict[int, list[str]] = {}
    for one in report.budgets:
        hours.setdefault(one.limit.hours_per_month, []).append(one.title)
    for each, titles in sorted(hours.items()):
        if len(hours) == 1:
            yield f"a budget's month has {each} hours"
        else:
            yield f"the month of {', '.join(titles)} has {each} hours"


def _in_no_budget(report: Report) -> Iterator[str]:
    """Yield what is billed and counts against no budget that one might think it does."""
    outside = Rate.of(one for one in report.lines if not one.is_planned)
    if outside.disks and any(one.project is not None for one in report.limits):
        cost = money(outside.per(HOURS_PER_MONTH))
        more = f" and {outside.unpriced} without a price" if outside.unpriced else ""
        yield (
            f"disks of no plan: {outside.disks}, ${cost} a month{more}; a plan's budgets do not "
            "count them, --budget does"
        )
    unowned = [one for one in report.lines if one.is_live and one.owner is None]
    if unowned and any(one.owner is not None for one in report.limits):
        yield f"disks that belong to nobody: {len(unowned)}; no owner's budget counts them"


def _comparisons(report: Report) -> Section:
    several = len(report.projects) > 1
    rows = []
    for one in report.comparisons:
        name = one.name + (f", {visible(one.place)}" if one.place else "")
        name = f"{visible(one.project)}: {name}" if several else name
        costs = (usd(one.usd_month), money(one.plan_usd_month), usd(one.saves_usd_month))
        rows.append((name, *costs, visible(one.why_not)))
    headings = ("instead", "$/month", "the plan", "it saves", "impossible, since")
    return Section(
        "comparisons",
        "Compared with simpler plans",
        headings,
        tuple(rows),
        frozenset(headings[1:-1]),
        notes=tuple(_as_it_is(report)),
        expendable=("the plan",),
    )


def _as_it_is(report: Report) -> Iterator[str]:
    for one in report.comparisons:
        if one.name == AS_IT_IS:
            yield AS_IT_IS_NOTE
            if one.unpriced:
                yield f"{one.unpriced} of its disks have no price, and are not in its amount"
            return


def _groups(report: Report, found: Sequence[Group], by: str, most: int | None) -> Section:
    shown, rest = cut(found, most)
    with_gpus = bool(report.gpus) and found[0].gpu_usd_month is not None if found else False
    month = report.month

    def row(name: str, group: Group) -> tuple[str, ...]:
        rate, now = group.rate, group.now
        told = f"{name} ({rate.unpriced} unpriced)" if rate.unpriced else name
        return (
            told,
            money(rate.per(HOURS_PER_MONTH)),
            *(() if now is None else (money(now.per(HOURS_PER_MONTH)),)),
            *((money(group.gpu_usd_month or Decimal(0)),) if with_gpus else ()),
            money(rate.usd_hr, 4),
            money(rate.per(month.hours)),
            f"{rate.disks:,}",
            gb(rate.size_gb),
        )

    rows = [row(_value(one), one) for one in shown]
    rows += [row(f"{len(rest)} more", _sum(rest))] if rest else []
    name = by.removeprefix(TAG)
    now_heading = ("now $/month",) if report.knows_now else ()
    headings = (
        f"tag {visible(name)}" if by.startswith(TAG) else name,
        *("$/month", *now_heading, *(("GPU $/month",) if with_gpus else ())),
        *("$/hour", f"$/{month.name}", "disks", "GB"),
    )
    return Section(
        f"by-{visible(by)}",
        f"By {'tag ' if by.startswith(TAG) else ''}{visible(name)}",
        headings,
        tuple(rows),
        frozenset(headings[1:]),
        footer=row("total", _sum(found)) if found else None,
        expendable=(f"$/{month.name}", "disks", "GB", "now $/month", "$/hour"),
    )


def _value(group: Group) -> str:
    if group.value is None:
        return _EMPTY.get(group.by, "(without)")
    return visible(group.value)


def _sum(found: Sequence[Group]) -> Group:
    gpus = [one.gpu_usd_month for one in found if one.gpu_usd_month is not None]
    nows = [one.now for one in found if one.now is not None]
    return Group(
        found[0].by,
        None,
        Rate.sum(one.rate for one in found),
        Rate.sum(nows) if len(nows) == len(found) else None,
        total(gpus) if gpus else None,
    )


def _gpus(report: Report) -> Section:
    rows = [
        (
            visible(one.workload),
            (f"{one.nodes} x " if one.nodes > 1 else "")
            + f"{one.gpus} {visible(one.gpu_type)}"
            + (f" {visible(one.socket)}" if one.socket else "")
            + (", spot" if one.spot else ""),
            one.site,
            money(one.usd_hr_on, 4),
            str(one.hours_per_month),
            money(one.usd_month),
        )
        for one in report.gpus
    ]
    headings = ("workload", "GPUs", "where", "$/hour on", "hours", "$/month")
    return Section(
        "gpus",
        "GPUs of the workloads",
        headings,
        tuple(rows),
        frozenset(headings[3:]),
        footer=("total", "", "", "", "", money(report.gpu_usd_month)),
        expendable=("$/hour on",),
    )


def _disks(report: Report, most: int | None) -> Section:
    dearest = sorted(report.lines, key=lambda one: -(one.usd_hr or Decimal(0)))
    kept = {id(one) for one in dearest[: len(dearest) if most is None else most]}
    shown = [one for one in report.lines if id(one) in kept]
    rest = [one for one in report.lines if id(one) not in kept]
    rows = [_disk(one, report.title_of(one)) for one in shown]
    if rest:
        rate = Rate.of(rest)
        costs = (money(rate.per(HOURS_PER_MONTH)), money(rate.usd_hr, 4))
        rows.append((f"{rate.disks:,} more", *costs, gb(rate.size_gb), "", ""))
    rate = report.after
    costs = (money(rate.per(HOURS_PER_MONTH)), money(rate.usd_hr, 4))
    headings = ("disk", "$/month", "$/hour", "GB", "where", "is")
    return Section(
        "disks",
        "Disks",
        headings,
        tuple(rows),
        frozenset(headings[1:4]),
        footer=("total", *costs, gb(rate.size_gb), "", ""),
        expendable=("$/hour",),
    )


def _disk(line: Line, name: str) -> tuple[str, ...]:
    status = "" if line.status in {None, "ACTIVE"} else f", {visible(str(line.status))}"
    price = "no price" if line.usd_hr is None else money(line.usd_hr, 4)
    size = "unknown" if line.size_gb is None else gb(line.size_gb)
    month = usd_month_of(line.usd_hr)
    return (name, month, price, size, line.site, line.standing + status)
