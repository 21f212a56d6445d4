"""Reconcile: find out what became of a create whose answer was lost.

The name is the key. Exactly one live disk with the name and what was sent: it is ours. Anything
else that carries the name, or appeared meanwhile and looks alike, is for a person to judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from planner.apply.listing import complete_listing
from planner.errors import MarketError, NotFound, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planner.api import Disk
    from planner.apply.context import Context
    from planner.apply.listing import DiskListing
    from planner.apply.slots import Facts
    from planner.apply.state import Entry


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
            disk = ctx.account.disk(disk_id).value
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
            listing = complete_listing(ctx.account, ctx.pace)
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
