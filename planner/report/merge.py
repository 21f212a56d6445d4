"""Several reports as one: every disk once, every plan once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from planner.errors import InputError
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from planner.report.lines import Line
    from planner.report.report import Report
    from planner.report.wallets import Wallet

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
    lines = _lines([line for report in reports for line in report.lines])
    merged = replace(
        reports[0],
        created_at=created.isoformat(),
        sources=_once(source for report in reports for source in report.sources),
        lines=lines,
        gpus=_once(gpu for report in reports for gpu in report.gpus),
        limits=_once(limit for report in reports for limit in report.limits),
        comparisons=_once(one for report in reports for one in report.comparisons),
        wallets=_wallets(wallet for report in reports for wallet in report.wallets),
        warnings=_once(text for report in reports for text in report.warnings),
    )
    merged = _without_gone(merged)
    return replace(merged, warnings=_once((*merged.warnings, *_odd(merged))))


def _once(values: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(values))


def _lines(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return every disk once, plans in their order, then the other disks of the accounts."""
    planned = [line for line in lines if line.is_planned]
    found: dict[tuple[str, str], Line] = {}
    for number, line in enumerate(lines):
        key = ("live", line.disk_id or f"#{number}") if line.is_live else ("new", str(line.name))
        found[key] = line if key not in found else _same(found[key], line)
    live = {line.name: key for key, line in found.items() if line.is_live and line.name}
    for key, line in list(found.items()):
        there = live.get(line.name or "")
        if not line.is_live and there is not None:
            found[key] = _same(replace(line, standing="bought"), found.pop(there))
    order: dict[tuple[object, ...], int] = {}
    for number, line in enumerate(planned):
        order.setdefault(_slot(line), number)
    last = len(planned)
    return tuple(sorted(found.values(), key=lambda one: order.get(_slot(one), last)))


def _slot(line: Line) -> tuple[object, ...]:
    return (line.project, line.volume, line.replica, line.disk, line.is_planned)


def _same(known: Line, other: Line) -> Line:
    """Return two lines of one disk as one: what it is for, and the latest that is known of it."""
    planned = known if known.is_planned else other
    seen = [line for line in (known, other) if line.disk_id is not None]
    latest = max(seen or [known, other], key=lambda one: one.as_of)
    return replace(planned, **{name: getattr(latest, name) for name in _SEEN})


_SEEN = (
    *("account", "as_of", "disk_id", "name", "status", "size_gb", "usd_gb_hr", "usd_hr"),
    *("attached", "created_at", "billed_usd"),
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
    """Leave out, and say so, what a later reading of its account no longer shows."""
    latest: dict[str | None, str] = {}
    for source in report.sources:
        if source.kind == "account" and source.account is not None:
            latest[source.account] = max(source.as_of, latest.get(source.account, ""))
    gone = [
        line for line in report.lines if line.is_live and line.as_of < latest.get(line.account, "")
    ]
    told = (
        f"disk {visible(line.disk_id or line.title)} ({line.title}) was there at {line.as_of} and "
        "is no longer; it is not counted"
        for line in gone
    )
    kept = tuple(line for line in report.lines if line not in gone)
    return replace(report, lines=kept, warnings=(*report.warnings, *told))


def _odd(report: Report) -> Iterator[str]:
    """Yield what is odd about reports that were put together."""
    plans = [source for source in report.sources if source.kind == "plan"]
    for project in report.projects:
        digests = {source.digest for source in plans if source.project == project}
        if len(digests) > 1:
            yield (
                f"{len(digests)} plans of {visible(project)} are in this report; what each is to "
                "buy is counted for each"
            )
    if len({source.as_of[:7] for source in report.sources}) > 1:
        yield "the readings are of different months; calendar months are those of each reading"
