"""Destroy: the only thing that deletes, and only what is ours, unchanged and in nobody's use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.errors import (
    Conflict,
    Interrupted,
    NotFound,
    OutcomeUnknown,
    PendingActions,
    RequestNotSent,
    RequestRefused,
)
from planner.project.state import Entry, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from planner.market.disks import Disk
    from planner.project.context import Context


_DETACHING = re.compile(r"detach|attach|in use|busy", re.IGNORECASE)
_MAY_PASS = frozenset({400, 409, 422})
_PAUSE_S, _MAX_PAUSE_S = 1.0, 15.0


@dataclass(frozen=True)
class Doomed:
    """A disk that would be deleted, as it is now; ``disk`` is None where the account has none."""

    entry: Entry
    disk: Disk | None

    @property
    def is_live(self) -> bool:
        """Return whether it is there to be deleted."""
        return self.disk is not None and self.disk.is_live


def destroy(
    ctx: Context, entries: Sequence[Entry], *, confirm: Callable[[Sequence[Doomed]], bool]
) -> list[Doomed]:
    """Delete disks and all their data, after a fresh look at each.

    Parameters
    ----------
    ctx : Context
        The run.
    entries : sequence of Entry
        Created slots of one project.
    confirm : callable
        Asked once, with what would be deleted.

    Returns
    -------
    list of Doomed
        What was deleted, or was gone already.

    Raises
    ------
    Conflict
        When a disk is attached, renamed or changed; nothing is deleted then.
    PendingActions
        When a deletion has not shown yet.
    MarketError
        When the marketplace refuses or cannot be read.
    Interrupted
        When it is declined.
    """
    doomed = [_examine(ctx, entry) for entry in in_order(entries)]
    problems = [text for one in doomed for text in _problems(one)]
    if problems:
        listed = "\n".join(f"  {text}" for text in problems)
        raise Conflict(
            f"not as recorded, so nothing was deleted:\n{listed}",
            hint="detach or look; choose the others with --volume or --id",
        )
    live = [one for one in doomed if one.is_live]
    if live and not confirm(live):
        raise Interrupted("declined; nothing was deleted")
    for one in doomed:
        if ctx.pace.stop.is_set():
            raise Interrupted("stopped before the next disk was deleted")
        if one.is_live:
            _delete(ctx, one.entry)
        ctx.record("destroyed", name=one.entry.name, id=one.entry.ids[0])
    return doomed


def _examine(ctx: Context, entry: Entry) -> Doomed:
    return Doomed(entry, _get(ctx, entry))


def _get(ctx: Context, entry: Entry) -> Disk | None:
    try:
        return ctx.marketplace.disk(entry.ids[0])
    except NotFound:
        return None


def _problems(doomed: Doomed) -> list[str]:
    entry, disk = doomed.entry, doomed.disk
    if disk is None:
        # Unless we deleted it, this may as well be the key of another account.
        gone = f"{entry.key} ({entry.ids[0]}): the account of this key has no such disk; if it was"
        return [] if entry.deleting else [f"{gone} deleted: planner resolve {entry.name} --give-up"]
    if not disk.is_live:
        return []
    found = list(entry.facts.differences(disk))
    if disk.id != entry.ids[0]:
        found.append("the answer is about another disk")
    if disk.name != entry.as_name:
        found.append(f"its name is {disk.name}, recorded is {entry.as_name}")
    if disk.size_gb is None:
        found.append("its size is not shown")
    if disk.attached is None:
        found.append("what it is attached to is not understood")
    elif disk.attached:
        found.append(f"it is attached to {', '.join(disk.attached)}")
    return [f"{entry.key} ({entry.ids[0]}): {text}" for text in found]


def _delete(ctx: Context, entry: Entry) -> None:
    """Send one DELETE, again only where it was refused for now, and wait until the disk is gone."""
    disk_id = entry.ids[0]
    deadline = ctx.pace.clock() + ctx.pace.settle_s
    pause = _PAUSE_S * ctx.pace.scale
    ctx.record("deleting", name=entry.name, id=disk_id)
    sent = False
    while True:
        if not sent:
            sent = _send(ctx, disk_id, late=ctx.pace.clock() >= deadline)
        disk = _get(ctx, entry)
        if disk is None or not disk.is_live:
            return
        if not sent:
            problems = _problems(Doomed(entry, disk))
            if any("attached" not in text for text in problems):
                raise Conflict("changed meanwhile: " + "; ".join(problems))
        if ctx.pace.clock() >= deadline:
            raise PendingActions(
                f"disk {disk_id} is still {disk.status}", hint="run the same destroy again"
            )
        ctx.pace.pause(pause)
        pause = min(pause * 2, _MAX_PAUSE_S)


def _send(ctx: Context, disk_id: str, *, late: bool) -> bool:
    """Return whether the request may have been taken; False where it may be sent again."""
    try:
        ctx.marketplace.delete(disk_id)
    except OutcomeUnknown as error:
        ctx.tell({"event": "unreadable", "id": disk_id, "why": f"{error}; a GET decides"})
    except NotFound:
        return True
    except RequestNotSent:
        if late:
            raise
        return False
    except RequestRefused as error:
        if late or not _is_detaching(error):
            raise
        return False
    return True


def _is_detaching(error: RequestRefused) -> bool:
    words = str(error).partition(f"({error.status})")[2]
    return error.status in _MAY_PASS and bool(_DETACHING.search(words))
