"""What earlier runs left in doubt, cleared before anything else is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.apply.listing import complete_listing
from planner.apply.reconcile import look, reconcile
from planner.errors import Conflict, PendingActions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.apply.context import Context
    from planner.apply.listing import DiskListing
    from planner.apply.state import Entry


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
        listing = complete_listing(ctx.account, ctx.pace)
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
