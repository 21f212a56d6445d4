"""Reconcile: find out what became of a create whose answer was lost.

The name is the key. Exactly one live disk with the name and everything that was sent is ours. A
person decides about anything else with that name, and about suspects: new disks of the same size
and provider under other names.
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
from planner.project.replace import supersede
from planner.project.state import SENDABLE, UNPROVEN
from planner.units import hourly

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planner.market.disks import Disk
    from planner.marketplace.protocol import DiskListing
    from planner.project.context import Context
    from planner.project.state import Entry, ExpectedDisk


@dataclass(frozen=True)
class Match:
    """How a listing matches a slot."""

    kind: Literal["ours", "conflict", "nothing"]
    disks: tuple[Disk, ...] = ()
    why: str = ""

    @property
    def ids(self) -> list[str]:
        """Return the ids of the listed disks."""
        return [disk.id for disk in self.disks if disk.id]


def match_name(listing: DiskListing, facts: ExpectedDisk, not_ours: Iterable[str] = ()) -> Match:
    """Return how a complete listing matches a name.

    Parameters
    ----------
    not_ours : iterable of str
        Ids that a person said belong to another disk.
    """
    excluded = set(not_ours)
    same = [disk for disk in listing.disks if disk.name == facts.name and disk.id not in excluded]
    live = tuple(disk for disk in same if disk.is_live)
    if len(live) > 1:
        return Match("conflict", live, f"{len(live)} live disks are named {facts.name}")
    if not live:
        if same:
            return Match("conflict", tuple(same), "it was created and is terminated")
        return Match("nothing")
    return match_disk(live[0], facts)


def match_disk(disk: Disk, facts: ExpectedDisk) -> Match:
    """Return whether a disk is what was sent."""
    wrong = list(facts.differences(disk))
    if disk.name != facts.name:
        wrong.insert(0, "another name" if disk.name is not None else "no name")
    if disk.id is None:
        wrong.append("no usable id")
    if facts.costs_more(disk):
        wrong.append(f"{hourly(disk.usd_hr)}, {hourly(facts.usd_hr)} was planned")
    if not disk.is_live:
        wrong.append("it is terminated")
    return Match("conflict", (disk,), "; ".join(wrong)) if wrong else Match("ours", (disk,))


def suspects(ctx: Context, entry: Entry, listing: DiskListing) -> list[Disk]:
    """Return live disks that are new since the intent, with the slot's size and provider."""
    known = ctx.state.recorded_ids() | entry.baseline | entry.not_ours
    names = ctx.slots.keys() | ctx.state.entries.keys()
    return [
        disk
        for disk in listing.live
        if disk.key not in known and disk.name not in names and entry.expected.is_like(disk)
    ]


def check_no_duplicates(ctx: Context, listing: DiskListing) -> None:
    """Check that no name of the project is live twice, and none that was settled as not created.

    Raises
    ------
    Conflict
        When a name is, with ids and prices.
    """
    by_name: dict[str | None, list[Disk]] = {}
    by_id: dict[str | None, Disk] = {}
    for disk in listing.live:
        by_name.setdefault(disk.name, []).append(disk)
        by_id[disk.id] = disk
    for entry in ctx.entries:
        same = [disk for disk in by_name.get(entry.name, []) if disk.id not in entry.not_ours]
        own = by_id.get(entry.ids[0]) if entry.stage == "created" else None
        if own is not None and own not in same:
            same.append(own)  # a person has renamed it
        if same and _is_settled_as_absent(ctx, entry):
            listed = ", ".join(f"{disk.id} at {hourly(disk.usd_hr)}" for disk in same)
            raise Conflict(
                f"{entry.key}: {entry.name} was settled as not created, and is live: {listed}",
                hint=f"keep it with `planner resolve {entry.name} --id ID`, or delete it by hand",
            )
        if len(same) > 1:
            listed = ", ".join(f"{disk.id} at {hourly(disk.usd_hr)}" for disk in same)
            raise Conflict(
                f"{entry.key}: {len(same)} live disks: {listed}",
                hint="decide which to keep; delete the other by hand, or exclude it with "
                f"`planner resolve {entry.name} --not ID`",
            )


def _is_settled_as_absent(ctx: Context, entry: Entry) -> bool:
    if entry.stage == "given_up":
        return True
    return entry.plan != ctx.plan and entry.stage in {*SENDABLE, "refused"}


def read_back(ctx: Context, entry: Entry) -> bool:
    """Return whether a GET by an id from a 2xx answer resolves the slot; record the result."""
    # An id that was live before the request cannot be what it made.
    for disk_id in sorted(entry.claimed_ids - entry.baseline):
        try:
            disk = ctx.marketplace.disk(disk_id)
        except NotFound:
            continue
        except MarketError as error:
            ctx.on_event(
                {"event": "unreadable", "name": entry.name, "id": disk_id, "why": str(error)}
            )
            continue
        if disk.id != disk_id or disk.name is None:
            continue  # not an answer about this disk: the listing decides
        match = match_disk(disk, entry.expected)
        if match.kind == "ours":
            ctx.created(entry, disk, "answer")
        else:
            ctx.conflict(entry, [disk_id], match.why, disk)
        return True
    return False


