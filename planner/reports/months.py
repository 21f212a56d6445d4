"""Months: what a calendar month cost, of disks that are there and of disks that are gone.

A disk counts for the hours that it lived within the month. What billing rows of the month say is
billed; the rest is list price at the price that the disk had last; what neither knows is listed,
and is in no sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from planner.errors import InputError
from planner.formats import digest_of
from planner.present.charts.base import drawable
from planner.present.charts.months import PAST_MONTHS, past_chart
from planner.present.table import Cell, Section, TableColumn, counted, moment, split
from planner.present.writers import to_csv, to_html, to_markdown
from planner.reports.aggregates import group_keys, grouped
from planner.reports.focus import focus_rows
from planner.reports.lines import Month, ReplicaLabels, has_projects, usd_between
from planner.reports.page import page
from planner.reports.past import (
    MONTH_DISKS,
    Handovers,
    MonthLine,
    PastDisk,
    UnknownCost,
    month_costs,
    other_charges,
)
from planner.reports.shares import whole
from planner.schema import (
    AMOUNT,
    TEXT,
    WHOLE,
    Column,
    build,
    frame_section,
    handed_out,
    json_values,
)
from planner.text import visible
from planner.units import difference, money, percent_of, total

if TYPE_CHECKING:
    from planner.reports.holdings import Holdings
    from planner.reports.report import Report
    from planner.schema import Table

FORMAT = "planner.month/1"
MONTH_GROUPS = (
    Column("by", TEXT, "volume, owner, tag:NAME, provider, site or region"),
    Column("value", TEXT, "null: none, or unknown"),
    Column("disks", WHOLE, "how many"),
    Column("usd", AMOUNT, "billed_usd and unbilled_usd together"),
    Column("billed_usd", AMOUNT, "of billing rows that lie in the month"),
    Column("unbilled_usd", AMOUNT, "list price of the rest"),
    Column("before_usd", AMOUNT, "usd of the month that it is compared with; null: none is"),
    Column("change_usd", AMOUNT, "usd minus before_usd; null: it is compared with none"),
)
"""Columns of the groups of a month, the dearest of each kind first."""

_ASSUMPTIONS = (
    (
        "Times are UTC. A disk counts for the hours from its creation until it was deleted, as "
        "far as they lie within the month."
    ),
    (
        "Billed amounts are those of billing rows that began and ended within the month. Longer "
        "rows cannot be divided by month: those disks count at list price."
    ),
    "List price is the price that the disk had last; earlier prices are unknown.",
    "A disk that changed its owner counts for each owner by time, from the `apply` that did it.",
    "A disk that is gone and that planner did not delete ended when its billing did.",
    (
        "Disks that planner did not buy and that are gone are known from billing rows only, "
        "without owner and volume."
    ),
)
"""What the figures assume."""
_ORDER = {"owner": 0, "volume": 1, "site": 3, "provider": 4, "region": 5}
"""Ways of grouping in the order in which people read; tags stand between volume and site."""
MOST = 20
_MOST_DISKS = 40


@dataclass(frozen=True)
class MonthSums:
    """What disks cost together; see ``MONTH_GROUPS``."""

    lines: tuple[MonthLine, ...] = ()

    @property
    def disks(self) -> int:
        """Return how many they are."""
        return sum(one.leads for one in self.lines)

    @property
    def billed_usd(self) -> Decimal:
        """Return what is billed."""
        return total(one.billed_usd for one in self.lines if one.billed_usd is not None)

    @property
    def unbilled_usd(self) -> Decimal:
        """Return the list price of the rest."""
        return total(one.unbilled_usd for one in self.lines if one.unbilled_usd is not None)

    @property
    def usd(self) -> Decimal:
        """Return both together."""
        return total([self.billed_usd, self.unbilled_usd])

    def row(self) -> dict[str, Any]:
        """Return number and exact amounts."""
        names = ("disks", "usd", "billed_usd", "unbilled_usd")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, repr=False)
class MonthReport:
    """What a calendar month cost, by disk, owner, volume and site.

    Attributes
    ----------
    as_of : datetime
        When the account was read; a month that goes on is reported until then.
    lines : tuple of MonthLine
        Every disk that lived in it as far as is known, the dearest first.
    notes : tuple of str
        What else the month's billing rows say.
    before : MonthReport | None
        The month that it is compared with.
    """

    month: Month
    account: str
    as_of: datetime
    lines: tuple[MonthLine, ...]
    unknown: tuple[UnknownCost, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    before: MonthReport | None = None
    low_wallets: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Return whether the month was over when the account was read."""
        return self.as_of >= self.month.end

    @property
    def until(self) -> datetime:
        """Return until when it is reported."""
        return min(self.as_of, self.month.end)

    @property
    def total(self) -> MonthSums:
        """Return what everything cost."""
        return MonthSums(self.lines)

    @property
    def expected_usd(self) -> Decimal:
        """Return what the month comes to when it ends, if no disk is created or deleted."""
        live = (one.line.usd_hr for one in self.lines if one.ending == "live" and one.is_last)
        more = (usd_between(usd_hr, self.month.end - self.until) for usd_hr in live)
        return total([self.total.usd, *(usd for usd in more if usd is not None)])

    @property
    def by(self) -> tuple[str, ...]:
        """Return how the disks can be grouped."""
        keys = group_keys([one.line for one in self._all])
        return (*sorted(keys, key=lambda key: _ORDER.get(key, 2)),)

    @property
    def _all(self) -> tuple[MonthLine, ...]:
        return (*self.lines, *(() if self.before is None else self.before.lines))

    def groups(self, by: str) -> dict[str | None, MonthSums]:
        """Return the sums by value, the dearest first.

        Raises
        ------
        InputError
            When it is none of ``by``.
        """
        return {value: sums for value, sums, _ in self.compared(by)}

    def compared(self, by: str) -> list[tuple[str | None, MonthSums, MonthSums | None]]:
        """Return each value with its sums, and those of the month that it is compared with."""
        mine, rows = {id(one) for one in self.lines}, []
        for value, lines in grouped(self._all, by, self.by, lambda one: one.line).items():
            here, before = (
                MonthSums(tuple(one for one in lines if (id(one) in mine) is is_here))
                for is_here in (True, False)
            )
            rows.append((value, here, None if self.before is None else before))
        return sorted(rows, key=lambda row: (-row[1].usd, row[0] or "~"))

    @property
    def title(self) -> str:
        """Return what it is about."""
        return f"Storage costs, {self.month.name}" + ("" if self.is_over else " so far")

    @property
    def summary(self) -> tuple[str, ...]:
        """Return the key figures in sentences."""
        return tuple(self._summary())

    def _summary(self) -> Iterator[str]:
        sums = self.total
        when = "" if self.is_over else f" until {moment(self.as_of.isoformat())}"
        yield f"{self.month.name}{when}: ${money(sums.usd)} for {counted(sums.disks, 'disk')}."
        if sums.disks:
            billed, unbilled = money(sums.billed_usd), money(sums.unbilled_usd)
            yield f"${billed} of it is billed, ${unbilled} is list price."
        if not self.is_over:
            yield (
                f"The whole month will cost ${money(self.expected_usd)}, if no disk is created or "
                "deleted before it ends."
            )
        if self.before is not None:
            yield self._change(self.before)
        if self.unknown:
            known = [one.most_usd for one in self.unknown if one.most_usd is not None]
            most = f" (${money(total(known))} at most)" if len(known) == len(self.unknown) else ""
            yield f"Not in these sums: {counted(len(self.unknown), 'unknown cost')}{most}."

    def _change(self, before: MonthReport) -> str:
        old, new = before.total.usd, self.total.usd
        more = difference(new, old)
        share = percent_of(abs(more), old)
        sign = "-" if more < 0 else "+"
        percent = "" if share is None else f" ({sign}{money(share, 1)} %)"
        running = [one.month.name for one in (before, self) if not one.is_over]
        so_far = f"; {running[0]} is not over" if running else ""
        change = f"{sign}${money(abs(more))}{percent}"
        return f"{change} compared with {before.month.name} (${money(old)}){so_far}."

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Return what the figures assume."""
        return _ASSUMPTIONS

    def sections(self, most: int | None = MOST) -> tuple[Section, ...]:
        """Return the report as tables, the key figures first.

        Parameters
        ----------
        most : int | None
            Rows that a table shows before it sums the rest in one; None shows all.
        """
        groups = (_groups(self, by, most) for by in self.by if self._all)
        disks = (_disks(self, None if most is None else _MOST_DISKS),)
        unknown = (_unknown(self),) if self.unknown else ()
        assumed = Section("assumptions", "Assumptions", notes=self.assumptions, is_folded=True)
        figures = Section("summary", self.title, notes=(*self.summary, *self.notes))
        low = (Section("low-wallet", notes=self.low_wallets),) if self.low_wallets else ()
        return (*low, figures, *unknown, *groups, *disks, assumed)

    def to_frame(self, *, exact: bool = False) -> Table:
        """Return the disks as a frame (columns ``MONTH_DISKS``)."""
        return handed_out(build([one.row() for one in self.lines], MONTH_DISKS), exact=exact)

    def groups_frame(self, by: str | None = None, *, exact: bool = False) -> Table:
        """Return the groups as a frame (columns ``MONTH_GROUPS``); None: every way of grouping."""
        ways = self.by if by is None else (by,)
        rows = [{"by": way, **_compared(*one)} for way in ways for one in self.compared(way)]
        return handed_out(build(rows, MONTH_GROUPS), exact=exact)

    def rows(self, section: str | None = None) -> Section:
        """Return what CSV writes: the disks, which add up to the total, or ``groups``.

        Raises
        ------
        InputError
            When it has no such section.
        """
        frames = {"disks": self.to_frame, "groups": self.groups_frame}
        if section not in {None, *frames}:
            raise InputError(
                f"a month has no section {visible(str(section))!r}", hint="disks or groups"
            )
        return frame_section(frames[section or "disks"](exact=True))

    def to_csv(self, section: str | None = None) -> str:
        """Return `rows` as CSV."""
        return to_csv(self.rows(section))

    def to_focus(self) -> str:
        """Return the disks as CSV in the columns of FOCUS, see `planner.reports.focus`."""
        return to_csv(focus_rows(self.lines, self.month, self.until))

    def to_markdown(self) -> str:
        """Return the report as Markdown."""
        return to_markdown(self.sections())

    def to_html(self) -> str:
        """Return one self-contained page."""
        tables = [one for one in self.sections() if one.name not in {"low-wallet", "summary"}]
        lead = (*self.low_wallets, *self.summary, *self.notes)
        return page(self.title, lead, tables, self.charts() if drawable() else {}, self.warnings)

    def charts(self) -> dict[str, Any]:
        """Return the charts by the name of the section that each stands beside.

        Raises
        ------
        InputError
            When the library that draws them is not installed.
        """
        months = [self] if self.before is None else [self.before, self]
        rows = [
            {
                "month": f"{each.month.name}{'' if each.is_over else ' so far'}",
                "owner": owner,
                "billed_usd": sums.billed_usd,
                "unbilled_usd": sums.unbilled_usd,
            }
            for each in months
            for owner, sums in each.groups("owner").items()
        ]
        return {"by-owner": past_chart(build(rows, PAST_MONTHS))} if self._all else {}

    def to_document(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        before = self.before
        document = {
            "month": self.month.name,
            "hours": self.month.hours,
            "is_over": self.is_over,
            "account": self.account,
            "as_of": self.as_of.isoformat(),
            "totals": json_values({**self.total.row(), "expected_usd": self.expected_usd}),
            "by": {
                by: [
                    json_values({"value": value, **sums.row(), "before_usd": old and old.usd})
                    for value, sums, old in self.compared(by)
                ]
                for by in self.by
            },
            "disks": [json_values(one.row()) for one in self.lines],
            "unknown": [json_values(vars(one)) for one in self.unknown],
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "assumptions": list(self.assumptions),
            "before": None if before is None else before.to_document(),
        }
        return {"format": FORMAT, "digest": digest_of(document), **document}

    def __repr__(self) -> str:
        return f"<Month {self.month.name}: {len(self.lines)} disks, {money(self.total.usd)} USD>"

    def _repr_html_(self) -> str:
        return to_html(one for one in self.sections() if one.name != "assumptions")


def month_report(
    report: Report,
    holdings: Holdings,
    month: str,
    compare: str | None = None,
    *,
    past: Sequence[PastDisk] = (),
    earlier: Handovers | None = None,
) -> MonthReport:
    """Return what a month cost.

    Parameters
    ----------
    report : Report
        Of the account, and of its plans: whose the live disks are.
    holdings : Holdings
        The account, with its billing rows.
    month, compare : str
        Such as ``2026-10``; the month that it is compared with.
    past : sequence of PastDisk
        Disks that planner bought and that are gone.
    earlier : mapping | None
        Who paid for disks before, see `handovers`.

    Raises
    ------
    InputError
        When a month is none, begins after the account was read, or is compared with itself.
    """
    made, *before = (
        _month_report(report, holdings, each, past, earlier)
        for each in months_named(month, compare)
    )
    return replace(made, before=before[0]) if before else made


def months_named(month: str, compare: str | None) -> tuple[Month, ...]:
    """Return a month, and what it is compared with.

    Raises
    ------
    InputError
        When one is no month, or they are the same.
    """
    months = tuple(Month.named(name) for name in (month, compare) if name is not None)
    if months[0] in months[1:]:
        raise InputError(f"{month} cannot be compared with itself", hint="give another month")
    return months


def _month_report(
    report: Report,
    holdings: Holdings,
    month: Month,
    past: Sequence[PastDisk],
    earlier: Handovers | None,
) -> MonthReport:
    as_of = holdings.read_at
    if as_of <= month.start:
        when = moment(as_of.isoformat())
        hint = f"The account was read {when}: give that month, or an earlier one."
        raise InputError(f"{month.name} has not begun", hint=hint)
    here = [line for line in report.lines if line.is_live and line.account == holdings.account]
    live = [PastDisk(line, "live", as_of, as_of) for line in whole(here)]
    lines, unknown = month_costs((*live, *past), holdings, month, earlier)
    return MonthReport(
        month=month,
        account=holdings.account,
        as_of=as_of,
        lines=lines,
        unknown=unknown,
        warnings=(*report.doubts, *holdings.notes),
        notes=tuple(other_charges(holdings, month)),
        low_wallets=report.low_wallets,
    )


_USD = TableColumn("usd", "$", "usd")
_BILLED = TableColumn("billed_usd", "billed", "usd", "\N{EN DASH}")
_UNBILLED = TableColumn("unbilled_usd", "list price", "usd", "\N{EN DASH}")


def _compared(value: Any, sums: MonthSums, before: MonthSums | None) -> dict[str, Any]:  # noqa: ANN401 -- a cell
    """Return a value with its sums, and how they changed where they are compared."""
    old = None if before is None else before.usd
    change = None if old is None else difference(sums.usd, old)
    return {"value": value, **sums.row(), "before_usd": old, "change_usd": change}


def _groups(report: MonthReport, by: str, most: int | None) -> Section:
    shown, rest = split(report.compared(by), most)
    title = by.removeprefix("tag:")
    empty = f"(no {title})" if by in {"volume", "owner"} or by != title else "(unknown)"

    def row(name: Any, sums: MonthSums, before: MonthSums | None) -> dict[str, Any]:  # noqa: ANN401 -- a cell
        cells = _compared(name, sums, before)
        is_new = before is None or cells["change_usd"] is None
        percent = None if is_new else percent_of(cells["change_usd"], cells["before_usd"])
        return {**cells, by: name, "percent": percent}

    def more() -> dict[str, Any]:
        new, old = (
            MonthSums(tuple(line for each in rest if each[at] for line in each[at].lines))
            for at in (1, 2)
        )
        return row(f"{len(rest)} more", new, None if report.before is None else old)

    columns = [
        TableColumn(by, title),
        TableColumn("disks", "disks", "count"),
        replace(_USD, heading=report.month.name),
        _BILLED,
        _UNBILLED,
    ]
    if report.before is not None:
        columns.insert(2, TableColumn("before_usd", report.before.month.name, "usd"))
        columns[4:4] = [
            TableColumn("change_usd", "change", "difference"),
            TableColumn("percent", "%", "percent"),
        ]
    return Section.of(
        f"by-{title}",
        f"By {title}",
        columns,
        (row(value or Cell(None, empty), *sums) for value, *sums in shown),
        more() if rest else None,
        row("total", report.total, None if report.before is None else report.before.total),
        expendable=("percent", "unbilled_usd", "billed_usd"),
    )


def _disks(report: MonthReport, most: int | None) -> Section:
    lines = [one.line for one in report.lines]
    labels = ReplicaLabels.of(lines, by_project=has_projects(lines))
    shown, rest = split(report.lines, most)
    rows = (
        {
            **one.row(),
            "disk": labels.title_of(one.line),
            "start_at": _day(one.start_at, report.month),
            "end_at": _day(one.end_at, report.month),
            "basis": "billed" if one.billed_usd is not None else "list price",
        }
        for one in shown
    )
    columns = (
        TableColumn("disk", "disk"),
        TableColumn("disk_id", "id", "id", "no id"),
        TableColumn("start_at", "from"),
        TableColumn("end_at", "until"),
        TableColumn("hours", "hours", "hours"),
        TableColumn("usd_hr", "$/hour", "usd_hr"),
        _USD,
        TableColumn("basis", "basis"),
        TableColumn("ending", "status", "status"),
    )
    more = {"disk": f"{len(rest)} more", "usd": MonthSums(tuple(rest)).usd}
    none = () if shown else ("No disk is known to have lived in this month.",)
    expendable = ("basis", "usd_hr", "disk_id", "start_at", "end_at")
    return Section.of(
        "disks", "Disks", columns, rows, more if rest else None, notes=none, expendable=expendable
    )


def _day(at: datetime | None, month: Month) -> str:
    """Return a time within the month; nothing where it is the month's own begin or end."""
    if at is None or at in {month.start, month.end}:
        return ""
    return f"{at.astimezone(UTC):%d %H:%M}"


def _unknown(report: MonthReport) -> Section:
    columns = (
        TableColumn("name", "not in any sum"),
        TableColumn("why", "why"),
        TableColumn("most_usd", "$ at most", "usd", "unknown"),
    )
    return Section.of("unknown", "Unknown costs", columns, report.unknown)
