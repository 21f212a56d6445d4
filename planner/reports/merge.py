"""Several reports as one: every disk once, every plan once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from planner.errors import InputError
from planner.reports.holdings import FILE
from planner.reports.shares import divided, whole
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planner.reports.holdings import Wallet
    from planner.reports.lines import GpuLine, Line
    from planner.reports.report import Report


Item = TypeVar("Item")


def merge_reports(reports: Sequence[Report], *, now: datetime | None = None) -> Report:
    """Return several reports as one.

    A disk that several of them know is counted once: as a plan's, where it is one's, with the
    account's latest word on it. A disk that one report is to buy, and another shows live under
    the name that the plan gives it, was bought.

    Parameters
    ----------
    reports : sequence of Report
        At least one.
    now : datetime | None
        Time of the merged report; this moment when None.

    Raises
    ------
    InputError
        When there is no report.
    """
    if not reports:
        raise InputError("there are no reports to merge", hint="give one or more")
    created = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    lines, contested = _lines(reports)
    warned = [one.warn_above for one in reports if one.warn_above is not None]
    merged = replace(
        reports[0],
        created_at=created.isoformat(),
        sources=_once(source for report in reports for source in report.sources),
        lines=lines,
        gpus=_gpus(gpu for report in reports for gpu in report.gpus),
        limits=_once(limit for report in reports for limit in report.limits),
        baselines=tuple(
            {
                (one.project, one.name): one for report in reports for one in report.baselines
            }.values()
        ),
        wallets=_wallets(wallet for report in reports for wallet in report.wallets),
        warnings=_once(text for report in reports for text in report.warnings),
        doubts=_once((*(text for report in reports for text in report.doubts), *contested)),
        warn_above=min(warned, default=None),
        track_record=_once(text for report in reports for text in report.track_record),
        planned_months=_once(month for report in reports for month in report.planned_months),
        gone=tuple({_disk(line): line for one in reports for line in one.gone}.values()),
    )
    merged = _without_gone(merged)
    return replace(merged, warnings=_once((*merged.warnings, *_odd(merged))))


def _disk(line: Line) -> _Key:
    return (line.account, line.disk_id, line.volume, line.replica)


def _once(values: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(values))


def _gpus(gpus: Iterable[GpuLine]) -> tuple[GpuLine, ...]:
    """Return the GPUs of every workload once, whether or not its plan knew the account."""
    found: dict[GpuLine, GpuLine] = {}
    for gpu in gpus:
        key = replace(gpu, account=None)
        if key not in found or found[key].account is None:
            found[key] = gpu
    return tuple(found.values())


_Key = tuple[object, ...]


def _lines(reports: Sequence[Report]) -> tuple[tuple[Line, ...], list[str]]:
    """Return every disk once, plans in their order, then the other disks; and what is contested."""
    found: dict[_Key, Line] = {}
    order: dict[_Key, int] = {}
    contested: list[str] = []
    for report in reports:
        for key, line in _keyed(whole(report.lines)):
            if line.is_planned:
                order.setdefault(_slot(line), len(order))
            if key in found and _are_rivals(found[key], line):
                contested.append(
                    f"disk {visible(str(line.disk_id))} is {found[key].project}'s "
                    f"{found[key].title} and {line.project}'s {line.title}; it is counted once, "
                    "for the first"
                )
            found[key] = _same(found[key], line) if key in found else line
    live = {line.name: key for key, line in found.items() if line.is_live and line.name}
    bought = {_slot(line): key for key, line in found.items() if line.standing == "bought"}
    once = _planned_once(reports)
    for key, line in list(found.items()):
        there = live.get(line.name or "")
        if there is None and line.project in once:
            there = bought.get(_slot(line))  # whatever it is called now
        if not line.is_live and there is not None and there in found:
            found[key] = _same(replace(line, standing="bought"), found.pop(there))
    last = len(order)
    lines = sorted(found.values(), key=lambda one: order.get(_slot(one), last))
    return divided(lines), contested


def _planned_once(reports: Sequence[Report]) -> frozenset[str | None]:
    """Return the projects that have one plan in all reports: a slot of theirs is one disk."""
    digests: dict[str | None, set[str | None]] = {}
    for source in (source for report in reports for source in report.sources):
        if source.kind == "plan":
            digests.setdefault(source.project, set()).add(source.digest)
    return frozenset(project for project, found in digests.items() if len(found) == 1)


def _keyed(lines: Iterable[Line]) -> Iterator[tuple[_Key, Line]]:
    """Yield lines with what tells disks apart; rows without an id are counted in their reading."""
    alike: Counter[str] = Counter()
    for line in lines:
        if line.disk_id is not None:
            yield ("live", line.disk_id), line
        elif not line.is_live:
            yield ("new", line.name), line
        else:
            text = repr(line)
            alike[text] += 1
            yield ("row", text, alike[text]), line


def _are_rivals(known: Line, other: Line) -> bool:
    return known.is_planned and other.is_planned and _slot(known) != _slot(other)


def _slot(line: Line) -> _Key:
    return (line.project, line.volume, line.replica, line.disk, line.is_planned)


def _same(known: Line, other: Line) -> Line:
    """Return two lines of one disk as one: what it is for, and the latest that is known of it."""
    has_volume = other.is_planned or other.volume is not None
    planned = known if known.is_planned or not has_volume else other
    seen = [line for line in (known, other) if line.disk_id is not None]
    latest = max(seen or [known, other], key=lambda one: one.as_of)
    return replace(planned, **{name: getattr(latest, name) for name in _SEEN})


_SEEN = (
    *("account", "as_of", "disk_id", "name", "status", "size_gb", "usd_gb_hr", "usd_hr"),
    *("attached", "created_at", "billed_usd", "unattached_since"),
)
"""What a reading of the account says of a disk; the rest is what it is for."""


def _wallets(wallets: Iterable[Wallet]) -> tuple[Wallet, ...]:
    """Return the latest wallet of each account."""
    found: dict[str | None, Wallet] = {}
    for wallet in wallets:
        known = found.get(wallet.account)
        if known is None or known.as_of <= wallet.as_of:
            found[wallet.account] = wallet
    return tuple(found.values())


def _without_gone(report: Report) -> Report:
    """Leave out what a later reading of its account no longer shows: a doubt, for it was there.

    Only readings of the marketplace are held against each other, which share its clock.
    """
    latest: dict[str | None, str] = {}
    for source in report.sources:
        if source.kind == "account" and not (source.account or FILE).startswith(FILE):
            latest[source.account] = max(source.as_of, latest.get(source.account, ""))
    kept: list[Line] = []
    gone: list[str] = []
    for line in report.lines:
        if line.is_live and line.as_of < latest.get(line.account, ""):
            name = visible(line.disk_id or "without id")
            gone.append(
                f"disk {name} ({line.title}) was there at {line.as_of} and is no longer; it is "
                "not counted"
            )
        else:
            kept.append(line)
    return replace(report, lines=tuple(kept), doubts=_once((*report.doubts, *gone)))


def _odd(report: Report) -> Iterator[str]:
    """Yield what is odd about reports that were put together."""
    plans = [source for source in report.sources if source.kind == "plan"]
    for project in report.projects:
        digests = {source.digest for source in plans if source.project == project}
        if len(digests) > 1:
            yield (
                f"{len(digests)} plans of {visible(project)} are in this report; the disks that "
                "each is to buy are all counted"
            )
    if len({source.as_of[:7] for source in report.sources}) > 1:
        yield "the readings are of different months; calendar months are those of each reading"
    if len(report.wallets) > 1 and any(line.account is None for line in report.lines):
        yield "disks of an unknown account are not counted in any wallet's days"
