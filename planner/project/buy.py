"""One slot: listing, intent, POST, classify, record, read back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from planner.errors import (
    Conflict,
    Interrupted,
    MarketError,
    OutOfStock,
    PendingActions,
    PlannerError,
    RateLimited,
)
from planner.project.preflight import check_offers, offers_by_key, price_now
from planner.project.reconcile import (
    check_no_duplicates,
    classify,
    match_name,
    read_back,
    reconcile,
    resolve_from_listing,
    suspects,
)
from planner.project.spending import check_ceilings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from planner.market.disks import Disk
    from planner.marketplace.protocol import DiskListing
    from planner.project.context import Context
    from planner.project.preflight import Limits
    from planner.project.reconcile import Classification
    from planner.project.spending import Ceiling
    from planner.project.state import Entry, Slot


TRIES = 5
"""How often a slot is sent in one run where the marketplace did not accept the request."""


@dataclass(frozen=True)
class PurchaseContext:
    """The limits within which a run buys.

    Attributes
    ----------
    halt : callable
        Returns whether another slot has come to a stop.
    """

    limits: Limits
    ceilings: Sequence[Ceiling]
    halt: Callable[[], bool]


def buy(ctx: Context, slot: Slot, purchase: PurchaseContext) -> Entry:
    """Buy one disk, or adopt it where it exists already; return its entry, created.

    Raises
    ------
    MarketError
        When the marketplace refuses or cannot be reached, and no outcome is unknown.
    PlanStale, OutOfStock
        When the offer is no longer as planned.
    PendingActions
        When the outcome is unknown.
    Conflict
        When a person has to decide.
    StateUnusable
        When the journal cannot be written.
    Interrupted
        When asked to stop before it was sent.
    """
    for attempt in range(TRIES):
        _wait_until(ctx, slot)
        listing = _before(ctx, slot)
        there = _already_there(ctx, slot, listing)
        if there is not None:
            return there
        offers = offers_by_key(ctx.offers())
        check_offers([slot], offers, purchase.limits)
        price = price_now(slot, offers)
        entry = _intend(ctx, slot, purchase, listing, price)
        verdict, failure = _send(ctx, slot, entry, listing)
        done = _follow(ctx, entry, verdict, failure)
        if done is not None:
            return done
        last = attempt == TRIES - 1
        if failure is not None and last:
            raise failure
        if verdict.kind == "not_sent":
            ctx.pace.pause(2**attempt * ctx.pace.scale)
    raise PendingActions(f"{slot.key}: not sent")


def _wait_until(ctx: Context, slot: Slot) -> None:
    """Wait as long as the marketplace asked to, or stop where that is too long."""
    entry = ctx.state.entries.get(slot.name)
    if entry is None or entry.stage != "limited" or entry.until is None:
        return
    left = (entry.until - ctx.pace.now()).total_seconds()
    if left > ctx.pace.max_wait_s:
        raise RateLimited(
            f"the marketplace asks to wait until {entry.until:%Y-%m-%d %H:%M:%S} UTC",
            status=429,
            method="POST",
            hint="run again then, or wait here with --wait",
        )
    if left > 0:
        ctx.pace.pause(left)


def _before(ctx: Context, slot: Slot) -> DiskListing:
    """Return the account's disks; read twice where the name may have been sent before."""
    if ctx.pace.stop.is_set():
        raise Interrupted("stopped before the next disk was sent")
    entry = ctx.state.entries.get(slot.name)
    sent = entry is not None and entry.attempts > 0
    listing = ctx.disks(readings=2 if sent else 1)
    check_no_duplicates(ctx, listing)
    return listing


def _already_there(ctx: Context, slot: Slot, listing: DiskListing) -> Entry | None:
    """Return the entry of a slot whose disk exists, adopted; None where it may be sent.

    Raises
    ------
    Conflict
        When something there is not quite it.
    """
    entry = ctx.state.entries.get(slot.name)
    facts = entry.expected if entry else slot.expected
    match = match_name(listing, facts, entry.not_ours if entry else ())
    alike = suspects(ctx, entry, listing) if entry and entry.attempts and entry.is_pending else []
    if match.kind == "nothing" and not alike:
        return None
    if entry is None:
        entry = ctx.intend(slot, facts, listing, sends=0)
    if match.kind == "ours":
        ctx.created(entry, match.disks[0], "listing", "it existed before it was sent")
        return entry
    why = match.why or "its answer was lost, and a new disk of its size has another name"
    ids = match.ids or [disk.id for disk in alike if disk.id]
    ctx.conflict(entry, ids, why, match.disks[0] if match.disks else None)
    raise _conflict(entry)


