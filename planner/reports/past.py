"""The past: disks that the account no longer has, and what each disk cost in a month.

A disk counts for the hours that it lived within the month. What billing rows of the month say is
billed; the rest is list price at the price that the disk had last; what neither knows is an
`UnknownCost`, and in no sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from planner.market.disks import utc_text
from planner.present.table import counted, moment
from planner.project.state import State, sorted_entries
from planner.reports.ledger import account_of, entries_at, paid_by, place_of
from planner.reports.lines import Line, Month, usd_between
from planner.reports.shares import divided, plain_fields, with_shares
from planner.schema import AMOUNT, EXACT, TEXT, WHOLE, Column
from planner.text import visible
from planner.units import money, split_usd, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from planner.marketplace.protocol import Bill
    from planner.project.state import Entry
    from planner.reports.holdings import Holdings
    from planner.reports.ledger import Regions

MONTH_DISKS = (
    Column("disk_id", TEXT, "null: it has none that can be used"),
    Column("name", TEXT, "as the account or the journal has it; null: none"),
    Column("project", TEXT, "null: unknown"),
    Column("volume", TEXT, "null: unknown"),
    Column("replica", WHOLE, "from 1; null: unknown"),
    Column("disk", WHOLE, "of the replica, from 1; null: unknown"),
    Column("owner", TEXT, "who pays; null: unknown"),
    Column("tags", EXACT, "dict, from the demand"),
    Column("site", TEXT, "provider, data centre and country as people read them"),
    Column("disk_group", EXACT, "volumes that share the disk, each with its part; null: its own"),
    Column("size_gb", WHOLE, "null: unknown"),
    Column("usd_hr", AMOUNT, "list price that it had last; null: unknown"),
    Column("ending", TEXT, "live, deleted, retired (replaced), or gone: not by planner"),
    Column("start_at", TEXT, "from when it counts in this month, UTC; null: unknown"),
    Column("end_at", TEXT, "until when; null: unknown"),
    Column("hours", AMOUNT, "between the two at 12 places; null: unknown"),
    Column("usd", AMOUNT, "what it cost: billed_usd and unbilled_usd together; null: unknown"),
    Column("billed_usd", AMOUNT, "of its billing rows that lie in the month; null: none do"),
    Column("unbilled_usd", AMOUNT, "list price of its hours, where nothing of it is billed"),
    Column("list_usd", AMOUNT, "list price of its hours, beside what was billed; null: unknown"),
)
"""Columns of the disks of a month, the dearest first."""

Ending = Literal["live", "deleted", "retired", "gone"]


@dataclass(frozen=True)
class PastDisk:
    """A disk that planner bought and that the account no longer has.

    Attributes
    ----------
    line : Line
        What it was bought as, at the price that it had last.
    ending : str
        ``deleted``, ``retired`` after a replacement, or ``gone``: not by planner.
    ended_at : datetime | None
        When planner saw that it was deleted; None where it is gone.
    seen_at : datetime
        When planner last knew that it was there.
    gone_at : datetime | None
        When planner knew that it was gone; None where it only is not listed now.
    """

    line: Line
    ending: Ending
    ended_at: datetime | None
    seen_at: datetime
    gone_at: datetime | None = None


def past_disks(
    records: Sequence[Mapping[str, Any]], holdings: Holdings, regions: Regions
) -> Iterator[PastDisk]:
    """Yield the disks of an account that a journal says were bought, and that are not listed now.

    Parameters
    ----------
    regions : mapping
        Site → regions, see `regions_by_site`.
    """
    live = set(holdings.listed["id"].dropna())
    times: dict[str, dict[str, datetime]] = {}
    for record in records:
        if record["kind"] in {"created", "transferred", "seen", "deleting", "destroyed"}:
            of_name = times.setdefault(record["name"], {})
            at = _time_of(record)
            of_name.setdefault("first", at)
            of_name[record["kind"]] = at
    state = State(dict(record) for record in records)
    for entry in sorted_entries(entries_at(state, holdings)):
        if entry.stage not in {"created", "destroyed"} or live.intersection(entry.ids):
            continue
        of_name = times[entry.name]
        gone_at = of_name.pop("destroyed", None)
        listed = [holdings.seen[each].seen_at for each in entry.ids if each in holdings.seen]
        if gone_at is not None and any(at > gone_at + _CLOCKS_DIFFER for at in listed):
            gone_at = None  # by a clock that the marketplace's contradicts
        known = [*of_name.values(), *listed]
        # What was gone before planner sent a DELETE ended at a time that is unknown.
        is_gone = "deleting" not in of_name
        yield PastDisk(
            _line(entry, holdings, regions, of_name["first"].isoformat()),
            "gone" if is_gone else "retired" if entry.superseded_by else "deleted",
            None if is_gone or gone_at is None else max(gone_at, *known),
            max(known),
            gone_at,
        )


def _time_of(record: Mapping[str, Any]) -> datetime:
    """Return when a record was made, by the marketplace's clock where it answered with its time."""
    return datetime.fromisoformat(record.get("server_at") or record["at"])