def resolve_from_listing(ctx: Context, entry: Entry, listing: DiskListing) -> bool:
    """Return whether a listing resolves the slot; record the result."""
    match = match_name(listing, entry.expected, entry.not_ours)
    if match.kind == "ours":
        odd = "the answer had another id" if entry.claimed_ids - {*match.ids} else entry.why
        ctx.created(entry, match.disks[0], "listing", odd)
        return True
    if match.kind == "conflict":
        ctx.conflict(entry, match.ids, match.why, match.disks[0])
        return True
    return bool(entry.claimed_ids) and read_back(ctx, entry)


def reconcile(
    ctx: Context, entries: Sequence[Entry], pauses: Sequence[float]
) -> DiskListing | None:
    """List the account until every pending slot is resolved or the time is over.

    Parameters
    ----------
    entries : sequence of Entry
        Pending slots. An unresolved slot stays pending, or is in conflict where there is a suspect.
    pauses : sequence of float
        Seconds before each listing.

    Returns
    -------
    DiskListing | None
        The last listing, None where it failed.
    """
    waiting = list(entries)
    listing: DiskListing | None = None
    for number, pause in enumerate(pauses):
        if not waiting or (number and ctx.pace.stop.is_set()):
            break
        ctx.pace.pause(pause)
        try:
            listing = ctx.disks()
        except MarketError as error:
            listing = None
            ctx.on_event({"event": "listing_failed", "why": str(error)})
            if isinstance(error, RequestRefused):
                break
            continue
        waiting = [entry for entry in waiting if not resolve_from_listing(ctx, entry, listing)]
    for entry in waiting:
        alike = suspects(ctx, entry, listing) if listing else []
        if alike:
            ids = [disk.id for disk in alike if disk.id]
            why = "its answer was lost, and a new disk of its size has another name"
            ctx.conflict(entry, ids, why)
    return listing


Kind = Literal["as_sent", "odd", "not_sent", "limited", "paused", "taken", "refused", "unknown"]

_CONFLICT = 409
_FINAL = frozenset({400, 404, 405, 413, 415, 422})
_STOCK = re.compile(r"stock|sold.?out|capacity|(?:no longer|not|un) ?available", re.IGNORECASE)


@dataclass(frozen=True)
class Classification:
    """What an answer means.

    Attributes
    ----------
    id : str | None
        The id in a 2xx answer, where it is usable.
    wait_s : float | None
        How long the marketplace asked to wait.
    stock : bool
        Whether a refusal means that the offer is sold out.
    """

    kind: Kind
    why: str
    id: str | None = None
    wait_s: float | None = None
    stock: bool = False


def classify(outcome: Disk | MarketError, facts: ExpectedDisk) -> Classification:
    """Return what an answer to a create means.

    Parameters
    ----------
    outcome : Disk or MarketError
        The disk as a 2xx describes it, or the failure.
    """
    if isinstance(outcome, MarketError):
        return _failed(outcome)
    odd = echo_oddities(outcome, facts)
    if odd:
        return Classification(
            "odd", "the answer differs from the request: " + "; ".join(odd), outcome.id
        )
    return Classification("as_sent", "", outcome.id)


def echo_oddities(disk: Disk, facts: ExpectedDisk) -> tuple[str, ...]:
    """Return what differs in an answer or is missing; empty where it can be trusted."""
    odd = [] if disk.id else ["no usable id"]
    if disk.name != facts.name:
        odd.append("no name" if disk.name is None else f"name {disk.name!r}")
    odd += [
        f"no {field.replace('_', ' ')}"
        for field in ("size_gb", "provider")
        if getattr(disk, field) is None
    ]
    return (*odd, *facts.differences(disk))


def _failed(failure: MarketError) -> Classification:
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
    return Classification(kind, str(failure), wait_s=failure.retry_after, stock=stock)


def _is_sold_out(failure: MarketError, status: int) -> bool:
    """Return whether the marketplace's message is about stock."""
    return bool(_STOCK.search(str(failure).partition(f"({status})")[2]))


