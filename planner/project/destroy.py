"""Destroy and retire: delete our own disks, only where they are unchanged and unattached."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from planner.errors import (
    Conflict,
    InputError,
    Interrupted,
    NotFound,
    OutcomeUnknown,
    PendingActions,
    RequestNotSent,
    RequestRefused,
)
from planner.market.disks import HEALTHY
from planner.present.progress import tracked
from planner.project.replace import successors
from planner.project.state import Entry, known_id, no_such_volume, sorted_entries
from planner.text import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from planner.market.disks import Disk
    from planner.project.context import Context


_DETACHING = re.compile(r"detach|attach|in use|busy", re.IGNORECASE)
_MAY_PASS = frozenset({400, 409, 422})
_PAUSE_S, _MAX_PAUSE_S = 1.0, 15.0


@dataclass(frozen=True)
class DeletionTarget:
    """A disk to delete, as it is now; ``disk`` is None where the account does not have it."""

    entry: Entry
    disk: Disk | None

    @property
    def is_live(self) -> bool:
        """Return whether it exists."""
        return self.disk is not None and self.disk.is_live


Confirm = Callable[[Sequence["DeletionTarget"]], bool]


def check_generations(entries: Iterable[Entry]) -> None:
    """Check that a volume's name alone says which disks are meant.

    Raises
    ------
    InputError
        When a replica exists several times.
    """
    generations: dict[tuple[str, int], dict[str, list[Entry]]] = {}
    for entry in sorted_entries(entries):
        for share in entry.shares:
            plans = generations.setdefault((share.volume, share.replica), {})
            plans.setdefault(entry.plan, []).append(entry)
    several = {replica: plans for replica, plans in generations.items() if len(plans) > 1}
    if several:
        lines = [
            f"  {volume} #{replica}: {entry.ids[0]}, {entry.expected.size_gb:,} GB"
            + (", superseded" if entry.is_superseded else ", in use")
            for (volume, replica), plans in several.items()
            for mine in plans.values()
            for entry in mine
        ]
        raise InputError(
            "a volume is on disks of several plans:\n" + "\n".join(lines),
            hint="name the disks to delete with --id; `planner retire` deletes superseded ones",
        )


def check_shared(entries: Iterable[Entry], volumes: Collection[str]) -> None:
    """Check that disks hold no other volumes than those that are to be deleted.

    Raises
    ------
    InputError
        When one does; it names them all.
    """
    shared = [entry for entry in sorted_entries(entries) if not {*entry.volumes} <= {*volumes}]
    if not shared:
        return
    lines = [
        f"  {entry.title}: {entry.ids[0]}, {entry.size_gb:,} GB; also holds "
        + " and ".join(name for name in entry.volumes if name not in volumes)
        for entry in shared
    ]
    every = dict.fromkeys([*volumes, *(name for entry in shared for name in entry.volumes)])
    chosen = " ".join(f"--volume {name}" for name in every)
    raise InputError(
        "nothing was deleted: a disk is deleted whole, and other volumes are on it:\n"
        + "\n".join(lines),
        hint=f"to delete all of them: planner destroy {shlex.quote(shared[0].project)} {chosen}",
    )


def superseded(ctx: Context, project: str | None) -> tuple[str, list[Entry]]:
    """Return the project whose superseded disks are to be retired, and these disks.

    Parameters
    ----------
    project : str | None
        None takes the only project that has some.

    Raises
    ------
    InputError
        When there are none, or several projects have some.
    """
    mine = ctx.state.at(ctx.target)
    chosen = [e for e in mine if e.is_superseded and project in {None, e.project}]
    projects = sorted({entry.project for entry in chosen})
    if len(projects) > 1:
        raise InputError(
            f"{len(projects)} projects have superseded disks",
            hint=f"name one: {', '.join(map(visible, projects))}",
        )
    retired = [
        e for e in mine if e.superseded_by and e.stage == "destroyed" and e.project == project
    ]
    if not chosen and not retired:
        if not any(project in {None, entry.project} for entry in mine):
            raise ctx.state.nothing_selected(project, ctx.target)
        raise InputError(
            "no superseded disk to retire",
            hint="`planner status` lists the disks; `planner destroy` deletes others",
        )
    return projects[0] if projects else str(project), chosen


def selected(
    ctx: Context, project: str, volumes: Sequence[str] = (), ids: Sequence[str] = ()
) -> tuple[list[Entry], list[Entry]]:
    """Return the disks of a project that are to be destroyed, and those of unknown outcome.

    Parameters
    ----------
    volumes, ids : sequence of str
        Only these; empty takes all.

    Raises
    ------
    InputError
        When there are none, one of these is not recorded, or a volume is on disks of two plans or
        shares one.
    """
    recorded = ctx.state.at(ctx.target, project)
    if not recorded:
        raise ctx.state.nothing_selected(project, ctx.target)
    known = {name for entry in recorded for name in entry.volumes}
    for name in {*volumes} - known:
        raise no_such_volume(project, name, known)
    ids = [known_id(text, [each for entry in recorded for each in entry.ids]) for text in ids]
    mine = [
        entry
        for entry in recorded
        if (not volumes or not {*volumes}.isdisjoint(entry.volumes))
        and (not ids or not {*entry.ids}.isdisjoint(ids))
    ]
    chosen = [entry for entry in mine if entry.stage == "created"]
    if not chosen and not any(entry.stage == "destroyed" for entry in mine):
        raise ctx.state.nothing_selected(project, ctx.target)
    if volumes and not ids:
        check_generations(chosen)
    if volumes:
        check_shared(chosen, volumes)
    return chosen, [entry for entry in mine if entry.is_pending]


def retire(ctx: Context, entries: Sequence[Entry], *, confirm: Confirm) -> list[DeletionTarget]:
    """Delete superseded disks and all their data; the disks that replaced them have to be ready.

    Parameters
    ----------
    ctx, confirm
        As in `destroy`.
    entries : sequence of Entry
        Superseded disks of one project. One that is gone already is recorded as deleted.

    Raises
    ------
    Conflict
        When a replacement does not exist or needs attention, or as in `destroy`.
    PendingActions
        When a replacement is not ACTIVE yet, or as in `destroy`.
    MarketError, Interrupted
        As in `destroy`.
    """
    last = {new.name: new for entry in entries for new in successors(entry, ctx.state.entries)}
    for successor in last.values():
        disk = _get(ctx, successor)
        status = "gone" if disk is None or disk.id != successor.ids[0] else disk.status
        if status != "ACTIVE":
            kind = PendingActions if status in HEALTHY else Conflict
            raise kind(
                f"{successor.key}: its new disk {successor.ids[0]} is {status}, so nothing was "
                "deleted",
                hint="a disk is retired once the disk that replaced it is ACTIVE",
            )
    return _destroy(ctx, entries, confirm, gone_is_deleted=True)


def destroy(ctx: Context, entries: Sequence[Entry], *, confirm: Confirm) -> list[DeletionTarget]:
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
    list of DeletionTarget
        The disks that were deleted, or did not exist any more.

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
    return _destroy(ctx, entries, confirm)


def _destroy(
    ctx: Context, entries: Sequence[Entry], confirm: Confirm, *, gone_is_deleted: bool = False
) -> list[DeletionTarget]:
    targets = [DeletionTarget(entry, _get(ctx, entry)) for entry in sorted_entries(entries)]
    checked = [target for target in targets if target.disk or not gone_is_deleted]
    problems = [text for target in checked for text in _problems(target)]
    if problems:
        listed = "\n".join(f"  {text}" for text in problems)
        raise Conflict(
            f"not as recorded, so nothing was deleted:\n{listed}",
            hint="detach it, or check what changed; select the others with --volume or --id",
        )
    live = [target for target in targets if target.is_live]
    if live and not confirm(live):
        raise Interrupted("declined; nothing was deleted")
    for target in tracked(targets, "Deleting disks"):
        if ctx.pace.stop.is_set():
            raise Interrupted("stopped before the next disk was deleted")
        if target.is_live:
            _delete(ctx, target.entry)
        ctx.record("destroyed", name=target.entry.name, id=target.entry.ids[0])
    return targets


def _get(ctx: Context, entry: Entry) -> Disk | None:
    try:
        return ctx.marketplace.disk(entry.ids[0])
    except NotFound:
        return None


def _problems(target: DeletionTarget) -> list[str]:
    entry, disk = target.entry, target.disk
    if disk is None:
        # Unless we deleted it, this may as well be the key of another account.
        gone = f"{entry.key} ({entry.ids[0]}): the account of this key has no such disk; if it was"
        return [] if entry.deleting else [f"{gone} deleted: planner resolve {entry.name} --give-up"]
    if not disk.is_live:
        return []
    problems = list(entry.expected.differences(disk))
    if disk.id != entry.ids[0]:
        problems.append("the answer has another id")
    if disk.name != entry.as_name:
        problems.append(f"it is named {disk.name}, recorded as {entry.as_name}")
    if disk.size_gb is None:
        problems.append("its size is missing")
    if disk.attached is None:
        problems.append("what it is attached to cannot be read")
    elif disk.attached:
        problems.append(f"it is attached to {', '.join(disk.attached)}")
    return [f"{entry.key} ({entry.ids[0]}): {text}" for text in problems]


def _delete(ctx: Context, entry: Entry) -> None:
    """Send one DELETE, again only after a temporary refusal, and wait until the disk is gone."""
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
            problems = _problems(DeletionTarget(entry, disk))
            if any("attached" not in text for text in problems):
                raise Conflict("changed meanwhile: " + "; ".join(problems))
        if ctx.pace.clock() >= deadline:
            raise PendingActions(
                f"disk {disk_id} is still {disk.status}", hint="run the same destroy again"
            )
        ctx.pace.pause(pause)
        pause = min(pause * 2, _MAX_PAUSE_S)


def _send(ctx: Context, disk_id: str, *, late: bool) -> bool:
    """Return whether the request may have been accepted; False where it may be sent again."""
    try:
        ctx.marketplace.delete(disk_id)
    except OutcomeUnknown as error:
        ctx.on_event({"event": "unreadable", "id": disk_id, "why": f"{error}; a GET decides"})
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
    message = str(error).partition(f"({error.status})")[2]
    return error.status in _MAY_PASS and bool(_DETACHING.search(message))