def _intend(
    ctx: Context, slot: Slot, purchase: PurchaseContext, listing: DiskListing, price: Decimal
) -> Entry:
    """Record that the slot is sent next, if the limit allows it and nothing has stopped."""
    with ctx.journal.mutex:
        if ctx.pace.stop.is_set() or purchase.halt():
            raise Interrupted("stopped before the next disk was sent")
        # After its quarantine a lost disk of this name does not exist.
        check_ceilings(ctx, [price], purchase.ceilings, without={slot.name})
        facts = slot.expected.at(price)
        return ctx.intend(slot, facts, listing, sends=1)


def _send(
    ctx: Context, slot: Slot, entry: Entry, listing: DiskListing
) -> tuple[Classification, MarketError | None]:
    """Send the request and write down what came of it."""
    failure: MarketError | None = None
    outcome: Disk | MarketError
    try:
        outcome = ctx.marketplace.create(slot.request)
    except MarketError as error:
        outcome = failure = error
    verdict = classify(outcome, entry.expected)
    passed = ctx.pace.now() - entry.local_at if entry.local_at else timedelta(0)
    server_at = (entry.server_at + passed).isoformat() if entry.server_at else None
    fields = {"name": slot.name, "why": verdict.why, "server_at": server_at}
    try:
        if verdict.kind in {"as_sent", "odd"}:
            existed = verdict.id is not None and listing.find(verdict.id) is not None
            ctx.record("claimed", **fields, id=verdict.id, existed=existed)
        elif verdict.kind == "unknown":
            ctx.record("unknown", **fields)
        elif verdict.kind == "limited":
            wait_s = verdict.wait_s or 2.0 * ctx.pace.scale
            until = ctx.pace.now() + timedelta(seconds=wait_s)
            ctx.record("limited", name=slot.name, why=verdict.why, until=until.isoformat())
        elif verdict.kind in {"not_sent", "paused"}:
            ctx.record(verdict.kind, name=slot.name, why=verdict.why)
    except PlannerError as error:
        raise _unrecorded(error, slot, verdict) from error
    return verdict, failure


def _unrecorded(error: PlannerError, slot: Slot, verdict: Classification) -> PlannerError:
    """Return the failure of the journal with what it could not hold."""
    what = f"disk {verdict.id} was created" if verdict.id else f"the answer was: {verdict.why}"
    return type(error)(
        f"{error}. What could not be written: {slot.key} was sent as {slot.name}; {what}",
        hint="free some space, then run the same apply again: the disk is adopted by its name",
    )


def _follow(
    ctx: Context, entry: Entry, verdict: Classification, failure: MarketError | None
) -> Entry | None:
    """Return the entry once created, None to try again; raise what ends the slot."""
    if verdict.kind in {"not_sent", "limited"}:
        return None
    if verdict.kind in {"paused", "refused", "taken"}:
        if _is_live_though_refused(ctx, entry):
            return entry
        if verdict.kind != "paused":
            ctx.record("refused", name=entry.name, why=verdict.why, stock=verdict.stock, final=True)
        raise _refusal(entry, verdict, failure)
    if verdict.kind == "as_sent" and read_back(ctx, entry):
        return _created_or_raise(entry)
    wait_s = verdict.wait_s or 0.0
    if wait_s > ctx.pace.max_wait_s:
        until = ctx.pace.now() + timedelta(seconds=wait_s)
        raise PendingActions(
            f"{entry.key}: whether disk {entry.name} was created is unknown, and the marketplace "
            f"asks to wait until {until:%Y-%m-%d %H:%M:%S} UTC"
        )
    ctx.pace.pause(wait_s)
    reconcile(ctx, [entry], ctx.pace.listing_pauses())
    return _created_or_raise(entry)


def _created_or_raise(entry: Entry) -> Entry:
    if entry.stage == "created":
        return entry
    if entry.stage == "conflict":
        raise _conflict(entry)
    raise PendingActions(f"{entry.key}: whether disk {entry.name} was created is unknown")


def _is_live_though_refused(ctx: Context, entry: Entry) -> bool:
    """Return whether a disk that was refused exists; conflicts are raised."""
    try:
        listing = ctx.disks()
    except MarketError:
        return False  # the next run lists again before it sends anything
    if match_name(listing, entry.expected, entry.not_ours).kind == "nothing":
        return False
    resolve_from_listing(ctx, entry, listing)
    if entry.stage == "conflict":
        raise _conflict(entry)
    return entry.stage == "created"


def _refusal(entry: Entry, verdict: Classification, failure: MarketError | None) -> PlannerError:
    if verdict.stock or failure is None:
        return OutOfStock(
            f"{entry.key}: out of stock: {verdict.why}",
            drift=[f"{entry.key}: out of stock"],
            hint="existing disks are kept; plan again on today's market",
        )
    return failure


def _conflict(entry: Entry) -> Conflict:
    ids = f" ({', '.join(entry.ids)})" if entry.ids else ""
    return Conflict(f"{entry.key}: {entry.why}{ids}")
