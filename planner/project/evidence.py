"""Proof that what was bought is there: the list shows it, each name lives once, it gets ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.errors import Conflict, Interrupted, MarketError, NotFound, PendingActions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from planner.market.disks import Disk
    from planner.marketplace.protocol import DiskListing
    from planner.project.context import Context
    from planner.project.state import Entry


def prove_listing(ctx: Context, listing: DiskListing) -> None:
    """Make sure that the listing shows what this plan has bought before."""
    created = [e for e in ctx.state.of_plan(ctx.plan) if e.stage == "created"]
    if any(listing.find(entry.ids[0]) for entry in created):
        return
    alive = [entry for entry in created if _exists(ctx, entry)]
    if alive:
        wait_listed(ctx, alive)


def _exists(ctx: Context, entry: Entry) -> bool:
    try:
        return ctx.marketplace.disk(entry.ids[0]).is_live
    except NotFound:
        return False


def wait_listed(ctx: Context, entries: Sequence[Entry]) -> None:
    """Wait until one of the disks shows in a listing.

    Raises
    ------
    PendingActions
        When none does within the settling time.
    """
    for pause in ctx.pace.looks():
        ctx.pace.pause(pause)
        try:
            listing = ctx.marketplace.disks()
        except MarketError as error:
            ctx.tell({"event": "listing_failed", "why": str(error)})
            continue
        if any(listing.find(entry.ids[0]) for entry in entries):
            return
        if ctx.pace.stop.is_set():
            raise Interrupted("stopped before the next disk was sent")
    ids = ", ".join(entry.ids[0] for entry in entries)
    raise PendingActions(
        f"the account's list does not show disk {ids}, which exists: without that, a lost "
        "create could not be found, so nothing more is sent",
        hint="run again later with the same key and team",
    )


def check_once(ctx: Context, listing: DiskListing) -> None:
    """Hold every name of the plan against a listing: none may live twice.

    Raises
    ------
    Conflict
        When one does, with ids and prices.
    """
    by_name: dict[str | None, list[Disk]] = {}
    by_id: dict[str | None, Disk] = {}
    for disk in listing.live:
        by_name.setdefault(disk.name, []).append(disk)
        by_id[disk.id] = disk
    for entry in ctx.state.of_plan(ctx.plan):
        twins = [one for one in by_name.get(entry.name, []) if one.id not in entry.not_ours]
        own = by_id.get(entry.ids[0]) if entry.stage == "created" else None
        if own is not None and own not in twins:
            twins.append(own)  # a person has renamed it
        if len(twins) > 1:
            listed = ", ".join(f"{disk.id} at {disk.usd_hr} USD/h" for disk in twins)
            raise Conflict(
                f"{entry.key}: {len(twins)} live disks: {listed}",
                hint="decide which to keep; delete the other by hand, or disown it with "
                f"`planner resolve {entry.name} --not ID`",
            )


def close(ctx: Context, *, strict: bool) -> None:
    """Look once more at the whole account: each name lives once, and shows."""
    mine = ctx.state.of_plan(ctx.plan)
    try:
        listing = ctx.marketplace.disks()
    except MarketError as error:
        if strict:
            raise
        ctx.warnings.append(f"the account's disks could not be read: {error}")
        return
    check_once(ctx, listing)
    for entry in mine:
        if entry.stage == "created" and listing.find(entry.ids[0]) is None:
            ctx.warnings.append(f"{entry.key}: disk {entry.ids[0]} is not in the listing")


def wait_active(ctx: Context) -> None:
    """Wait until every disk is ACTIVE or ERROR, as long as a quarantine at most."""
    started, pause = ctx.pace.clock(), 1.0
    waiting = [e for e in ctx.state.of_plan(ctx.plan) if e.stage == "created"]
    while waiting and not ctx.pace.stop.is_set():
        for entry in list(waiting):
            disk = ctx.marketplace.disk(entry.ids[0])
            if disk.status != entry.status:
                price = None if disk.usd_hr is None else str(disk.usd_hr)
                ctx.record("seen", name=entry.name, status=disk.status, usd_hr=price)
            if disk.status in {"ACTIVE", "ERROR", "TERMINATED"}:
                waiting.remove(entry)
        if waiting and ctx.pace.clock() - started > ctx.pace.quarantine_s:
            names = ", ".join(f"{entry.key} ({entry.status})" for entry in waiting)
            raise PendingActions(f"not ready yet: {names}", hint="run again with --wait")
        if waiting:
            ctx.pace.pause(pause * ctx.pace.scale)
            pause = min(pause * 1.5, 15.0)
