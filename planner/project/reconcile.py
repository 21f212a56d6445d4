"""Reconcile: find out what became of a create whose answer was lost.

The name is the key. Exactly one live disk with the name and what was sent: it is ours. Anything
else that carries the name, or appeared meanwhile and looks alike, is for a person to judge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from planner.errors import (
    Conflict,
    MarketError,
    NotFound,
    PaymentRequired,
    PendingActions,
    RateLimited,
    RequestNotSent,
    RequestRefused,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planner.market.disks import Disk
    from planner.marketplace.protocol import DiskListing
    from planner.project.context import Context
    from planner.project.state import Entry, Facts


@dataclass(frozen=True)
class Finding:
    """What a listing shows of a slot.

    Attributes
    ----------
    kind : {"ours", "conflict", "nothing"}
        Whether it is there.
    disks : tuple of Disk
        What was found.
    why : str
        What is wrong with it.
    """

    kind: Literal["ours", "conflict", "nothing"]
    disks: tuple[Disk, ...] = ()
    why: str = ""

    @property
    def ids(self) -> list[str]:
        """Return the ids of what was found."""
        return [disk.id for disk in self.disks if disk.id]


def look(listing: DiskListing, facts: Facts, not_ours: Iterable[str] = ()) -> Finding:
    """Return what a complete listing says about a name.

    Parameters
    ----------
    listing : DiskListing
        The account's disks.
    facts : Facts
        What was sent, or would be.
    not_ours : iterable of str
        Ids that a person has disowned.
    """
    disowned = set(not_ours)
    same = [disk for disk in listing.disks if disk.name == facts.name and disk.id not in disowned]
    live = tuple(disk for disk in same if disk.is_live)
    if len(live) > 1:
        return Finding("conflict", live, f"{len(live)} live disks are named {facts.name}")
    if not live:
        if same:
            return Finding("conflict", tuple(same), "it was created, and is terminated")
        return Finding("nothing")
    return judge(live[0], facts)


def judge(disk: Disk, facts: Facts) -> Finding:
    """Return whether one disk is what was sent."""
    wrong = list(facts.differences(disk))
    if disk.name != facts.name:
        wrong.insert(0, "another name" if disk.name is not None else "no name")
    if disk.id is None:
        wrong.append("an id that is none")
    if facts.is_dearer(disk):
        wrong.append(f"{disk.usd_hr} USD/h where {facts.usd_hr} was planned")
    if not disk.is_live:
        wrong.append("it is terminated")
    return Finding("conflict", (disk,), "; ".join(wrong)) if wrong else Finding("ours", (disk,))


def suspects(ctx: Context, entry: Entry, listing: DiskListing) -> list[Disk]:
    """Return live disks that appeared since the intent and look like the slot under other names."""
    known = ctx.state.recorded_ids() | entry.baseline | entry.not_ours
    names = ctx.names | ctx.state.entries.keys()
    return [
        disk
        for disk in listing.live
        if disk.key not in known and disk.name not in names and entry.facts.is_like(disk)
    ]


def read_back(ctx: Context, entry: Entry) -> bool:
    """Return whether a GET by an id that a 2xx named settles the slot, recording how."""
    # An id that was live before the request cannot be what it made.
    for disk_id in sorted(entry.named - entry.baseline):
        try:
            disk = ctx.marketplace.disk(disk_id)
        except NotFound:
            continue
        except MarketError as error:
            ctx.tell({"event": "unreadable", "name": entry.name, "id": disk_id, "why": str(error)})
            continue
        if disk.id != disk_id or disk.name is None:
            continue  # not an answer about this disk: the listing decides
        found = judge(disk, entry.facts)
        if found.kind == "ours":
            ctx.created(entry, disk, "answer")
        else:
            ctx.conflict(entry, [disk_id], found.why, disk)
        return True
    return False


def settle(ctx: Context, entry: Entry, listing: DiskListing) -> bool:
    """Return whether a listing settles the slot, recording how."""
    found = look(listing, entry.facts, entry.not_ours)
    if found.kind == "ours":
        odd = "the answer named another id" if entry.named - {*found.ids} else entry.why
        ctx.created(entry, found.disks[0], "listing", odd)
        return True
    if found.kind == "conflict":
        ctx.conflict(entry, found.ids, found.why, found.disks[0])
        return True
    return bool(entry.named) and read_back(ctx, entry)


def reconcile(ctx: Context, entries: Sequence[Entry], looks: Sequence[float]) -> DiskListing | None:
    """Look for slots in doubt until they are settled or the time is over.

    Parameters
    ----------
    ctx : Context
        The run.
    entries : sequence of Entry
        Slots in doubt; those that stay so are still in doubt afterwards, or, where something
        looks like them, in conflict.
    looks : sequence of float
        The pause before each look.

    Returns
    -------
    DiskListing | None
        The last look, where it was whole.
    """
    waiting = list(entries)
    listing: DiskListing | None = None
    for number, pause in enumerate(looks):
        if not waiting or (number and ctx.pace.stop.is_set()):
            break
        ctx.pace.pause(pause)
        try:
            listing = ctx.marketplace.disks()
        except MarketError as error:
            listing = None
            ctx.tell({"event": "listing_failed", "why": str(error)})
            if isinstance(error, RequestRefused):
                break
            continue
        waiting = [entry for entry in waiting if not settle(ctx, entry, listing)]
    for entry in waiting:
        alike = suspects(ctx, entry, listing) if listing else []
        if alike:
            ids = [disk.id for disk in alike if disk.id]
            why = "its answer was lost, and a disk of its size appeared under another name"
            ctx.conflict(entry, ids, why)
    return listing


Kind = Literal["as_sent", "odd", "not_sent", "limited", "paused", "taken", "refused", "unknown"]

_CONFLICT = 409
_FINAL = frozenset({400, 404, 405, 413, 415, 422})
_STOCK = re.compile(r"stock|sold.?out|capacity|(?:no longer|not|un) ?available", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """What an answer means.

    Attributes
    ----------
    kind : str
        See the table.
    why : str
        In words, safe to show.
    id : str | None
        The id a 2xx named, where it is one.
    wait_s : float | None
        How long the marketplace asked to wait.
    stock : bool
        Whether a refusal says that the offer is sold out.
    """

    kind: Kind
    why: str
    id: str | None = None
    wait_s: float | None = None
    stock: bool = False


def classify(outcome: Disk | MarketError, facts: Facts) -> Verdict:
    """Return what came of a create.

    Parameters
    ----------
    outcome : Disk or MarketError
        The disk as a 2xx describes it, or the failure.
    facts : Facts
        What was sent.
    """
    if isinstance(outcome, MarketError):
        return _failed(outcome)
    odd = echo_oddities(outcome, facts)
    if odd:
        return Verdict("odd", "the answer differs from the request: " + "; ".join(odd), outcome.id)
    return Verdict("as_sent", "", outcome.id)


def echo_oddities(disk: Disk, facts: Facts) -> tuple[str, ...]:
    """Return what an answer lacks or says differently; empty where it may be believed."""
    odd = [] if disk.id else ["no usable id"]
    if disk.name != facts.name:
        odd.append("no name" if disk.name is None else f"name {disk.name!r}")
    odd += [
        f"no {field.replace('_', ' ')}"
        for field in ("size_gb", "provider")
        if getattr(disk, field) is None
    ]
    return (*odd, *facts.differences(disk))


def _failed(failure: MarketError) -> Verdict:
    kind: Kind = "unknown"
    status = failure.status if isinstance(failure, RequestRefused) else 0
    if isinstance(failure, RequestNotSent):
        kind = "not_sent"
    elif isinstance(failure, RateLimited):
        kind = "limited"
    elif isinstance(failure, Unauthorized | PaymentRequired) or 300 <= status <= 399:  # noqa: PLR2004 -- HTTP
        kind = "paused"
    elif status == _CONFLICT:
        kind = "taken"
    elif status in _FINAL:
        kind = "refused"
    stock = kind == "taken" or (kind == "refused" and _is_sold_out(failure, status))
    return Verdict(kind, str(failure), wait_s=failure.retry_after, stock=stock)


def _is_sold_out(failure: MarketError, status: int) -> bool:
    """Return whether the marketplace's own words speak of stock."""
    return bool(_STOCK.search(str(failure).partition(f"({status})")[2]))