def reconcile_pending(ctx: Context, *, wait: bool) -> None:
    """Reconcile every pending intent of the project, of any plan; return when sending is safe.

    A slot of this plan that is still pending afterwards may be sent again: no answer ever had an
    id, its quarantine is over, and neither its disk nor a suspect is listed. The same holds for
    slots of earlier plans; they are recorded as not created.

    Raises
    ------
    Conflict
        When a person has to decide.
    PendingActions
        When a slot is pending and may not be sent yet, or never without a person.
    MarketError
        When the account's disks cannot be read.
    """
    entries = ctx.entries
    conflicts = [entry for entry in entries if entry.stage == "conflict"]
    pending = [entry for entry in entries if entry.is_pending]
    # This plan's own are looked for before they are sent again.
    refused = [e for e in entries if e.plan != ctx.plan and e.stage in UNPROVEN]
    if conflicts or refused:
        listing = ctx.disks()
        for entry in (*conflicts, *refused):
            match = match_name(listing, entry.expected, entry.not_ours)
            if match.kind == "ours":
                is_conflict = entry.stage == "conflict"
                note = "the difference is gone" if is_conflict else "it exists, though refused"
                ctx.created(entry, match.disks[0], "listing", note)
    if pending:
        _reconcile_entries(ctx, pending, wait=wait)
        settle_absent(ctx, [entry for entry in pending if entry.plan != ctx.plan])
    supersede(ctx)
    conflicts = [entry for entry in entries if entry.stage == "conflict"]
    if conflicts:
        raise Conflict("; ".join(f"{e.key}: {e.why} ({', '.join(e.ids)})" for e in conflicts))


def take_over(ctx: Context) -> None:
    """Let the disks of a replica that an earlier plan left incomplete serve this plan's slots.

    A plan keeps complete replicas only. It replaces these, unless they are what it buys.
    """
    wanted = {slot.keys for slot in ctx.slots.values()}
    halves = [
        entry
        for entry in ctx.entries
        if entry.stage == "created"
        and entry.plan != ctx.plan
        and entry.keys in wanted
        and entry.disks > 1
        and not ctx.is_complete(entry)
    ]
    if not halves or ctx.again:
        return
    listing = ctx.disks()
    for entry in halves:
        disk = listing.find(entry.ids[0])
        if disk is not None and disk.is_live and ctx.slot_served_by(entry, disk):
            ctx.created(entry, disk, "listing")


def settle_absent(ctx: Context, entries: Sequence[Entry]) -> None:
    """Record pending creates as not created: past their quarantine, and in neither of two readings.

    Raises
    ------
    MarketError
        When the account's disks cannot be read.
    """
    pending = [entry for entry in _still_pending(entries) if not entry.claimed_ids]
    if not pending:
        return
    listing = ctx.disks(readings=2)
    for entry in pending:
        if ctx.quarantine_s(entry, listing.date) > 0 or resolve_from_listing(ctx, entry, listing):
            continue
        if not suspects(ctx, entry, listing):
            why = "not listed after its quarantine: it was not created"
            ctx.record("not_sent", name=entry.name, why=why)


def _reconcile_entries(ctx: Context, pending: Sequence[Entry], *, wait: bool) -> None:
    listing = reconcile(ctx, pending, (0.0,))
    left = _left_s(ctx, pending, listing)
    if left > 0:
        longest = left if wait and not _stuck(pending) else min(left, ctx.pace.settle_s)
        listing = reconcile(ctx, _still_pending(pending), _pauses(ctx, longest))
    if any(entry.stage == "conflict" for entry in pending):
        return
    stuck = _stuck(pending)
    if stuck:
        names = ", ".join(
            f"{entry.key} ({', '.join(sorted(entry.claimed_ids))})" for entry in stuck
        )
        raise PendingActions(
            f"the marketplace answered with the id of a disk that it does not list: {names}"
        )
    if listing is None and _still_pending(pending):
        raise PendingActions(
            "the account's disks cannot be read, and a create has an unknown outcome"
        )
    if _left_s(ctx, pending, listing) > 0:
        names = ", ".join(entry.key for entry in _still_pending(pending))
        raise PendingActions(f"whether these disks were created is unknown: {names}")


def _still_pending(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.is_pending]


def _stuck(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries that are never sent again without a person."""
    return [entry for entry in entries if entry.is_pending and entry.claimed_ids]


def _left_s(ctx: Context, entries: Sequence[Entry], listing: DiskListing | None) -> float:
    """Return how long the last quarantine, or the search for a named disk, still lasts."""
    date = listing.date if listing else None
    waits = [ctx.quarantine_s(entry, date) for entry in _still_pending(entries)]
    if _stuck(entries):
        waits.append(ctx.pace.settle_s)
    return max(waits, default=0.0)


def _pauses(ctx: Context, longest: float) -> list[float]:
    """Return the pauses between listings that fill a time, then a last listing at its end."""
    pauses: list[float] = []
    left = longest
    for pause in ctx.pace.listing_pauses()[1:]:
        pauses.append(min(pause, left))
        left -= pauses[-1]
    while left > 0:
        pauses.append(min(left, max(ctx.pace.settle_s / 3, 1.0)))
        left -= pauses[-1]
    # The server's clock counts whole seconds: list once more after the next tick.
    return [*(pause for pause in pauses if pause > 0), 0.05]