_CLOCKS_DIFFER = timedelta(minutes=5)

Handovers = dict[str, tuple[tuple[datetime, dict[str, Any]], ...]]
"""Id of a disk → until when somebody else paid for it, and what `paid_by` said then."""


def handovers(records: Sequence[Mapping[str, Any]], holdings: Holdings) -> Handovers:
    """Return who paid for the disks of an account before their last owners, the earliest first."""
    state = State(())
    earlier: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}
    for record in records:
        if record["kind"] == "assigned":
            before = paid_by(state.entries[record["name"]])
            earlier.setdefault(record["name"], []).append((_time_of(record), before))
        state.take(dict(record))
    entries = [entry for entry in entries_at(state, holdings) if entry.name in earlier]
    return {disk_id: (*earlier[entry.name],) for entry in entries for disk_id in entry.ids}


def _line(entry: Entry, holdings: Holdings, regions: Regions, recorded_at: str) -> Line:
    paid = paid_by(entry)
    group = paid.pop("group")
    line = Line(
        account=account_of(holdings),
        as_of=holdings.read_at.isoformat(),
        project=entry.project,
        disk=entry.disk,
        **paid,
        standing="superseded" if entry.superseded_by else "other",
        disk_id=next(iter(entry.ids), None),
        name=entry.as_name or entry.name,
        **place_of(vars(entry.expected), regions),
        size_gb=entry.expected.size_gb,
        usd_hr=entry.expected.counted(entry.usd_hr) or None,
        created_at=utc_text(entry.created_at) or recorded_at,
    )
    return with_shares(line, group)