def clear_doubts(ctx: Context, *, wait: bool) -> None:
    """Reconcile every intent of the plan; return when nothing stands in the way of sending.

    Slots that stay in doubt afterwards may be sent again: no answer ever named an id, their
    quarantine is over, and neither they nor anything like them is there.

    Raises
    ------
    Conflict
        When a person has to look.
    PendingActions
        When a slot is in doubt and may not be sent yet, or never by itself.
    MarketError
        When the account's disks cannot be read.
    """
    mine = ctx.state.of_plan(ctx.plan)
    conflicts = [entry for entry in mine if entry.stage == "conflict"]
    doubtful = [entry for entry in mine if entry.in_doubt]
    if conflicts:
        listing = ctx.marketplace.disks()
        for entry in conflicts:
            found = look(listing, entry.facts, entry.not_ours)
            if found.kind == "ours":
                ctx.created(entry, found.disks[0], "listing", "what was odd about it is gone")
    if doubtful:
        _clear(ctx, doubtful, wait=wait)
    conflicts = [entry for entry in mine if entry.stage == "conflict"]
    if conflicts:
        told = "; ".join(f"{one.key}: {one.why} ({', '.join(one.ids)})" for one in conflicts)
        raise Conflict(told)


def _clear(ctx: Context, doubtful: Sequence[Entry], *, wait: bool) -> None:
    listing = reconcile(ctx, doubtful, (0.0,))
    left = _left_s(ctx, doubtful, listing)
    if left > 0:
        longest = left if wait and not _stuck(doubtful) else min(left, ctx.pace.settle_s)
        listing = reconcile(ctx, _in_doubt(doubtful), _looks(ctx, longest))
    if any(entry.stage == "conflict" for entry in doubtful):
        return
    stuck = _stuck(doubtful)
    if stuck:
        names = ", ".join(f"{entry.key} ({', '.join(sorted(entry.named))})" for entry in stuck)
        raise PendingActions(f"an answer named a disk that nobody can see: {names}")
    if listing is None and _in_doubt(doubtful):
        raise PendingActions("the account's disks cannot be read, and an outcome is unknown")
    if _left_s(ctx, doubtful, listing) > 0:
        names = ", ".join(entry.key for entry in _in_doubt(doubtful))
        raise PendingActions(f"whether these disks were created is unknown: {names}")


def _in_doubt(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.in_doubt]


def _stuck(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries that are never sent again by themselves."""
    return [entry for entry in entries if entry.in_doubt and entry.named]


def _left_s(ctx: Context, entries: Sequence[Entry], listing: DiskListing | None) -> float:
    """Return how long the last quarantine, or the search for a named disk, still lasts."""
    date = listing.date if listing else None
    waits = [ctx.quarantine_s(entry, date) for entry in _in_doubt(entries)]
    if _stuck(entries):
        waits.append(ctx.pace.settle_s)
    return max(waits, default=0.0)


def _looks(ctx: Context, longest: float) -> list[float]:
    """Return the pauses between looks that fill a time, then one look at its end."""
    looks: list[float] = []
    left = longest
    for pause in ctx.pace.looks()[1:]:
        looks.append(min(pause, left))
        left -= looks[-1]
    while left > 0:
        looks.append(min(left, max(ctx.pace.settle_s / 3, 1.0)))
        left -= looks[-1]
    # The server's clock counts whole seconds: a last look after the next tick.
    return [*(pause for pause in looks if pause > 0), 0.05]
