"""Resolve and rename: a person's decision, recorded after a look at the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from planner.demand.fields import NAME
from planner.errors import Conflict, InputError, NotFound, PendingActions
from planner.market.disks import ID
from planner.present.table import SHORT_ID
from planner.project.state import LISTED, known_id, no_such_volume
from planner.text import suggestion, visible

if TYPE_CHECKING:
    from planner.project.context import Context
    from planner.project.state import Entry, State


_MAX_NAME = 255


def find_entry(state: State, text: str, target: dict[str, str | None]) -> Entry:
    """Return the slot of a disk's name, its id or the eight characters in tables, or its key.

    Raises
    ------
    InputError
        When no slot matches, or several do.
    """
    entries = state.at(target)
    matches = [entry for entry in entries if text == entry.name] or [
        entry
        for entry in entries
        if text in {*entry.keys, *entry.ids}
        or (len(text) >= SHORT_ID and any(each.startswith(text) for each in entry.ids))
    ]
    if len(matches) > 1:
        unresolved = [entry for entry in matches if entry.is_pending or entry.stage == "conflict"]
        matches = unresolved if len(unresolved) == 1 else matches
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(entry.name for entry in matches)
        raise InputError(
            f"{visible(text)!r} matches {len(matches)} disks", hint=f"use a name: {names}"
        )
    known = [name for entry in entries for name in (entry.name, entry.key)]
    hint = suggestion(text, known, LISTED)
    raise InputError(f"no recorded disk matches {visible(text)[:80]!r}", hint=hint)


def checked_id(text: str) -> str:
    """Return an id that may enter a URL.

    Raises
    ------
    InputError
        When the text is not a valid id.
    """
    if not ID.fullmatch(text):
        raise InputError(
            f"{visible(text)[:80]!r} is not a disk id", hint="copy it from the listing"
        )
    return text


def _listed_id(ctx: Context, text: str) -> str:
    """Return the id of a listed disk that a text is or begins; another id as it is."""
    text = checked_id(text)
    known = ctx.disks().by_id
    return known_id(text, known) if any(each and each.startswith(text) for each in known) else text


def resolve_id(ctx: Context, entry: Entry, disk_id: str) -> None:
    """Record a disk as a slot's, as it is now.

    Raises
    ------
    InputError
        When it is another slot's.
    Conflict
        When the account has no such live disk.
    """
    disk_id = _listed_id(ctx, disk_id)
    for other in ctx.state.entries.values():
        if other is not entry and other.stage in {"created", "destroyed"} and disk_id in other.ids:
            raise InputError(f"{disk_id} is recorded for {other.key} ({other.name})")
    try:
        disk = ctx.marketplace.disk(disk_id)
    except NotFound as error:
        raise Conflict(f"the account has no disk {disk_id}", hint="check the id") from error
    if not disk.is_live or disk.id != disk_id or disk.name is None:
        raise Conflict(f"disk {disk_id} is {disk.status}, or was not named in the answer")
    differences = entry.expected.differences(disk)
    note = "; ".join(("assigned by hand", *differences))
    ctx.created(entry, disk, "person", note)


def resolve_not(ctx: Context, entry: Entry, disk_id: str) -> None:
    """Record that a disk is not a slot's.

    Raises
    ------
    InputError
        When it is the id the slot is recorded with.
    """
    disk_id = _listed_id(ctx, disk_id)
    if entry.stage == "created" and disk_id in entry.ids:
        raise InputError(
            f"{disk_id} was read back as {entry.key}", hint="name the right one with --id ID"
        )
    ctx.record("not_ours", name=entry.name, id=disk_id)


def give_up(ctx: Context, entry: Entry) -> None:
    """Record that a slot is neither sent again nor looked for.

    Raises
    ------
    InputError
        When its disk exists.
    """
    if entry.stage == "created" and ctx.is_live(entry):
        raise InputError(f"{entry.key} exists", hint="`planner destroy` deletes disks")
    ctx.record("given_up", name=entry.name, why="given up by hand")


def rename_volume(ctx: Context, project: str, volume: str, name: str) -> int:
    """Record that a project's volume has another name, and return how many disks it is on.

    The disks themselves, and their names, stay as they are.

    Raises
    ------
    InputError
        When the project has no such volume, or the name is invalid or another volume's.
    """
    mine = ctx.state.at(ctx.target, project)
    disks = [entry for entry in mine if volume in entry.volumes and entry.may_exist]
    if not disks:
        raise no_such_volume(project, volume, [name for entry in mine for name in entry.volumes])
    if not NAME.fullmatch(name):
        raise InputError("not a valid volume name", hint="letters, digits, - _ and .")
    if any(name in entry.volumes and entry.may_exist for entry in mine):
        raise InputError(
            f"volume {name} of {project} is on other disks already",
            hint="`planner status` shows them; a name that has no disk can be given",
        )
    ctx.record("volume", names=[entry.name for entry in disks], was=volume, volume=name)
    return len(disks)


def rename(ctx: Context, entry: Entry, name: str) -> None:
    """Rename one of our disks, and record the name once it is read back.

    Raises
    ------
    InputError
        When the slot has no disk, or the name cannot be used.
    Conflict
        When the disk is not as recorded.
    PendingActions
        When the new name cannot be read back.
    """
    if entry.stage != "created":
        raise InputError(f"{entry.key} is {entry.stage}: it has no disk to rename")
    if not 1 <= len(name) <= _MAX_NAME or visible(name) != name or name != name.strip():
        raise InputError("not a valid disk name", hint="1 to 255 printable characters")
    if name in ctx.state.entries and name != entry.name:
        raise InputError("that name belongs to another slot", hint="choose another")
    disk_id = entry.ids[0]
    disk = ctx.marketplace.disk(disk_id)
    if disk.id != disk_id or not disk.is_live or disk.name not in {entry.as_name, name}:
        raise Conflict(
            f"disk {disk_id} is not as recorded: named {disk.name}, {disk.status}",
            hint="`planner status` shows what changed",
        )
    if disk.name != name:
        ctx.marketplace.rename(disk_id, name)
    if ctx.marketplace.disk(disk_id).name != name:
        raise PendingActions(f"disk {disk_id} does not show its new name yet", hint="run it again")
    ctx.record("renamed", name=entry.name, id=disk_id, as_name=name)