@dataclass(frozen=True)
class MonthLine:
    """One disk in one month; fields as in ``MONTH_DISKS``."""

    line: Line
    ending: Ending
    start_at: datetime | None
    end_at: datetime | None
    billed_usd: Decimal | None = None
    is_last: bool = True

    @property
    def leads(self) -> bool:
        """Return whether its disk is counted here: with its last owner, see `Line.leads`."""
        return self.is_last and self.line.leads

    @property
    def hours(self) -> Decimal | None:
        """Return how long it lived within the month."""
        return self._elapsed(Decimal(1))

    @property
    def list_usd(self) -> Decimal | None:
        """Return the list price of those hours."""
        return self._elapsed(self.line.usd_hr)

    @property
    def unbilled_usd(self) -> Decimal | None:
        """Return the same, where nothing of it is billed."""
        return self.list_usd if self.billed_usd is None else None

    @property
    def usd(self) -> Decimal | None:
        """Return what it cost as far as is known."""
        return self.list_usd if self.billed_usd is None else self.billed_usd

    def _elapsed(self, usd_hr: Decimal | None) -> Decimal | None:
        if self.start_at is None or self.end_at is None:
            return None
        return usd_between(usd_hr, self.end_at - self.start_at)

    def divided(self) -> Iterator[MonthLine]:
        """Yield it for each volume where several share the disk; billed amounts by GB as well."""
        parts = divided([replace(self.line, billed_usd=self.billed_usd)])
        for line in parts:
            yield replace(self, line=line, billed_usd=line.billed_usd)

    def by_payer(self, earlier: Sequence[tuple[datetime, dict[str, Any]]]) -> list[MonthLine]:
        """Return it for each time that one owner paid for it; billed amounts by time as well."""
        start, end = self.start_at, self.end_at
        if start is None or end is None:
            return [self]
        parts = []
        for until, paid in earlier:
            if start < until and start < end:
                payer = {name: value for name, value in paid.items() if name != "group"}
                line = with_shares(Line(**{**plain_fields(self.line), **payer}), paid["group"])
                parts.append(replace(self, line=line, start_at=start, end_at=min(until, end)))
                start = min(until, end)
        if start < end or not parts:
            parts.append(replace(self, start_at=start))
        if self.billed_usd is not None and len(parts) > 1:
            ends = [*(one.start_at for one in parts), end]
            weights = [(b - a) // timedelta(microseconds=1) for a, b in pairwise(ends) if a and b]
            billed = split_usd(self.billed_usd, weights)
            parts = [replace(one, billed_usd=usd) for one, usd in zip(parts, billed, strict=True)]
        return [*(replace(one, is_last=False) for one in parts[:-1]), parts[-1]]

    def row(self) -> dict[str, Any]:
        """Return it as a row of ``MONTH_DISKS``."""
        known = {column.name: getattr(self.line, column.name, None) for column in MONTH_DISKS}
        known |= {name: getattr(self, name) for name in known if hasattr(self, name)}
        times = {"start_at": self.start_at, "end_at": self.end_at}
        return known | {name: at and at.isoformat() for name, at in times.items()}


@dataclass(frozen=True)
class UnknownCost:
    """What may have cost something in a month, and is in no sum.

    Attributes
    ----------
    most_usd : Decimal | None
        What it comes to at most; None where that is unknown too.
    """

    name: str
    why: str
    most_usd: Decimal | None


def month_costs(
    disks: Sequence[PastDisk],
    holdings: Holdings,
    month: Month,
    earlier: Handovers | None = None,
) -> tuple[tuple[MonthLine, ...], tuple[UnknownCost, ...]]:
    """Return what disks cost in a month so far, the dearest first, and what is unknown of it.

    Parameters
    ----------
    disks : sequence of PastDisk
        All that are known, those that are live too.
    holdings : Holdings
        The account, with its billing rows; those of other disks are of disks that are gone.
    earlier : mapping | None
        Who paid for them before, see `handovers`.
    """
    window = Month(month.start, min(month.end, holdings.read_at))
    known = {one.line.disk_id for one in disks}
    bills: dict[str | None, list[Bill]] = {}
    for bill in holdings.bills:
        if bill.resource_type == "disks":
            bills.setdefault(bill.resource_id, []).append(bill)
    parts: list[MonthLine | UnknownCost] = []
    for disk in disks:
        rows = bills.get(disk.line.disk_id, [])
        ended = _billing_end(rows) if disk.ending == "gone" else None
        there = disk if ended is None else replace(disk, ended_at=ended)
        parts += _disk_costs(there, _billed(rows, month), window)
    for disk_id, rows in bills.items():
        if disk_id is None or disk_id not in known:
            parts += _other_costs(disk_id, rows, holdings, month)
    lines = [
        part
        for each in parts
        if isinstance(each, MonthLine)
        for paid in each.by_payer((earlier or {}).get(each.line.disk_id or "", ()))
        for part in paid.divided()
    ]
    lines.sort(key=lambda one: (-(one.usd or Decimal(0)), one.line.title, one.line.disk_id or ""))
    return tuple(lines), tuple(part for part in parts if isinstance(part, UnknownCost))


def _disk_costs(
    disk: PastDisk, billed_usd: Decimal | None, window: Month
) -> Iterator[MonthLine | UnknownCost]:
    """Yield what a disk cost in a time, and what of it is unknown."""
    line = disk.line
    name = f"{line.title} ({visible(line.disk_id or 'without id')})"
    if line.created_at is None:
        if billed_usd is None:
            most = usd_between(line.usd_hr, window.end - window.start)
            yield UnknownCost(name, "when it was created is unknown", most)
        else:
            yield MonthLine(line, disk.ending, None, None, billed_usd)
        return
    created = datetime.fromisoformat(line.created_at)
    start = max(created, window.start)
    end = min(disk.ended_at or disk.seen_at, window.end)
    if start < end or (billed_usd is not None and start < window.end):
        if billed_usd is None and line.usd_hr is None:
            yield UnknownCost(name, "it has no price", None)
        else:
            yield MonthLine(line, disk.ending, start, max(start, end), billed_usd)
    latest = min(disk.gone_at or window.end, window.end)
    if disk.ended_at is None and billed_usd is None and max(start, end) < latest:
        seen = moment(disk.seen_at.isoformat())
        most = usd_between(line.usd_hr, latest - max(start, end))
        yield UnknownCost(name, f"it is gone; planner saw it last on {seen}", most)


def _other_costs(
    disk_id: str | None, rows: Sequence[Bill], holdings: Holdings, month: Month
) -> Iterator[MonthLine | UnknownCost]:
    """Yield what billing rows say of a disk that is gone and that planner did not buy."""
    places = {_place_of(bill, month) for bill in rows}
    if places == {"outside"}:
        return
    billed = _billed(rows, month)
    if billed is None or disk_id is None:
        amounts = [bill.amount_usd for bill in rows if _place_of(bill, month) != "outside"]
        known = [usd for usd in amounts if usd is not None]
        most = total(known) if len(known) == len(amounts) else None
        why = "it is gone; its billing rows cover more than this month"
        yield UnknownCost(f"disk {visible(disk_id or 'without id')}", why, most)
        return
    times = [at for bill in rows for at in (bill.created_at, bill.billed_until) if at is not None]
    start, end = (datetime.fromisoformat(at) for at in (min(times), max(times)))
    read_at, created_at = holdings.read_at.isoformat(), min(times)
    line = Line(
        account=holdings.account,
        as_of=read_at,
        standing="other",
        disk_id=disk_id,
        created_at=created_at,
    )
    yield MonthLine(line, "gone", max(start, month.start), min(end, month.end), billed)


def _billing_end(rows: Sequence[Bill]) -> datetime | None:
    """Return until when a disk was billed; None where that is unknown."""
    times = [bill.billed_until for bill in rows]
    known = [datetime.fromisoformat(at) for at in times if at is not None]
    return max(known) if known and len(known) == len(times) else None


def _place_of(bill: Bill, month: Month) -> Literal["inside", "outside", "across"]:
    """Return where a billing row lies; one without times may lie anywhere."""
    if bill.created_at is None or bill.billed_until is None:
        return "across"
    start, end = (datetime.fromisoformat(at) for at in (bill.created_at, bill.billed_until))
    if start >= month.start and end <= month.end:
        return "inside"
    return "outside" if end <= month.start or start >= month.end else "across"


def _billed(rows: Sequence[Bill], month: Month) -> Decimal | None:
    """Return what billing rows of the month say; None where one covers more, or none is in it."""
    places = [(_place_of(bill, month), bill.amount_usd) for bill in rows]
    inside = [usd for place, usd in places if place == "inside"]
    known = [usd for usd in inside if usd is not None]
    if not inside or len(known) < len(inside) or any(place == "across" for place, _ in places):
        return None
    return total(known)


def other_charges(holdings: Holdings, month: Month) -> Iterator[str]:
    """Yield what else was billed in the month, and what was not read."""
    kinds: dict[str, list[Bill]] = {}
    for bill in holdings.bills:
        if bill.resource_type != "disks" and _place_of(bill, month) != "outside":
            kinds.setdefault(bill.resource_type, []).append(bill)
    for kind, rows in sorted(kinds.items()):
        usd = _billed([bill for bill in rows if _place_of(bill, month) == "inside"], month)
        across = sum(_place_of(bill, month) == "across" for bill in rows)
        more = f", and {counted(across, 'row')} that cover more than this month" if across else ""
        billed = money(usd or Decimal(0))
        yield f"Other charges, not in these sums: {visible(kind)} ${billed} billed{more}."
    if not holdings.bills:
        yield "No billing rows were read: every amount is list price."
    elif holdings.unread_bills != 0:
        many = "more" if holdings.unread_bills is None else f"{holdings.unread_bills:,} more"
        yield f"There may be {many} billing rows that were not read."
