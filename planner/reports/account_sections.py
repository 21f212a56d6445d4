"""Sections of what the account has: what it accrued, what idles, how long the wallet lasts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.reports.cells import cut, gb, usd, usd_month_of
from planner.reports.periods import Accrual, Rate
from planner.reports.section import Section
from planner.reports.wallets import GONE
from planner.text import visible
from planner.units import HOURS_PER_MONTH, difference, money, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from planner.reports.lines import Line
    from planner.reports.report import Report


_HOURS_A_DAY = Decimal(24)


def account_sections(report: Report, most: int | None) -> Iterator[Section]:
    """Yield what is to be said of the accounts that were read: wallets, bills, idle disks, age."""
    if report.wallets:
        yield _wallets(report)
    if any(wallet.billed for wallet in report.wallets):
        yield _billed(report)
    if idle := [line for line in report.lines if line.is_idle]:
        yield _idle(report, idle, most)
    if live := [line for line in report.lines if line.is_live]:
        yield _accrued(report, live, most)


def _wallets(report: Report) -> Section:
    rows = []
    for one in report.runways():
        balance = one["balance_usd"]
        rows.append(
            (
                visible(one["account"] or "a file"),
                "unknown" if balance is None else money(Decimal(balance)),
                *_lasting(one, with_plans=bool(report.projects), with_gpus=bool(report.gpus)),
                (one["after"]["empty_at"] or "")[:10],
            )
        )
    gpus = ("with GPUs",) if report.gpus else ()
    plans = ("with the plan",) if report.projects else ()
    headings = ("account", "balance $", "days now", *plans, *gpus, "empty on")
    return Section(
        "wallet",
        "How long the wallet lasts",
        headings,
        tuple(rows),
        frozenset(headings[1:]),
        expendable=("empty on",),
    )


def _lasting(one: dict[str, Any], *, with_plans: bool, with_gpus: bool) -> Iterator[str]:
    """Yield the days of a wallet now, with the plans, and with their GPUs."""
    asked = {"now": True, "after": with_plans, "with_gpus": with_gpus}
    for name in (name for name, is_asked in asked.items() if is_asked):
        yield "unknown" if one["balance_usd"] is None else _days(one[name])


def _days(lasts: dict[str, Any] | None) -> str:
    if lasts is None:
        return ""
    if lasts["hours_left"] is None:
        costs = Decimal(lasts["usd_hr"]) or lasts["unpriced"]
        return "unknown" if costs else "for ever"
    days = money(Decimal(lasts["hours_left"]) / _HOURS_A_DAY, 1)
    return f"at most {days}" if lasts["unpriced"] else days


def _billed(report: Report) -> Section:
    """Return list cost and what was billed side by side, for what planner can estimate: disks."""
    rows, notes = [], []
    for wallet in report.wallets:
        mine = [line for line in report.lines if line.is_live and line.account == wallet.account]
        for one in wallet.billed:
            told, apart = ("", "")
            if one.kind == "disks":
                told, apart, left_out = _apart(mine)
                notes += [_LEFT_OUT.format(left_out)] if left_out else []
            rows.append((visible(one.kind), f"{one.rows:,}", told, money(one.usd), apart))
            if one.unreadable:
                notes.append(f"{visible(one.kind)}: {one.unreadable} rows have no amount in USD")
            if one.kind == GONE:
                notes.append(f"{GONE}: what they cost is known from their billing rows only")
        if wallet.unread_bills != 0:
            many = "more" if wallet.unread_bills is None else f"{wallet.unread_bills:,} more"
            notes.append(f"there may be {many} billing rows, which were not read")
    headings = ("what", "rows", "accrued at list $", "billed $", "billed more $")
    return Section(
        "billed",
        "List cost and what was billed",
        headings,
        tuple(rows),
        frozenset(headings[1:]),
        notes=tuple(dict.fromkeys(notes)),
    )


_LEFT_OUT = (
    "accrued, and what was billed more, leave out disks of which one of the two is not known: {}"
)


def _apart(live: Sequence[Line]) -> tuple[str, str, int]:
    """Return what disks accrued, what was billed for them more, and how many lack one of both."""
    both = [
        (accrued, line.billed_usd)
        for line in live
        if (accrued := Accrual.of(line).accrued_usd) is not None and line.billed_usd is not None
    ]
    estimate, billed = total(one for one, _ in both), total(one for _, one in both)
    return money(estimate), money(difference(billed, estimate)), len(live) - len(both)


def _idle(report: Report, idle: Sequence[Line], most: int | None) -> Section:
    dearest = sorted(idle, key=lambda one: -(one.usd_hr or Decimal(0)))
    shown, rest = cut(dearest, most)
    rows = [
        (
            report.title_of(line),
            usd_month_of(line.usd_hr) or "no price",
            "unknown" if line.size_gb is None else gb(line.size_gb),
            visible(line.disk_id or "no id"),
            line.site,
        )
        for line in shown
    ]
    if rest:
        rate = Rate.of(rest)
        month = money(rate.per(HOURS_PER_MONTH))
        rows.append((f"{rate.disks:,} more", month, gb(rate.size_gb), "", ""))
    rate = Rate.of(idle)
    headings = ("disk", "$/month", "GB", "id", "where")
    month = money(rate.per(HOURS_PER_MONTH))
    return Section(
        "idle",
        "Attached to nothing, and billed",
        headings,
        tuple(rows),
        frozenset(headings[1:3]),
        footer=("total", month, gb(rate.size_gb), "", ""),
        notes=(
            "a disk is billed until it is deleted; deleting it destroys its data",
            *((f"{rate.unpriced} of them have no price",) if rate.unpriced else ()),
        ),
        expendable=("where",),
    )


def _accrued(report: Report, live: Sequence[Line], most: int | None) -> Section:
    dearest = sorted(live, key=lambda one: -(one.usd_hr or Decimal(0)))
    shown, rest = cut(dearest, most)
    rows = []
    for line in shown:
        one = Accrual.of(line)
        rows.append(
            (
                report.title_of(line),
                *(usd(each, "unknown") for each in _amounts([one])),
                usd(line.billed_usd, "not read"),
                (line.created_at or "unknown")[:10],
                visible(line.status or ""),
                visible(line.disk_id or "no id"),
            )
        )
    if rest:
        sums = (usd(each) for each in _amounts([Accrual.of(line) for line in rest]))
        rows.append((f"{len(rest):,} more", *sums, usd(_billed_of(rest)), "", "", ""))
    sums = (usd(each) for each in _amounts([Accrual.of(line) for line in live]))
    headings = (
        *("disk", "accrued $", "month so far $", "rest of month $", "billed $"),
        *("created", "status", "id"),
    )
    undated = sum(line.created_at is None for line in live)
    return Section(
        "accrued",
        "Since each disk was created",
        headings,
        tuple(rows),
        frozenset(headings[1:6]),
        footer=("total", *sums, usd(_billed_of(live)), "", "", ""),
        notes=(f"created nobody says when: {undated}; they are in no sum",) if undated else (),
        expendable=("id", "status", "month so far $", "created"),
    )


def _amounts(accruals: Sequence[Accrual]) -> Iterator[Decimal | None]:
    """Yield what accruals come to, each amount where any of them is known."""
    for name in ("accrued_usd", "month_so_far_usd", "rest_of_month_usd"):
        known = [usd for one in accruals if (usd := getattr(one, name)) is not None]
        yield total(known) if known else None


def _billed_of(lines: Sequence[Line]) -> Decimal | None:
    known = [line.billed_usd for line in lines if line.billed_usd is not None]
    return total(known) if known else None
