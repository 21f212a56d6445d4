"""Sections: what people read of a report, as tables of exact cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.plans.growth import planned_section
from planner.present.table import Cell, Section, TableColumn, counted, split
from planner.reports.aggregates import AS_IT_IS, AS_IT_IS_NOTE, TAG, CostGroup
from planner.reports.billing import billed_section, wallet_section
from planner.reports.lines import HOURS_PER_DAY, Accrual, RunRate
from planner.units import HOURS_PER_MONTH, difference, money, percent_of, plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.reports.aggregates import Aggregates
    from planner.reports.budgets import Budget
    from planner.reports.lines import Line

MOST = 40
"""Rows that a table shows before it sums the rest in one."""
_MOST_CHANGES = 12
_EMPTY = {
    "volume": "(of no volume)",
    "owner": "(no owner)",
    "provider": "(unknown)",
    "site": "(unknown)",
    "region": "(unknown)",
}
_MONTH = TableColumn("usd_month", "$/month", "usd_month")
_HOUR = TableColumn("usd_hr", "$/hour", "usd_hr")
_DISKS = TableColumn("disks", "disks", "count")
_SIZE = TableColumn("size_gb", "GB", "size_gb", "unknown")
_DISK = TableColumn("disk", "disk")
_ID = TableColumn("disk_id", "id", "id", "no id")
_WHERE = TableColumn("site", "where")
_BLANK: Any = Cell(None, "")
"""A cell of a total that adds nothing up."""


def sections(report: Aggregates, most: int | None) -> tuple[Section, ...]:
    """Return every section that a report has something for, in the order people read.

    Parameters
    ----------
    most : int | None
        Rows that a table shows before it sums the rest in one; None shows all.
    """
    return tuple(_sections(report, most))


def _sections(report: Aggregates, most: int | None) -> Iterator[Section]:
    ways = {by: _group_sections(report, by, most) for by in report.by}
    yield from ways.pop("owner")
    if any(report.changed):
        yield _changes(report, most)
    yield from ways.pop("site")
    yield _totals(report)
    if report.planned_months:
        yield planned_section(report.planned_months)
    if report.limits:
        yield _budgets(report)
    yield from _wallets(report)
    if idle := report.idle:
        yield _idle(report, idle, most)
    if report.comparisons:
        yield _comparisons(report)
    for sections_of in ways.values():
        yield from sections_of
    if report.gpus:
        yield _gpus(report)
    if live := [line for line in report.lines if line.is_live]:
        yield _accrued(report, live, most)
    yield _disks(report, most)


def _wallets(report: Aggregates) -> Iterator[Section]:
    if report.wallets:
        yield wallet_section(report)
    if any(wallet.billed for wallet in report.wallets):
        yield billed_section(report)


def _group_sections(report: Aggregates, by: str, most: int | None) -> Iterator[Section]:
    found = report.groups(by)
    # An account alone has no owners: one row would say so.
    is_empty = by in {"volume", "owner"} and [one.value for one in found] == [None]
    if found and not is_empty:
        is_budgeted = by == "owner" and any(one.limit.owner for one in report.budgets)
        yield _owners(report, found) if is_budgeted else _groups(report, found, by, most)


def _changes(report: Aggregates, most: int | None) -> Section:
    """Return what the plan adds and replaces, else what came and went since the month began."""
    added, gone = report.changed
    signed = [("+", line) for line in added] + [("-", line) for line in gone]
    signed.sort(key=lambda one: -(one[1].usd_hr or Decimal(0)))
    shown, rest = split(signed, None if most is None else min(most, _MOST_CHANGES))

    def month_of(sign: str, line: Line) -> Decimal | None:
        usd = _month_of(line)
        return usd if usd is None or sign == "+" else difference(Decimal(0), usd)

    rows = [
        (sign, line.title, month_of(sign, line), line.owner, line.site, line.created_at)
        for sign, line in shown
    ]
    known = [usd for one in rest if (usd := month_of(*one)) is not None]
    rows += [("", f"{len(rest)} more", total(known), "", "", None)] if rest else []
    columns = (
        TableColumn("change", "±", "action"),
        _DISK,
        TableColumn("change_usd_month", "$/month", "difference", "no price"),
        TableColumn("owner", "owner"),
        _WHERE,
        TableColumn("created_at", "created", "date"),
    )
    since = f"{report.month.start:%Y-%m-%d}"
    is_planned = bool(report.projects)
    notes = ("a superseded disk (-) is billed until it is retired",) if is_planned and gone else ()
    title = "What the plan changes" if is_planned else f"What changed since {since}"
    expendable = ("created_at", "site")
    return Section("changes", title, columns, tuple(rows), notes=notes, expendable=expendable)


def _owners(report: Aggregates, found: Sequence[CostGroup]) -> Section:
    """Return the owners, the dearest first, each with what is used of its budgets."""
    columns = (
        TableColumn("owner", "owner"),
        _MONTH,
        TableColumn("limit_usd_month", "budget", "usd", "none"),
        TableColumn("percent", "%", "percent"),
        TableColumn("state", "status", "status"),
        TableColumn("usd_calendar_month", f"$/{report.month.name}", "usd"),
        *(_DISKS, _SIZE),
    )

    def row(name: Any, rate: RunRate, owner: str | None, lines: int) -> tuple[Any, ...]:  # noqa: ANN401 -- a cell
        limits = [one for one in report.budgets if one.limit.owner == owner]
        used = _covering(limits, lines)
        limit = total(one.limit.usd_month for one in used) if used else None
        spent = total(one.projected_usd_month for one in used)
        states = [one.state(report.warn_above) for one in used]
        state = max(states, key=_WORSE.index, default="")
        return (
            *(name, rate.per(HOURS_PER_MONTH)),
            Cell(None, "of a part") if limits and not used else limit,
            None if limit is None else percent_of(spent, limit),
            Cell(state, _STATES.get(state, state)),
            *(rate.usd_calendar_month, rate.disks, rate.size_gb),
        )

    lines = Counter(line.owner for line in report.lines)
    rows = [row(_value(one), one.rate, one.value or "", lines[one.value]) for one in found]
    footer = row("total", report.after, None, len(report.lines))
    expendable = ("usd_calendar_month", "size_gb", "disks")
    return Section("by-owner", "By owner", columns, tuple(rows), footer, expendable=expendable)


def _totals(report: Aggregates) -> Section:
    month = report.month

    def row(name: str, rate: RunRate) -> tuple[Any, ...]:
        return (
            f"{name}, {rate.unpriced} unpriced" if rate.unpriced else name,
            rate.per(HOURS_PER_MONTH),
            rate.usd_hr,
            rate.per(HOURS_PER_DAY),
            rate.usd_calendar_month,
            rate.disks,
            rate.size_gb,
        )

    rows = [row("disks", report.after)]
    if report.now is not None and not report.projects:
        rows = [row("now", report.now)]
    elif report.now is not None:
        rows = [row("now", report.now), row("to be bought", report.new), row("after", report.after)]
    if report.gpus:
        hr, monthly = report.gpu_usd_hr, report.gpu_usd_month
        rows.append(("GPUs", monthly, hr, usd_month(hr, HOURS_PER_DAY), monthly, _BLANK, _BLANK))
        hr = total([report.after.usd_hr, hr])
        full = total([report.after.per(HOURS_PER_MONTH), monthly])
        rest = total([report.after.usd_calendar_month, monthly])
        rows.append(("together", full, hr, usd_month(hr, HOURS_PER_DAY), rest, _BLANK, _BLANK))
    columns = (
        TableColumn("name", "what"),
        *(_MONTH, _HOUR),
        TableColumn("usd_day", "$/day", "usd"),
        TableColumn("usd_calendar_month", f"$/{month.name}", "usd"),
        *(_DISKS, _SIZE),
    )
    return Section(
        "totals",
        "What it costs",
        columns,
        tuple(rows),
        notes=(
            f"a month has {HOURS_PER_MONTH} hours; {month.name}: the hours of each disk in it",
            *_unpriced(report.after),
        ),
        expendable=("usd_day", "size_gb"),
    )


def _unpriced(rate: RunRate) -> tuple[str, ...]:
    if not rate.unpriced:
        return ()
    return (f"disks without a price: {rate.unpriced}; no amount includes them",)


def _budgets(report: Aggregates) -> Section:
    now = (TableColumn("now_usd_month", "now", "usd"),) if report.knows_now else ()
    columns = (
        TableColumn("budget", "budget"),
        TableColumn("limit_usd_month", "limit", "usd"),
        *now,
        TableColumn("projected_usd_month", "projected", "usd"),
        TableColumn("left_usd_month", "left", "usd"),
        TableColumn("percent", "%", "percent"),
        TableColumn("state", "status", "status"),
    )
    rows = []
    for one in report.budgets:
        row: dict[str, Any] = {**one.row(report.warn_above), "budget": one.title}
        state = _STATES.get(row["state"], row["state"])
        unpriced = f", {row['unpriced']} unpriced" if row["unpriced"] else ""
        row["state"] = Cell(row["state"], state + unpriced)
        rows.append(tuple(row[column.name] for column in columns))
    return Section(
        "budgets",
        "Budgets, USD a month",
        columns,
        tuple(rows),
        notes=(*_months(report), *_outside_budgets(report)),
        expendable=("left_usd_month", "now_usd_month"),
    )


_STATES = {"warn": "at risk"}
_WORSE = ["within", "unknown", "warn", "over"]
"""States of budgets, the worse the later."""


def _months(report: Aggregates) -> Iterator[str]:
    """Yield how many hours the month of the budgets has, and of which, where they differ."""
    hours: dict[int, list[str]] = {}
    for one in report.budgets:
        hours.setdefault(one.limit.hours_per_month, []).append(one.title)
    for each, titles in sorted(hours.items()):
        if len(hours) == 1:
            yield f"a budget's month has {each} hours"
        else:
            yield f"the month of {', '.join(titles)} has {each} hours"


def _outside_budgets(report: Aggregates) -> Iterator[str]:
    """Yield what is billed and counts against no budget that one might think it does."""
    outside = RunRate.of(one for one in report.lines if not one.is_planned)
    if outside.disks and any(one.project is not None for one in report.limits):
        cost = money(outside.per(HOURS_PER_MONTH))
        more = f" and {outside.unpriced} without a price" if outside.unpriced else ""
        yield (
            f"disks outside the plans: {outside.disks}, ${cost}/month{more}; a plan's budgets do "
            "not count them, --budget does"
        )
    unowned = [one for one in report.lines if one.is_live and one.owner is None]
    if unowned and any(one.owner is not None for one in report.limits):
        yield f"disks without an owner: {len(unowned)}; no owner's budget counts them"


def _by_cost(lines: Sequence[Line], most: int | None) -> tuple[Sequence[Line], Sequence[Line]]:
    return split(sorted(lines, key=lambda one: -(one.usd_hr or Decimal(0))), most)


def _idle(report: Aggregates, idle: Sequence[Line], most: int | None) -> Section:
    shown, rest = _by_cost(idle, most)
    rows = [
        (
            report.title_of(one),
            _month_of(one),
            one.size_gb,
            one.unattached_since,
            one.idle_usd,
            one.disk_id,
            one.site,
        )
        for one in shown
    ]
    if rest:
        rate = RunRate.of(rest)
        month = rate.per(HOURS_PER_MONTH)
        rows.append(
            (f"{rate.disks:,} more", month, rate.size_gb, _BLANK, _idle_usd(rest), _BLANK, "")
        )
    rate = RunRate.of(idle)
    return Section(
        "idle",
        "Idle disks (unattached, still billed)",
        (
            *(_DISK, replace(_MONTH, null="no price"), _SIZE),
            TableColumn("unattached_since", "since", "date", "unknown"),
            TableColumn("idle_usd", "$ since", "usd", "unknown"),
            *(_ID, _WHERE),
        ),
        tuple(rows),
        ("total", rate.per(HOURS_PER_MONTH), rate.size_gb, _BLANK, _idle_usd(idle), _BLANK, ""),
        notes=(
            "a disk is billed until it is deleted; deleting it destroys its data",
            "since: as far as planner has seen it; it may be longer",
            *((f"{rate.unpriced} of them have no price",) if rate.unpriced else ()),
            *_recent(report, rate.disks),
        ),
        expendable=("site", "size_gb"),
    )


def _recent(report: Aggregates, idle: int) -> Iterator[str]:
    """Yield how many unattached disks are left out for they are so for a short or unknown time."""
    recent = sum(line.is_idle for line in report.lines) - idle
    if recent and report.idle_after_hr is not None:
        hours = plain(report.idle_after_hr)
        more = counted(recent, "more disk")
        yield f"{more} unattached for less than {hours} hours, or for an unknown time"


def _idle_usd(idle: Sequence[Line]) -> Decimal | None:
    """Return what unattached disks cost since they are; None where it is unknown of all."""
    known = [line.idle_usd for line in idle if line.idle_usd is not None]
    return total(known) if known else None


def _month_of(line: Line) -> Decimal | None:
    return None if line.usd_hr is None else usd_month(line.usd_hr)


def _accrued(report: Aggregates, live: Sequence[Line], most: int | None) -> Section:
    shown, rest = _by_cost(live, most)
    rows = [
        (
            report.title_of(line),
            *_amounts([Accrual.of(line)]),
            line.billed_usd,
            line.created_at,
            line.status,
            line.disk_id,
        )
        for line in shown
    ]
    ends = (_BLANK, _BLANK, _BLANK)
    if rest:
        rows.append((f"{len(rest):,} more", *_sums(rest), *ends))
    undated = sum(line.leads and line.created_at is None for line in live)
    columns = (
        _DISK,
        TableColumn("accrued_usd", "accrued $", "usd", "unknown"),
        TableColumn("month_so_far_usd", "month so far $", "usd", "unknown"),
        TableColumn("rest_of_month_usd", "rest of month $", "usd", "unknown"),
        TableColumn("billed_usd", "billed $", "usd", "not read"),
        TableColumn("created_at", "created", "date", "unknown"),
        TableColumn("status", "status"),
        _ID,
    )
    return Section(
        "accrued",
        "Since each disk was created",
        columns,
        tuple(rows),
        ("total", *_sums(live), *ends),
        notes=(f"creation date unknown: {undated}; no sum includes them",) if undated else (),
        expendable=("disk_id", "status", "month_so_far_usd", "created_at"),
    )


def _amounts(accruals: Sequence[Accrual]) -> Iterator[Decimal | None]:
    """Yield what accruals come to, each amount where any of them is known."""
    for name in ("accrued_usd", "month_so_far_usd", "rest_of_month_usd"):
        known = [usd for one in accruals if (usd := getattr(one, name)) is not None]
        yield total(known) if known else None


def _sums(lines: Sequence[Line]) -> Iterator[Any]:
    billed = [line.billed_usd for line in lines if line.billed_usd is not None]
    sums = (*_amounts([Accrual.of(line) for line in lines]), total(billed) if billed else None)
    return (_BLANK if one is None else one for one in sums)


def _comparisons(report: Aggregates) -> Section:
    several = len(report.projects) > 1
    rows = []
    for one in report.comparisons:
        name = one.name + (f", {one.place}" if one.place else "")
        name = f"{one.project}: {name}" if several else name
        rows.append((name, one.usd_month, one.plan_usd_month, one.saves_usd_month, one.why_not))
    columns = (
        TableColumn("name", "instead"),
        _MONTH,
        TableColumn("plan_usd_month", "this plan", "usd_month"),
        TableColumn("saves_usd_month", "it saves", "usd_month"),
        TableColumn("why_not", "not possible because"),
    )
    return Section(
        "comparisons",
        "Compared with simpler plans",
        columns,
        tuple(rows),
        notes=tuple(_as_it_is(report)),
        expendable=("plan_usd_month",),
    )


def _as_it_is(report: Aggregates) -> Iterator[str]:
    for one in report.comparisons:
        if one.name == AS_IT_IS:
            yield AS_IT_IS_NOTE
            if one.unpriced:
                yield f"{one.unpriced} of its disks have no price, and are not in its amount"
            return


def _covering(limits: Sequence[Budget], lines: int) -> Sequence[Budget]:
    """Return the budgets that a sum of so many lines is spent from: the tightest, or one a project.

    None of budgets that count only some of the lines, or some of them twice.
    """
    whole = [one for one in limits if len(one.lines) == lines]
    if whole:
        return [max(whole, key=lambda one: one.percent or Decimal("Infinity"))]
    return limits if sum(len(one.lines) for one in limits) == lines else ()


def _groups(report: Aggregates, found: Sequence[CostGroup], by: str, most: int | None) -> Section:
    shown, rest = split(found, most)
    with_gpus = bool(report.gpus) and found[0].gpu_usd_month is not None
    has_now = report.knows_now and report.new.disks > 0  # else both columns are the same
    month = report.month

    def row(name: str, group: CostGroup) -> tuple[Any, ...]:
        rate, now = group.rate, group.now
        return (
            f"{name} ({rate.unpriced} unpriced)" if rate.unpriced else name,
            rate.per(HOURS_PER_MONTH),
            *((now.per(HOURS_PER_MONTH),) if has_now and now is not None else ()),
            *((group.gpu_usd_month or Decimal(0),) if with_gpus else ()),
            rate.usd_hr,
            rate.usd_calendar_month,
            rate.disks,
            rate.size_gb,
        )

    rows = [row(_value(one), one) for one in shown]
    rows += [row(f"{len(rest)} more", _sum(rest))] if rest else []
    name = by.removeprefix(TAG)
    now = (TableColumn("now_usd_month", "now $/month", "usd_month"),) if has_now else ()
    gpus = (TableColumn("gpu_usd_month", "GPU $/month", "usd_month"),) if with_gpus else ()
    columns = (
        TableColumn("value", f"tag {name}" if by.startswith(TAG) else name),
        *(_MONTH, *now, *gpus, _HOUR),
        TableColumn("usd_calendar_month", f"$/{month.name}", "usd"),
        *(_DISKS, _SIZE),
    )
    return Section(
        f"by-{by}",
        f"By {'tag ' if by.startswith(TAG) else ''}{name}",
        columns,
        tuple(rows),
        row("total", _sum(found)),
        notes=() if by in {"provider", "site", "region"} else _shared(report.lines),
        expendable=("usd_calendar_month", "disks", "size_gb", "now_usd_month", "usd_hr"),
    )


def _value(group: CostGroup) -> str:
    if group.value is None:
        return _EMPTY.get(group.by, "(without)")
    return group.value


def _sum(found: Sequence[CostGroup]) -> CostGroup:
    gpus = [one.gpu_usd_month for one in found if one.gpu_usd_month is not None]
    nows = [one.now for one in found if one.now is not None]
    return CostGroup(
        found[0].by,
        None,
        RunRate.sum(one.rate for one in found),
        RunRate.sum(nows) if len(nows) == len(found) else None,
        total(gpus) if gpus else None,
    )


def _shared(lines: Sequence[Line]) -> tuple[str, ...]:
    """Return how disks that volumes share are counted, where there are any."""
    if all(line.disk_group is None for line in lines):
        return ()
    return (
        "Volumes on a shared disk pay for it by GB; it is counted once, with the first of them.",
    )


def _gpus(report: Aggregates) -> Section:
    rows = [
        (
            one.workload,
            (f"{one.nodes} x " if one.nodes > 1 else "")
            + f"{one.gpus} {one.gpu_type}"
            + (f" {one.socket}" if one.socket else "")
            + (", spot" if one.spot else ""),
            one.site,
            one.usd_hr_on,
            one.hours_per_month,
            one.usd_month,
        )
        for one in report.gpus
    ]
    columns = (
        TableColumn("workload", "workload"),
        TableColumn("gpus", "GPUs"),
        _WHERE,
        TableColumn("usd_hr_on", "$/hour on", "usd_hr"),
        TableColumn("hours_per_month", "hours", "count"),
        _MONTH,
    )
    return Section(
        "gpus",
        "GPUs of the workloads",
        columns,
        tuple(rows),
        ("total", "", "", _BLANK, _BLANK, report.gpu_usd_month),
        expendable=("usd_hr_on",),
    )


def _disks(report: Aggregates, most: int | None) -> Section:
    top, _ = _by_cost(report.lines, most)
    kept = {id(one) for one in top}
    rows = [
        (
            report.title_of(one),
            _month_of(one),
            one.usd_hr,
            one.size_gb,
            one.site,
            one.standing + ("" if one.status in {None, "ACTIVE"} else f", {one.status}"),
        )
        for one in report.lines
        if id(one) in kept
    ]
    rest = [one for one in report.lines if id(one) not in kept]

    def sums(name: str, rate: RunRate) -> tuple[Any, ...]:
        return (name, rate.per(HOURS_PER_MONTH), rate.usd_hr, rate.size_gb, "", "")

    if rest:
        rows.append(sums(f"{len(rest):,} more", RunRate.of(rest)))
    columns = (
        *(_DISK, _MONTH, replace(_HOUR, null="no price"), _SIZE, _WHERE),
        TableColumn("standing", "status", "status"),
    )
    return Section(
        "disks",
        "Disks",
        columns,
        tuple(rows),
        sums("total", report.after),
        notes=_shared(report.lines),
        expendable=("usd_hr",),
    )
