"""Sections: what people read of a report, as tables of exact cells."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.plans.growth import planned_section
from planner.present.table import BLANK, Cell, Section, TableColumn, counted, reading, split
from planner.reports.aggregates import AS_IT_IS, AS_IT_IS_NOTE, TAG, CostGroup
from planner.reports.holdings import GONE
from planner.reports.lines import ACCRUED, HOURS_PER_DAY, RunRate, summed
from planner.units import HOURS_PER_MONTH, difference, money, percent_of, plain, total, usd_month

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.reports.aggregates import Aggregates
    from planner.reports.budgets import Budget
    from planner.reports.holdings import Lasting
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


def sections(report: Aggregates, most: int | None) -> Iterator[Section]:
    """Yield every section that a report has something for, in the order people read.

    Parameters
    ----------
    most : int | None
        Rows that a table shows before it sums the rest in one; None shows all.
    """
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


def _group_sections(report: Aggregates, by: str, most: int | None) -> Iterator[Section]:
    found = report.groups(by)
    # An account alone has no owners: one row would say so.
    is_empty = by in {"volume", "owner"} and [one.value for one in found] == [None]
    if found and not is_empty:
        is_budgeted = by == "owner" and any(one.limit.owner for one in report.budgets)
        yield _owners(report, found) if is_budgeted else _groups(report, found, by, most)


def _row(report: Aggregates, line: Line) -> dict[str, Any]:
    """Return the cells of a disk."""
    status = "" if line.status in {None, "ACTIVE"} else f", {line.status}"
    standing: str = line.standing
    if standing == "other":
        standing = "live" if line.project else "unmanaged"
    shown = {"disk": report.title_of(line), "standing": standing + status}
    return {**line.row(), **shown, "usd_month": line.usd_month}


def _sums(lines: Sequence[Line], name: str) -> dict[str, Any]:
    """Return the cells of what disks come to, each as far as it is known of any."""
    sums = {each: summed(lines, each) for each in (*ACCRUED, "billed_usd")}
    known = {each: usd for each, usd in sums.items() if usd is not None}
    return {"disk": name, **RunRate.of(lines).row(), "idle_usd": summed(lines, "idle_usd"), **known}


def _changes(report: Aggregates, most: int | None) -> Section:
    """Return what the plan adds and replaces, else what came and went since the month began."""
    added, gone = report.changed
    signed = [("+", line) for line in added] + [("-", line) for line in gone]
    signed.sort(key=lambda one: -(one[1].usd_hr or Decimal(0)))

    def change(sign: str, line: Line) -> Decimal | None:
        usd = line.usd_month
        return usd if usd is None or sign == "+" else difference(Decimal(0), usd)

    def row(sign: str, line: Line) -> dict[str, Any]:
        shown = {"disk": report.title_of(line), "change_usd_month": change(sign, line)}
        return {**line.row(), "change": sign, **shown}

    top, rest = split(signed, None if most is None else min(most, _MOST_CHANGES))
    known = (change(*one) for one in rest)
    more = {
        "disk": f"{len(rest)} more",
        "change_usd_month": total(usd for usd in known if usd is not None),
    }
    columns = (
        TableColumn("change", "±", "action"),
        _DISK,
        TableColumn("change_usd_month", "$/month", "difference", "no price"),
        TableColumn("owner", "owner"),
        _WHERE,
        TableColumn("created_at", "created", "date"),
    )
    is_planned = bool(report.projects)
    plans = "plan changes" if len(report.projects) == 1 else "plans change"
    notes = ("a superseded disk (-) is billed until it is retired",) if is_planned and gone else ()
    since = f"What changed since {report.month.start:%Y-%m-%d}"
    return Section.of(
        "changes",
        f"What the {plans}" if is_planned else since,
        columns,
        (row(*one) for one in top),
        more if rest else None,
        notes=notes,
        expendable=("created_at", "site"),
    )


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

    def row(name: str, rate: RunRate, owner: str | None, lines: int) -> dict[str, Any]:
        limits = [one for one in report.budgets if one.limit.owner == owner]
        used = _covering(limits, lines)
        limit = total(one.limit.usd_month for one in used) if used else None
        spent = total(one.projected_usd_month for one in used)
        states = [one.state(report.warn_above) for one in used]
        state = max(states, key=_WORSE.index, default="")
        return {
            "owner": name,
            "limit_usd_month": Cell(None, "of a part") if limits and not used else limit,
            "percent": None if limit is None else percent_of(spent, limit),
            "state": Cell(state, _STATES.get(state, state)),
            **rate.row(),
        }

    return Section.of(
        "by-owner",
        "By owner",
        columns,
        (row(_value(one), one.rate, one.value or "", len(one.lines)) for one in found),
        footer=row("total", report.after, None, len(report.lines)),
        expendable=("usd_calendar_month", "size_gb", "disks"),
    )


def _totals(report: Aggregates) -> Section:
    def row(name: str, rate: RunRate | None) -> dict[str, Any]:
        cells = {} if rate is None else rate.row()
        unpriced = cells.get("unpriced")
        return {"name": f"{name}, {unpriced} unpriced" if unpriced else name, **cells}

    rows = [row("disks", report.after)]
    if report.now is not None and not report.projects:
        rows = [row("now", report.now)]
    elif report.now is not None:
        rows = [row("now", report.now), row("to be bought", report.new), row("after", report.after)]
    if report.gpus:
        rates = report.rates()
        monthly = {"usd_calendar_month": report.gpu_usd_month}
        for name, rate in (("GPUs", rates["gpus"]), ("together", rates["together"])):
            cells = {**monthly, "name": name, "disks": BLANK, "size_gb": BLANK, **(rate or {})}
            rows.append({**cells, "usd_day": usd_month(cells["usd_hr"], HOURS_PER_DAY)})
    name = report.month.name
    columns = (
        TableColumn("name", "what"),
        *(_MONTH, _HOUR),
        TableColumn("usd_day", "$/day", "usd"),
        TableColumn("usd_calendar_month", f"$/{name}", "usd"),
        *(_DISKS, _SIZE),
    )
    unpriced = report.after.unpriced
    notes = (
        f"a month has {HOURS_PER_MONTH} hours; {name} counts each disk's hours in it",
        *([f"disks without a price: {unpriced}; no amount includes them"] if unpriced else ()),
    )
    expendable = ("usd_day", "size_gb")
    return Section.of("totals", "What it costs", columns, rows, notes=notes, expendable=expendable)


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
        row = one.row(report.warn_above)
        unpriced = f", {row['unpriced']} unpriced" if row["unpriced"] else ""
        state = Cell(row["state"], _STATES.get(row["state"], row["state"]) + unpriced)
        rows.append({**row, "budget": one.title, "state": state})
    return Section.of(
        "budgets",
        "Budgets, USD a month",
        columns,
        rows,
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
        cost = money(outside.usd_month)
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


def _wallets(report: Aggregates) -> Iterator[Section]:
    if report.wallets:
        yield _wallet(report)
    if any(wallet.billed for wallet in report.wallets):
        yield _billed(report)


def _wallet(report: Aggregates) -> Section:
    """Return how long each wallet lasts: now, with the plan, and with its GPUs."""
    asked = {
        "now": "days now",
        **({"after": "with the plan"} if report.projects else {}),
        **({"with_gpus": "with GPUs"} if report.gpus else {}),
    }
    rows = []
    for one in report.lasting:
        known = one.balance_usd is not None
        days = {f"{name}_days": _days(getattr(one, name), knows_balance=known) for name in asked}
        rows.append({**vars(one), **days, "empty_at": one.after.empty_at})
    columns = (
        TableColumn("account", "account", null="a file"),
        TableColumn("balance_usd", "balance $", "usd", "unknown"),
        *(TableColumn(f"{name}_days", heading, "days") for name, heading in asked.items()),
        TableColumn("empty_at", "empty on", "date"),
    )
    title = "How long the wallet lasts"
    return Section.of("wallet", title, columns, rows, expendable=("empty_at",))


def _days(lasts: Lasting | None, *, knows_balance: bool) -> Any:  # noqa: ANN401 -- a cell
    if not knows_balance:
        return Cell(None, "unknown")
    if lasts is None:
        return None
    if lasts.days is None:
        return Cell(None, "unknown" if lasts.usd_hr or lasts.unpriced else "no end")
    return (
        Cell(lasts.days, f"at most {reading(lasts.days, 'days').text}")
        if lasts.unpriced
        else lasts.days
    )


def _billed(report: Aggregates) -> Section:
    """Return estimated and billed cost side by side, for what planner can estimate: disks."""
    rows, notes = [], []
    for wallet in report.wallets:
        live = [line for line in report.lines if line.is_live and line.account == wallet.account]
        for one in wallet.billed:
            estimate, apart = None, None
            if one.kind == "disks":
                estimate, apart, left_out = _estimated(live)
                notes += [_LEFT_OUT.format(left_out)] if left_out else []
            rows.append((one.kind, one.rows, estimate, one.usd, apart))
            if one.unreadable:
                notes.append(f"{one.kind}: {one.unreadable} rows have no amount in USD")
            if one.kind == GONE:
                notes.append(f"{GONE}: their cost is known from their billing rows only")
        if wallet.unread_bills != 0:
            many = "more" if wallet.unread_bills is None else f"{wallet.unread_bills:,} more"
            notes.append(f"there may be {many} billing rows, which were not read")
    columns = (
        TableColumn("kind", "what"),
        TableColumn("rows", "rows", "count"),
        TableColumn("accrued_usd", "estimated $", "usd"),
        TableColumn("billed_usd", "billed $", "usd"),
        TableColumn("more_usd", "billed more $", "usd"),
    )
    once = tuple(dict.fromkeys(notes))
    return Section("billed", "Estimated and billed cost", columns, tuple(rows), notes=once)


_LEFT_OUT = "the estimate and the difference leave out disks without either amount: {}"


def _estimated(live: Sequence[Line]) -> tuple[Decimal, Decimal, int]:
    """Return what disks accrued, what was billed for them more, and how many lack either."""
    amounts = [(line.accrued_usd, line.billed_usd) for line in live]
    both = [(one, usd) for one, usd in amounts if one is not None and usd is not None]
    estimate, billed = total(one for one, _ in both), total(usd for _, usd in both)
    return estimate, difference(billed, estimate), len(live) - len(both)


def _idle(report: Aggregates, idle: Sequence[Line], most: int | None) -> Section:
    shown, rest = _by_cost(idle, most)
    rate = RunRate.of(idle)
    columns = (
        *(_DISK, replace(_MONTH, null="no price"), _SIZE),
        TableColumn("unattached_since", "since", "date", "unknown"),
        TableColumn("idle_usd", "$ since", "usd", "unknown"),
        *(_ID, _WHERE),
    )
    return Section.of(
        "idle",
        "Idle disks (unattached, still billed)",
        columns,
        (_row(report, one) for one in shown),
        _sums(rest, f"{RunRate.of(rest).disks:,} more") if rest else None,
        _sums(idle, "total"),
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


def _accrued(report: Aggregates, live: Sequence[Line], most: int | None) -> Section:
    shown, rest = _by_cost(live, most)
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
    return Section.of(
        "accrued",
        "Since each disk was created",
        columns,
        (_row(report, one) for one in shown),
        _sums(rest, f"{len(rest):,} more") if rest else None,
        _sums(live, "total"),
        notes=(f"creation date unknown: {undated}; no sum includes them",) if undated else (),
        expendable=("disk_id", "status", "month_so_far_usd", "created_at"),
    )


def _comparisons(report: Aggregates) -> Section:
    several = len(report.projects) > 1
    rows = []
    for one in report.comparisons:
        name = one.name + (f", {one.place}" if one.place else "")
        name = f"{one.project}: {name}" if several else name
        rows.append({**vars(one), "name": name, "saves_usd_month": one.saves_usd_month})
    columns = (
        TableColumn("name", "instead"),
        _MONTH,
        TableColumn("plan_usd_month", "this plan", "usd_month"),
        TableColumn("saves_usd_month", "it saves", "usd_month"),
        TableColumn("why_not", "not possible because"),
    )
    title, notes = "Compared with simpler plans", tuple(_as_it_is(report))
    expendable = ("plan_usd_month",)
    return Section.of("comparisons", title, columns, rows, notes=notes, expendable=expendable)


def _as_it_is(report: Aggregates) -> Iterator[str]:
    if report.planned_months:
        yield "of volumes that grow, the first month is compared"
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

    def row(name: str, group: CostGroup) -> dict[str, Any]:
        unpriced = group.rate.unpriced
        return {
            **group.row(),
            "value": f"{name} ({unpriced} unpriced)" if unpriced else name,
            "now_usd_month": None if group.now is None else group.now.usd_month,
            "gpu_usd_month": group.gpu_usd_month or Decimal(0),
        }

    name = by.removeprefix(TAG)
    now = (TableColumn("now_usd_month", "now $/month", "usd_month"),) if has_now else ()
    gpus = (TableColumn("gpu_usd_month", "GPU $/month", "usd_month"),) if with_gpus else ()
    columns = (
        TableColumn("value", f"tag {name}" if by.startswith(TAG) else name),
        *(_MONTH, *now, *gpus, _HOUR),
        TableColumn("usd_calendar_month", f"$/{report.month.name}", "usd"),
        *(_DISKS, _SIZE),
    )
    return Section.of(
        f"by-{by}",
        f"By {'tag ' if by.startswith(TAG) else ''}{name}",
        columns,
        (row(_value(one), one) for one in shown),
        row(f"{len(rest)} more", CostGroup.sum(rest)) if rest else None,
        row("total", CostGroup.sum(found)),
        notes=() if by in {"provider", "site", "region"} else _shared(report.lines),
        expendable=("usd_calendar_month", "disks", "size_gb", "now_usd_month", "usd_hr"),
    )


def _value(group: CostGroup) -> str:
    if group.value is None:
        return _EMPTY.get(group.by, "(without)")
    return group.value


def _shared(lines: Sequence[Line]) -> tuple[str, ...]:
    """Return how disks that volumes share are counted, where there are any."""
    if all(line.disk_group is None for line in lines):
        return ()
    return (
        "Volumes on a shared disk pay for it by GB; it is counted once, with the first of them.",
    )


def _gpus(report: Aggregates) -> Section:
    columns = (
        TableColumn("workload", "workload"),
        TableColumn("title", "GPUs"),
        _WHERE,
        TableColumn("usd_hr_on", "$/hour on", "usd_hr"),
        TableColumn("hours_per_month", "hours", "count"),
        _MONTH,
    )
    total_row = {"workload": "total", "usd_month": report.gpu_usd_month}
    title, expendable = "GPUs of the workloads", ("usd_hr_on",)
    return Section.of("gpus", title, columns, report.gpus, footer=total_row, expendable=expendable)


def _disks(report: Aggregates, most: int | None) -> Section:
    top, rest = _by_cost(report.lines, most)
    kept = {id(one) for one in top}
    columns = (
        *(_DISK, _MONTH, replace(_HOUR, null="no price"), _SIZE, _WHERE),
        TableColumn("standing", "status", "status"),
    )
    return Section.of(
        "disks",
        "Disks",
        columns,
        (_row(report, one) for one in report.lines if id(one) in kept),
        _sums(rest, f"{len(rest):,} more") if rest else None,
        _sums(report.lines, "total"),
        notes=_shared(report.lines),
        expendable=("usd_hr",),
    )
